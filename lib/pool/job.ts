// One input of a pool, and where inputs come from.

import { InvalidArgumentError } from '../errors.js';
import { isThenable } from '../thenable.js';
import type { PersistentWorker } from '../worker/persistent-worker.js';

/** Items, or a function that makes one for the worker which is about to get it; `undefined` from it ends the inputs. */
export type Source = Iterable<unknown> | AsyncIterable<unknown> | ((worker: PersistentWorker) => unknown);

/** An input: one item of each source. */
export interface Job {
  readonly index: number;
  readonly input: readonly unknown[];
  /** Those of one key go to one worker; undefined for any. */
  key: unknown;
  /** Seats whose worker died of it, or with it. */
  readonly costs: number[];
  /** Seats whose worker is not to have it, as long as nothing else has ended. */
  readonly refusals: Set<number>;
}

type Next = (worker: PersistentWorker) => unknown;

const OVER = Symbol('a source has ended');

interface OpenSource {
  readonly next: Next;
  /** It learns that nobody wants more. */
  readonly close?: () => unknown;
  /** How many items it has, if it can be known. */
  readonly size: number;
  /** It wants to know who gets the item. */
  readonly isFunction: boolean;
}

/** Takes one item of each source at a time, until the first of them ends. */
export class Inputs {
  readonly #sources: readonly OpenSource[];
  readonly #size: number;
  #count = 0;
  #isOver = false;

  /** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for what is no list of sources. */
  constructor(sources: readonly Source[]) {
    if (!Array.isArray(sources) || sources.length === 0) {
      throw new InvalidArgumentError('sources are a list of iterables or functions: [inputs]');
    }
    this.#sources = sources.map(open);
    this.#size = Math.min(...this.#sources.map(({ size }) => size));
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** How many there are still; Infinity when nobody knows. */
  get left(): number {
    return this.#isOver ? 0 : Math.max(0, this.#size - this.#count);
  }

  /** Nothing can be taken before it is known for whom. */
  get needsWorker(): boolean {
    return this.#sources.some(({ isFunction }) => isFunction);
  }

  /**
   * Undefined when there is none. At once if every source gives its item at once; else nobody is to call it meanwhile.
   *
   * @param worker who gets it; only without need for that it may be left away.
   * @throws what a source throws, and then there are no more.
   */
  take(worker?: PersistentWorker): Job | undefined | Promise<Job | undefined> {
    return this.#next(worker as PersistentWorker, []);
  }

  /** Sources that have a way to be told so learn that nobody wants more. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const { close } of this.#sources) void (async () => close?.())().catch(() => {});
  }

  #next(worker: PersistentWorker, input: unknown[]): Job | undefined | Promise<Job | undefined> {
    if (this.#isOver) return undefined;
    try {
      while (input.length < this.#sources.length) {
        const item = (this.#sources[input.length] as OpenSource).next(worker);
        if (isThenable(item)) return this.#wait(worker, input, item);
        if (!this.#add(item, input)) return undefined;
      }
    } catch (error) {
      this.end();
      throw error;
    }
    this.#count += 1;
    return { index: this.#count - 1, input, key: undefined, costs: [], refusals: new Set() };
  }

  async #wait(worker: PersistentWorker, input: unknown[], item: PromiseLike<unknown>): Promise<Job | undefined> {
    try {
      if (!this.#add(await item, input)) return undefined;
    } catch (error) {
      this.end();
      throw error;
    }
    return this.#next(worker, input);
  }

  #add(item: unknown, input: unknown[]): boolean {
    if (item === OVER || this.#isOver) {
      this.end();
      return false;
    }
    input.push(item);
    return true;
  }
}

function open(source: Source): OpenSource {
  if (typeof source === 'function') {
    const ask = async (item: PromiseLike<unknown>): Promise<unknown> => itemOf(await item);
    const itemOf = (item: unknown): unknown => (item === undefined ? OVER : item);
    const next = (worker: PersistentWorker): unknown => {
      const item = source(worker);
      return isThenable(item) ? ask(item) : itemOf(item);
    };
    return { next, size: Number.POSITIVE_INFINITY, isFunction: true };
  }
  const iterator = iteratorOf(source);
  const stepOf = ({ done, value }: IteratorResult<unknown>): unknown => (done === true ? OVER : value);
  const next = (): unknown => {
    const step = iterator.next();
    return isThenable(step) ? step.then(stepOf) : stepOf(step);
  };
  return { next, close: () => iterator.return?.(), size: sizeOf(source), isFunction: false };
}

function sizeOf(source: Iterable<unknown> | AsyncIterable<unknown>): number {
  if (Array.isArray(source) || ArrayBuffer.isView(source)) return (source as readonly unknown[]).length;
  return source instanceof Set || source instanceof Map ? source.size : Number.POSITIVE_INFINITY;
}

function iteratorOf(source: unknown): Iterator<unknown> | AsyncIterator<unknown> {
  if (typeof source === 'object' && source !== null) {
    if (Symbol.asyncIterator in source) return (source as AsyncIterable<unknown>)[Symbol.asyncIterator]();
    if (Symbol.iterator in source) return (source as Iterable<unknown>)[Symbol.iterator]();
  }
  throw new InvalidArgumentError(`a source is an iterable or a function, not ${typeof source}: [inputs]`);
}
