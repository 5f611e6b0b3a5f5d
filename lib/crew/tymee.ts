// Who lives by the tyme of somebody else.

import { InvalidArgumentError } from '../errors.js';
import type { Tymth } from './tymist.js';

/** Has no tyme until it is wound to a Tymist: `wind(tymist.tymen())`. */
export class Tymee {
  #tymth: Tymth | undefined;

  /** Seconds; undefined until it is wound. */
  get tyme(): number | undefined {
    return this.#tymth?.();
  }

  /** What it is wound to. */
  get tymth(): Tymth | undefined {
    return this.#tymth;
  }

  /** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for what is no function. */
  wind(tymth: Tymth): void {
    if (typeof tymth !== 'function') {
      throw new InvalidArgumentError(`tymth is a function that gives the tyme, as of tymen(), not ${typeof tymth}`);
    }
    this.#tymth = tymth;
  }
}
