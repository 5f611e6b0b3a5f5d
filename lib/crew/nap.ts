// A sleep that an event can cut short: one timer, and none while nobody sleeps.

import { MAX_DELAY_MS } from '../own-options.js';

export class Nap {
  #isCut = false;
  #end: (() => void) | undefined;

  /** The one that goes on; or the next one, which is over before it begins. */
  cut(): void {
    this.#isCut = true;
    this.#end?.();
  }

  /** @param ms how long at the most; it may end earlier. The process stays up meanwhile. */
  async take(ms: number): Promise<void> {
    if (!this.#isCut) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(Math.ceil(ms), MAX_DELAY_MS));
        this.#end = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#end = undefined;
    this.#isCut = false;
  }
}
