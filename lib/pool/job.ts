// One input of a pool, and where inputs come from.

import { InvalidArgumentError } from '../errors.js';
import type { PersistentWorker } from '../worker/persistent-worker.js';

/** Items, or a function that makes one for the worker which is about to get it; `undefined` from it ends the inputs. */
export type Source = Iterable<unknown> | AsyncIterable<unknown> | ((worker: PersistentWorker) => unknown);

/** An input: one item of each source. */
export interface Job {
  readonly index: number;
  readonly input: readonly unknown[];
  /** Seats whose worker died of it, or with it. */
  readonly costs: number[];
  /** Seats whose worker is not to have it, as long as nothing else has ended. */
  readonly refusals: Set<number>;
}

type Next = (worker: PersistentWorker) => unknown;

const OVER = Symbol('a source has ended');

/** Takes one item of each source at a time, until the first of them ends; one caller after the other. */
export class Inputs {
  readonly #sources: readonly Next[];
  readonly #close: readonly (() => unknown)[];
  #turn: Promise<unknown> = Promise.resolve();
  #count = 0;
  #isOver = false;

  /** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for what is no list of sources. */
  constructor(sources: readonly Source[]) {
    if (!Array.isArray(sources) || sources.length === 0) {
      throw new InvalidArgumentError('sources are a list of iterables or functions: [inputs]');
    }
    const close: (() => unknown)[] = [];
    this.#sources = sources.map((source) => open(source, close));
    this.#close = close;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Undefined when there is none. Rejects with what a source throws, and then there are no more. */
  take(worker: PersistentWorker): Promise<Job | undefined> {
    const job = this.#turn.then(() => this.#next(worker));
    this.#turn = job.catch(() => {});
    return job;
  }

  /** Sources that have a way to be told so learn that nobody wants more. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const close of this.#close) void (async () => close())().catch(() => {});
  }

  async #next(worker: PersistentWorker): Promise<Job | undefined> {
    if (this.#isOver) return undefined;
    const input: unknown[] = [];
    try {
      for (const next of this.#sources) {
        const item = await next(worker);
        if (item === OVER || this.#isOver) {
          this.end();
          return undefined;
        }
        input.push(item);
      }
    } catch (error) {
      this.end();
      throw error;
    }
    this.#count += 1;
    return { index: this.#count - 1, input, costs: [], refusals: new Set() };
  }
}

function open(source: Source, close: (() => unknown)[]): Next {
  if (typeof source === 'function') {
    return async (worker) => {
      const item = await source(worker);
      return item === undefined ? OVER : item;
    };
  }
  const iterator = iteratorOf(source);
  close.push(() => iterator.return?.());
  return async () => {
    const step = await iterator.next();
    return step.done === true ? OVER : step.value;
  };
}

function iteratorOf(source: unknown): Iterator<unknown> | AsyncIterator<unknown> {
  if (typeof source === 'object' && source !== null) {
    if (Symbol.asyncIterator in source) return (source as AsyncIterable<unknown>)[Symbol.asyncIterator]();
    if (Symbol.iterator in source) return (source as Iterable<unknown>)[Symbol.iterator]();
  }
  throw new InvalidArgumentError(`a source is an iterable or a function, not ${typeof source}: [inputs]`);
}
