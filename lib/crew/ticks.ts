// A time that goes on in steps, without drift.

/** Doubles tell all decimals of so many digits apart. */
const DIGITS = 15;

/** As a part of the time itself: far more than rounding makes, far less than anybody's step. */
const TOLERANCE = 1e-13;

/** The decimal that was meant: 0.3 for 0.1 * 3, which is 0.30000000000000004. */
export function decimal(seconds: number): number {
  return Number(seconds.toPrecision(DIGITS));
}

/** Whether `now` is at a time, or past it, whatever either was rounded by. */
export function hasCome(time: number, now: number): boolean {
  return time <= now || time - now < Math.abs(now) * TOLERANCE;
}

/**
 * Steps that are added one to the other add up what each of them is rounded by: after a day of tenths of a second they
 * are late or early by microseconds, and what is due at the same time is not. So equal steps are counted, and the time is
 * where they began plus their number times one step, as the decimal that it stands for.
 */
export class Ticks {
  #from: number;
  #step = 0;
  #count = 0;
  #now: number;

  constructor(from: number) {
    this.#from = from;
    this.#now = from;
  }

  get now(): number {
    return this.#now;
  }

  /** Goes on by one step, and then by as many more as it takes until `until` has come. */
  add(step: number, until = Number.NEGATIVE_INFINITY): number {
    if (step !== this.#step) {
      this.#from = this.#now;
      this.#step = step;
      this.#count = 0;
    }
    this.#count += 1;
    if (step > 0 && Number.isFinite(until)) {
      this.#count = Math.max(this.#count, Math.floor((until - this.#from) / step));
      while (!hasCome(until, this.#at())) this.#count += 1;
    }
    this.#now = this.#at();
    return this.#now;
  }

  #at(): number {
    return decimal(this.#from + this.#count * this.#step);
  }
}
