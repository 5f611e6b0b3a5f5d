// One who does: what happens at its beginning, again and again, and at its end.

import { InvalidArgumentError } from '../errors.js';
import { checkKnown, flag, ownOptions } from '../own-options.js';
import { warnThrown } from '../task/warn.js';
import { places, type Until } from './place.js';
import { toRest } from './seconds.js';
import { type Steps, settled } from './steps.js';
import { Tymee } from './tymee.js';
import type { Tymth } from './tymist.js';

/** How long to rest, in seconds: nothing or 0 until the next cycle, Infinity until `wake()`. */
export type Rest = number | undefined | null;

/** What a doer does in time: yields how long it rests, is answered with the tyme, returns false if it is not complete. */
export type Doing<R = Rest> = Generator<R, unknown, number> | AsyncGenerator<R, unknown, number>;

/** What `do()` yields to who runs it: rests, and what it waits for. */
export type Deeds = Generator<Rest | Until | PromiseLike<unknown>, unknown, unknown>;

type Awaitable<T> = T | Promise<T>;

/** Whether that was all. */
// biome-ignore lint/suspicious/noConfusingVoidType: what an async recur has that returns nothing
export type Recurred = boolean | undefined | void;

export interface DoerOptions {
  /** What it is wound to; who runs it winds it anew. */
  readonly tymth?: Tymth;
  /** How long it rests between two runs, in seconds; 0 unless given, the next cycle. */
  readonly tock?: number;
  /** More options for `do`. */
  readonly opts?: Readonly<Record<string, unknown>>;
  /** Whether what it makes is for this time only; false unless given. */
  readonly temp?: boolean;
}

/** What `do` is called with, together with the doer's `opts`. */
export interface DoOptions {
  readonly tock?: number;
  readonly temp?: boolean | undefined;
  /** Aborted when the doer is told to end. */
  readonly signal?: AbortSignal;
  readonly [option: string]: unknown;
}

const NEVER = new AbortController().signal;

/**
 * A doer goes through contexts, which a subclass overrides, each of them async if it likes:
 *
 * - `enter`, `recur` as often as it takes, `clean`, `exit`, when all goes well,
 * - `enter`, `recur`..., `cease`, `exit`, when it is told to end,
 * - `enter`, `recur`..., `abort`, `exit`, when one of them throws; what they throw ends the Doist.
 */
export class Doer extends Tymee {
  /** Undefined until it was run, false while it runs and when it was ended, true when it was complete. */
  done: boolean | undefined;
  readonly opts: Readonly<Record<string, unknown>>;
  readonly temp: boolean;
  #tock: number;
  #signal = NEVER;

  /**
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT)
   * @throws OutOfRangeError (ERR_BOSUN_OUT_OF_RANGE) for a tock that is no number.
   */
  constructor(options?: DoerOptions) {
    super();
    const given = ownOptions(options, 'the options of a Doer');
    checkKnown(given, ['tymth', 'tock', 'opts', 'temp'], 'a Doer');
    this.#tock = toRest('tock', given.tock);
    this.opts = ownOptions(given.opts, 'opts');
    this.temp = given.temp === undefined ? false : flag('temp', given.temp);
    if (given.tymth !== undefined) this.wind(given.tymth);
  }

  /** How long it rests between two runs, in seconds; Infinity: it runs when it is woken only. */
  get tock(): number {
    return this.#tock;
  }

  set tock(tock: number) {
    this.#tock = toRest('tock', tock);
  }

  /** Aborted when it is told to end: for what it waits for. One for each time that it is run. */
  get signal(): AbortSignal {
    return this.#signal;
  }

  /** Runs it in the next cycle, which comes at once; does nothing when it does not run. */
  wake(): void {
    places.get(this)?.wake();
  }

  /** Ends the Doist that runs it, as its `exit()` does; does nothing when it does not run. */
  quit(): void {
    places.get(this)?.quit();
  }

  /** Milliseconds that it may take to end what it is at, and again to exit, if not as many as others of its Doist. */
  get endsWithin(): number | undefined {
    return undefined;
  }

  /** Its contexts, in their order: what a Doist runs. By hand: `next()` enters it, each `next(tyme)` is a recur. */
  *do(tymth: Tymth, options: DoOptions = {}): Deeds {
    this.begin(tymth, options);
    let phase: 'recur' | 'clean' | 'over' = 'recur';
    let failure: { readonly error: unknown } | undefined;
    try {
      yield* settled(this.enter({ temp: options.temp ?? this.temp }));
      this.done = yield* this.#recurs(tymth);
      phase = 'clean';
      yield* settled(this.clean());
      phase = 'over';
    } catch (error) {
      failure = { error };
      this.done = false;
      // That it does not clean up is nothing that it could abort.
      if (phase === 'recur') yield* unheard('abort', () => this.abort(error));
      throw error;
    } finally {
      if (failure !== undefined) yield* unheard('exit', () => this.exit());
      else yield* this.#leave(phase === 'over');
    }
    return this.done;
  }

  /** Opens what it needs. @param options `temp`: whether for this time only. */
  enter(_options: { readonly temp: boolean }): Awaitable<unknown> {
    return undefined;
  }

  /**
   * Does its work once, and says whether that was all. As a generator it has all its work in one place: it runs to its
   * first `yield` behind `enter`, each `yield` is how long it rests and is answered with the tyme; what it returns is
   * whether it is complete, true unless it says false.
   *
   * @param tyme in seconds.
   */
  recur(_tyme: number): Awaitable<Recurred> | Doing<Rest | Until | PromiseLike<unknown>> {
    return false;
  }

  /** Behind the last recur, when it is complete. */
  clean(): Awaitable<unknown> {
    return undefined;
  }

  /** Told to end before it is complete. */
  cease(): Awaitable<unknown> {
    return undefined;
  }

  /** `enter` or `recur` has thrown. */
  abort(_error: unknown): Awaitable<unknown> {
    return undefined;
  }

  /** Closes what was opened; always the last one, however it ended. */
  exit(): Awaitable<unknown> {
    return undefined;
  }

  /** What every `do` begins with. */
  protected begin(tymth: Tymth, options: DoOptions): void {
    this.wind(tymth);
    if (options.tock !== undefined) this.tock = options.tock;
    this.#signal = options.signal ?? NEVER;
    this.done = false;
  }

  *#recurs(tymth: Tymth): Generator<Rest | Until | PromiseLike<unknown>, boolean, unknown> {
    if (isGeneratorFunction(this.recur)) return yield* doing(this.recur(tymth()));
    let isDone = false;
    while (!isDone) {
      const tyme = (yield this.tock) as number;
      isDone = Boolean(yield* settled(this.recur(tyme)));
    }
    return true;
  }

  *#leave(isOver: boolean): Steps {
    try {
      if (!isOver) yield* settled(this.cease());
    } finally {
      yield* settled(this.exit());
    }
  }
}

/** A generator of either kind, as steps; true unless it returns false. */
export function* doing(
  work: ReturnType<Doer['recur']>,
): Generator<Rest | Until | PromiseLike<unknown>, boolean, unknown> {
  if (isAsyncGenerator(work)) return (yield* pulled(work)) !== false;
  if (isGenerator(work)) return (yield* work as Deeds) !== false;
  throw new InvalidArgumentError('a generator function of a doer has to return its generator');
}

function* pulled(work: AsyncGenerator<unknown, unknown, number>): Deeds {
  let isOver = false;
  try {
    let next = (yield work.next()) as IteratorResult<Rest>;
    while (next.done !== true) {
      const tyme = (yield next.value) as number;
      next = (yield work.next(tyme)) as IteratorResult<Rest>;
    }
    isOver = true;
    return next.value;
  } finally {
    if (!isOver) yield work.return(undefined);
  }
}

/** For what runs while an error is on its way already: that one counts. */
function* unheard(name: string, context: () => unknown): Steps {
  try {
    yield* settled(context());
  } catch (error) {
    warnThrown(`${name}() of a doer that has failed`, error);
  }
}

function isGenerator(value: unknown): value is Generator<Rest, unknown, number> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value && 'next' in value;
}

function isAsyncGenerator(value: unknown): value is AsyncGenerator<Rest, unknown, number> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value && 'next' in value;
}

/** It has to be known before it is called: a plain recur runs behind the first rest, a generator up to it. */
function isGeneratorFunction(value: unknown): boolean {
  return /^\[object (?:Async)?GeneratorFunction\]$/.test(Object.prototype.toString.call(value));
}
