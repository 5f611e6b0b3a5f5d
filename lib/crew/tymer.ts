// A stretch of tyme, and how much of it is left.

import { FSMError } from '../errors.js';
import { checkKnown, ownOptions } from '../own-options.js';
import { seconds } from './seconds.js';
import { decimal, hasCome, Ticks } from './ticks.js';
import { Tymee } from './tymee.js';
import type { Tymth } from './tymist.js';

export interface TymerOptions {
  /** What it is wound to; it may be wound later, and starts then. */
  readonly tymth?: Tymth;
  /** Seconds; 0 unless given. */
  readonly duration?: number;
  /** The tyme at which it starts; that of now unless given. */
  readonly start?: number;
}

/**
 * Expires `duration` seconds of tyme behind its start. It waits for nothing and wakes nobody: who has one looks at it.
 */
export class Tymer extends Tymee {
  #duration: number;
  #start = 0;
  #stop = new Ticks(0);

  /**
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT)
   * @throws OutOfRangeError (ERR_BOSUN_OUT_OF_RANGE) for times that are no finite numbers.
   */
  constructor(options?: TymerOptions) {
    super();
    const given = ownOptions(options, 'the options of a Tymer');
    checkKnown(given, ['tymth', 'duration', 'start'], 'a Tymer');
    this.#duration = seconds('duration', given.duration ?? 0);
    if (given.tymth !== undefined) super.wind(given.tymth);
    if (given.start !== undefined || given.tymth !== undefined) this.start(this.#duration, given.start);
  }

  /** Seconds from the start to the end. */
  get duration(): number {
    return this.#duration;
  }

  /** Seconds since the start. @throws FSMError (ERR_BOSUN_FSM) when it is not wound; so do the next two. */
  get elapsed(): number {
    return decimal(this.#now() - this.#start);
  }

  /** Seconds to the end; negative behind it. */
  get remaining(): number {
    return decimal(this.#stop.now - this.#now());
  }

  /** Whether the end has come. */
  get expired(): boolean {
    return hasCome(this.#stop.now, this.#now());
  }

  /** It starts anew by the new tyme. */
  override wind(tymth: Tymth): void {
    super.wind(tymth);
    this.start();
  }

  /**
   * @param duration seconds; as before unless given.
   * @param start the tyme at which it starts; that of now unless given.
   * @returns that tyme.
   */
  start(duration: number = this.#duration, start: number = this.#now()): number {
    const length = seconds('duration', duration);
    this.#start = seconds('start', start);
    this.#duration = length;
    this.#stop = new Ticks(this.#start);
    this.#stop.add(length);
    return this.#start;
  }

  /**
   * Starts where it would have ended, or has ended, so that none of the tyme in between is lost.
   *
   * @param duration seconds; as before unless given.
   * @returns the tyme at which it starts.
   */
  restart(duration: number = this.#duration): number {
    this.#duration = seconds('duration', duration);
    this.#start = this.#stop.now;
    this.#stop.add(this.#duration);
    return this.#start;
  }

  #now(): number {
    const { tyme } = this;
    if (tyme !== undefined) return tyme;
    throw new FSMError('the Tymer has no tyme yet: wind() it to a Tymist, as by wind(tymist.tymen())');
  }
}
