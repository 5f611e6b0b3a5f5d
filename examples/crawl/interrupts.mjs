// @ts-check
// Ctrl-C: the first one ends the crawl in order, the second one at once.

import { constants } from 'node:os';
import { ClosePolicy } from 'bosun';

/** @import { ProcessManager } from 'bosun' */

/** Signals as near as this are one Ctrl-C: npm hands on to its script what the terminal has sent to both. */
const SAME_MS = 300;

export class Interrupts {
  /** What to exit with; undefined while there was no signal. */
  exitCode = /** @type {number | undefined} */ (undefined);
  #manager;
  #first = 0;

  /** @param {ProcessManager} manager */
  constructor(manager) {
    this.#manager = manager;
    process.on('SIGINT', this.#onSignal);
    process.on('SIGTERM', this.#onSignal);
  }

  /** From now on a signal does what it always does. */
  end() {
    process.off('SIGINT', this.#onSignal);
    process.off('SIGTERM', this.#onSignal);
  }

  /** @param {'SIGINT' | 'SIGTERM'} name */
  #onSignal = (name) => {
    if (this.exitCode === undefined) {
      this.exitCode = 128 + constants.signals[name];
      this.#first = performance.now();
      // The reader's loop ends by this. Tasks that run see their signal aborted; what waits is dropped.
      void this.#manager.close(ClosePolicy.CANCEL);
    } else if (performance.now() - this.#first > SAME_MS) {
      void this.#manager.close(ClosePolicy.KILL);
    }
  };
}
