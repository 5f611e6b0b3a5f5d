// What a boss or a hand may be called: it is the name of its socket too.

import { InvalidArgumentError } from '../errors.js';

const NAME = /^[\w.-]{1,64}$/;

/** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) */
export function checkName(name: unknown, whose: string): string {
  if (typeof name === 'string' && NAME.test(name)) return name;
  throw new InvalidArgumentError(`the name of ${whose} is of 1 to 64 letters, digits and ._-, not '${String(name)}'`);
}
