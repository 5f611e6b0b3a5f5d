// Options objects as users give them, made safe to read.

import { InvalidArgumentError, OutOfRangeError } from './errors.js';

/** On no prototype but an empty one: its instances are as fast as any, which those of `Object.create(null)` are not. */
const Own = function Own() {} as unknown as new () => object;
Own.prototype = Object.create(null);

/**
 * The own properties of an options object, on no prototype: a polluted `Object.prototype` must not configure anything.
 * Undefined is no options.
 *
 * @param what names the options in the error.
 * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for anything but an object.
 */
export function ownOptions<T extends object>(options: T | undefined, what: string): T {
  if (options !== undefined && (typeof options !== 'object' || options === null || Array.isArray(options))) {
    throw new InvalidArgumentError(`${what} are an object, not ${options === null ? 'null' : typeof options}`);
  }
  return Object.assign(new Own(), options) as T;
}

/** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for an option that `what` does not have: it would be missed. */
export function checkKnown(options: object, known: readonly string[], what: string): void {
  const unknown = Object.keys(options).find((key) => !known.includes(key));
  if (unknown !== undefined) throw new InvalidArgumentError(`${what} has no option '${unknown}'`);
}

/** Node.js timers take no longer delays; milliseconds. */
export const MAX_DELAY_MS = 2 ** 31 - 1;

/** A whole number within a range, or an error that names both. */
export function integer(name: string, value: unknown, least: number, most: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    throw new OutOfRangeError(`${name} is a whole number from ${least} to ${most}, not ${String(value)}`);
  }
  return value;
}

/** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for anything but true and false. */
export function flag(name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw new InvalidArgumentError(`${name} is true or false, not ${typeof value}`);
}

/** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for anything but an AbortSignal or undefined. */
export function checkSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return signal;
  throw new InvalidArgumentError(`signal is an AbortSignal, not ${typeof signal}`);
}

/** A time to wait, in milliseconds. */
export function delay(name: string, value: unknown): number {
  return integer(name, value, 0, MAX_DELAY_MS);
}

/** One of some strings, or an error that lists them. */
export function oneOf<T extends string>(name: string, value: T, allowed: readonly T[]): T {
  if (!allowed.includes(value)) {
    throw new InvalidArgumentError(`${name} is one of ${allowed.join(', ')}, not ${String(value)}`);
  }
  return value;
}
