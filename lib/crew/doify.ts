// Doers of generator functions.

import { InvalidArgumentError } from '../errors.js';
import { checkKnown, ownOptions } from '../own-options.js';
import { type Deeds, Doer, type DoerOptions, type Doing, type DoOptions, doing } from './doer.js';
import type { Tymth } from './tymist.js';

/** What the function is called with behind `tymth`: the doer's `opts`, and these. */
export interface DoFunctionOptions extends DoOptions {
  /** How long the doer is meant to rest, in seconds: for its `yield`s. */
  readonly tock: number;
  readonly temp: boolean;
  readonly signal: AbortSignal;
}

export type DoFunction = (tymth: Tymth, options: DoFunctionOptions) => Doing;

export interface DoifyOptions extends DoerOptions {
  /** That of the function unless given. */
  readonly name?: string;
}

/** A doer of one generator function. */
export interface FunctionDoer extends Doer {
  readonly name: string;
}

/**
 * A doer whose contexts are one generator function, async or not: up to its first `yield` it enters, each `yield` is how
 * long it rests (nothing: until the next cycle) and is answered with the tyme, and its `finally` is how it exits, also when
 * it is told to end. It is complete when it returns, unless it returns false.
 *
 * Each call makes another doer, so one function may run many times at once.
 *
 * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT)
 * @throws OutOfRangeError (ERR_BOSUN_OUT_OF_RANGE) for a tock that is no number.
 * @example
 * const beat = doify(function* (tymth, { tock, who }) {
 *   for (let i = 0; i < 3; i++) console.log(who, yield tock);
 * }, { tock: 0.5, opts: { who: 'drum' } });
 */
export function doify(generatorFunction: DoFunction, options?: DoifyOptions): FunctionDoer {
  if (typeof generatorFunction !== 'function') {
    throw new InvalidArgumentError(`doify takes a generator function, not ${typeof generatorFunction}`);
  }
  const { name = generatorFunction.name, ...others } = ownOptions(options, 'the options of doify');
  if (typeof name !== 'string') throw new InvalidArgumentError(`name is a string, not ${typeof name}`);
  return new Doified(generatorFunction, name, others);
}

/**
 * The same, options first: `doize({ tock: 1 })(function* () { ... })`, for one set of options and several functions.
 *
 * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT)
 */
export function doize(options?: DoifyOptions): (generatorFunction: DoFunction) => FunctionDoer {
  const given = ownOptions(options, 'the options of doize');
  checkKnown(given, ['name', 'tymth', 'tock', 'opts', 'temp'], 'doize');
  return (generatorFunction) => doify(generatorFunction, { ...given });
}

class Doified extends Doer implements FunctionDoer {
  readonly name: string;
  readonly #function: DoFunction;

  constructor(generatorFunction: DoFunction, name: string, options: DoerOptions) {
    super(options);
    this.name = name;
    this.#function = generatorFunction;
  }

  override *do(tymth: Tymth, options: DoOptions = {}): Deeds {
    this.begin(tymth, options);
    const { tock, signal } = this;
    this.done = yield* doing(this.#function(tymth, { ...options, tock, signal, temp: options.temp ?? this.temp }));
    return this.done;
  }
}
