// Who makes the time: tyme, in float seconds.

import { checkKnown, ownOptions } from '../own-options.js';
import { seconds } from './seconds.js';
import { Ticks } from './ticks.js';

/** Reads the tyme of one Tymist, and nothing else. */
export type Tymth = () => number;

export interface TymistOptions {
  /** Where it begins, in seconds; 0 unless given. */
  readonly tyme?: number;
  /** How far one tick goes, in seconds; 0.03125 unless given, a 32nd. */
  readonly tock?: number;
}

/** Options of a Tymist, also when they come among others. */
export const TYMIST_OPTIONS = ['tyme', 'tock'] as const;

/** A clock that goes on when it is told to. Its ticks do not drift: a million of 0.1 s are 100 000 s. */
export class Tymist {
  #ticks: Ticks;
  #tock: number;

  /**
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT)
   * @throws OutOfRangeError (ERR_BOSUN_OUT_OF_RANGE) for times that are no finite numbers.
   */
  constructor(options?: TymistOptions) {
    const given = ownOptions(options, 'the options of a Tymist');
    checkKnown(given, TYMIST_OPTIONS, 'a Tymist');
    this.#ticks = new Ticks(seconds('tyme', given.tyme ?? 0));
    this.#tock = Math.abs(seconds('tock', given.tock ?? 0.03125));
  }

  /** Seconds. */
  get tyme(): number {
    return this.#ticks.now;
  }

  set tyme(tyme: number) {
    this.#ticks = new Ticks(seconds('tyme', tyme));
  }

  /** How far one tick goes, in seconds; of a negative number the absolute counts. */
  get tock(): number {
    return this.#tock;
  }

  set tock(tock: number) {
    this.#tock = Math.abs(seconds('tock', tock));
  }

  /**
   * Goes on by one tock.
   *
   * @param tock another one, for this time only.
   * @returns the tyme.
   */
  tick(tock: number = this.#tock): number {
    return this.#ticks.add(seconds('tock', tock));
  }

  /** What others read the tyme by: they cannot change it. */
  tymen(): Tymth {
    return () => this.tyme;
  }

  /** Goes on by whole tocks until a time has come; without a tock, to that time. */
  protected tickUntil(time: number): void {
    if (this.#tock > 0) this.#ticks.add(this.#tock, time);
    else this.tyme = time;
  }
}
