// The names that tasks may be scheduled to, and the places of the dispatcher that they stand for.

import { InvalidArgumentError, OutOfRangeError } from '../errors.js';
import { refuseTo } from '../task/schedule-options.js';

/** The dispatcher has 16 bits for one; 0 is none. */
const MAX_PLACE = 0xffff;

export class HandNames {
  readonly #places = new Map<string, number>();
  readonly #expected = new Set<string>();

  /** It may come. Its place is its own from now on. */
  expect(name: string): void {
    if (typeof name !== 'string' || name === '') throw new InvalidArgumentError('the name of a hand is a string');
    if (!this.#places.has(name)) {
      if (this.#places.size === MAX_PLACE) throw new OutOfRangeError(`a crew has at most ${MAX_PLACE} names`);
      this.#places.set(name, this.#places.size + 1);
    }
    this.#expected.add(name);
  }

  /** It will not, as far as anybody knows. */
  giveUp(name: string): void {
    this.#expected.delete(name);
  }

  /** Of a name that was expected once. @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) */
  at(name: string): number {
    const place = this.#places.get(name);
    if (place === undefined) throw new InvalidArgumentError(`no hand is called ${JSON.stringify(name)}`);
    return place;
  }

  /** Of a hand that a task is for; 0 for none. @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) */
  placeFor(to: string | undefined): number {
    if (to === undefined) return 0;
    if (this.#expected.has(to)) return this.at(to);
    const names = [...this.#expected].slice(0, 20).join(', ');
    const why = this.#places.has(to) ? 'will not come back' : 'is not in this crew';
    throw new InvalidArgumentError(`hand ${JSON.stringify(to)} ${why}; it has ${names === '' ? 'nobody' : names}`);
  }
}

/** Of a manager whose workers have none. */
export const NO_NAMES: Pick<HandNames, 'placeFor'> = {
  placeFor(to) {
    refuseTo({ to });
    return 0;
  },
};
