// Times of a Doist as users give them: float seconds.

import { OutOfRangeError } from '../errors.js';

/** @throws OutOfRangeError (ERR_BOSUN_OUT_OF_RANGE) for anything but a finite number. */
export function seconds(name: string, value: unknown): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new OutOfRangeError(`${name} is a finite number of seconds, not ${String(value)}`);
}

/**
 * How long a doer rests: nothing is 0, a negative number stands for its absolute, as in the reference; Infinity is until
 * somebody wakes it.
 *
 * @throws OutOfRangeError (ERR_BOSUN_OUT_OF_RANGE) for what is no number.
 */
export function toRest(name: string, value: unknown): number {
  if (value === undefined || value === null) return 0;
  if (typeof value === 'number' && !Number.isNaN(value)) return Math.abs(value);
  throw new OutOfRangeError(`${name} is a number of seconds, or nothing, not ${String(value)}`);
}
