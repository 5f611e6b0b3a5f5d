// One timer for whatever is due at some time: deadlines, time-outs, next attempts, the end of patience.

import { MAX_DELAY_MS } from '../own-options.js';

export class WakeTimer {
  readonly #wake: () => void;
  #timer: NodeJS.Timeout | undefined;
  #at = Number.POSITIVE_INFINITY;

  /** @param wake is called at the time, and may find that it is not due yet. */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  /** @param ms until `wake` is to be called at the latest; -1 for never. It does not keep the process up. */
  within(ms: number): void {
    if (ms < 0) return;
    const delay = Math.min(ms, MAX_DELAY_MS);
    const at = performance.now() + delay;
    if (at >= this.#at) return;
    clearTimeout(this.#timer);
    this.#at = at;
    this.#timer = setTimeout(() => {
      this.#at = Number.POSITIVE_INFINITY;
      this.#wake();
    }, delay).unref();
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
