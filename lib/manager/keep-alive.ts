// Keeps the process from exiting while somebody waits for work that only a worker can finish.

import { MAX_DELAY_MS } from '../own-options.js';

/** Sockets and children of a manager never hold the process; this does, while it is on. */
export class KeepAlive {
  #handle: NodeJS.Timeout | undefined;
  #on = false;

  set(on: boolean): void {
    if (on === this.#on) return;
    this.#on = on;
    // The cheapest handle that can be switched; it does nothing every 24 days.
    this.#handle ??= setInterval(() => {}, MAX_DELAY_MS);
    if (on) this.#handle.ref();
    else this.#handle.unref();
  }

  close(): void {
    clearInterval(this.#handle);
    this.#handle = undefined;
    this.#on = false;
  }
}
