// The options of a Doist, checked.

import { InvalidArgumentError } from '../errors.js';
import { checkKnown, checkSignal, delay, flag, ownOptions } from '../own-options.js';
import type { Doer } from './doer.js';
import { seconds } from './seconds.js';
import type { TymistOptions } from './tymist.js';

/** Options of a Doist; of Tymist: `tyme` and `tock`. */
export interface DoistOptions extends TymistOptions {
  /** `doist` unless given. */
  readonly name?: string;
  /** Whether tyme goes with the clock, or as fast as the doers do; false unless given. */
  readonly real?: boolean;
  /** Seconds of tyme after which `do()` ends; 0, none, unless given. */
  readonly limit?: number;
  readonly doers?: Iterable<Doer>;
  /** Given to `enter` of all doers, in place of their own. */
  readonly temp?: boolean;
  /** Milliseconds that a doer may take to end what it is at, and again to exit; 5 000 unless given. */
  readonly grace?: number;
}

/** Options of `do()`; what is given stays. */
export interface DoistDoOptions extends Pick<DoistOptions, 'doers' | 'limit' | 'tyme' | 'temp'> {
  /** Ends it when it is aborted, as the limit does. */
  readonly signal?: AbortSignal;
}

export function checkDoistOptions(options: DoistOptions | undefined): DoistOptions {
  const given = ownOptions(options, 'the options of a Doist');
  checkKnown(given, ['name', 'real', 'limit', 'doers', 'temp', 'grace', 'tyme', 'tock'], 'a Doist');
  if (given.name !== undefined && typeof given.name !== 'string') {
    throw new InvalidArgumentError(`name is a string, not ${typeof given.name}`);
  }
  if (given.real !== undefined) flag('real', given.real);
  if (given.temp !== undefined) flag('temp', given.temp);
  if (given.limit !== undefined) seconds('limit', given.limit);
  if (given.grace !== undefined) delay('grace', given.grace);
  return given;
}

export function checkDoOptions(options: DoistDoOptions | undefined): DoistDoOptions {
  const given = ownOptions(options, 'the options of do()');
  checkKnown(given, ['doers', 'limit', 'tyme', 'temp', 'signal'], 'do()');
  if (given.temp !== undefined) flag('temp', given.temp);
  if (given.limit !== undefined) seconds('limit', given.limit);
  if (given.tyme !== undefined) seconds('tyme', given.tyme);
  checkSignal(given.signal);
  return given;
}
