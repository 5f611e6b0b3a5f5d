// A function over many inputs, on workers of any kind.

import { InvalidArgumentError, PoolError, PoolStateError } from '../errors.js';
import { delay, ownOptions } from '../own-options.js';
import { PersistentWorker, type PersistentWorkerOptions } from '../worker/persistent-worker.js';
import type { WorkerTarget } from '../worker/target.js';
import type { WorkerType } from '../worker/worker-options.js';
import { Inputs, type Source } from './job.js';
import { OwnWorkers } from './own-workers.js';
import {
  checkPoolOptions,
  checkRunOptions,
  checkWorker,
  ownWorkersOf,
  type PersistentWorkerClass,
  type PoolOptions,
  type PoolWorkerOptions,
} from './pool-options.js';
import { PoolRun } from './pool-run.js';
import type { Seat } from './post.js';
import type { PoolResult, RunOptions } from './run-options.js';

let made = 0;

/**
 * Runs a function for every input, on whatever workers are added. Inputs that a worker has lost are given to another;
 * what the function throws is the result of that input alone.
 *
 * @example
 * await using pool = new Pool('./square.js#square');
 * for (let i = 0; i < 4; i++) pool.addWorker('process');
 * console.log(await pool.map([1, 2, 3]));
 */
export class Pool implements AsyncDisposable {
  readonly name: string;
  readonly #target: WorkerTarget;
  readonly #options: PoolOptions;
  readonly #closeTimeout: number;
  readonly #seats: Seat[] = [];
  readonly #own: OwnWorkers | undefined;
  /** Ends of workers that the pool has no more need of. */
  readonly #leaving = new Set<Promise<void>>();
  #count = 0;
  #run: PoolRun<unknown> | undefined;
  #isClosed = false;
  #isRestarting = false;

  /** @throws InvalidArgumentError, OutOfRangeError for bad options. */
  constructor(target: WorkerTarget, given: PoolOptions = {}) {
    const options = checkPoolOptions(given);
    if (!['function', 'string', 'object'].includes(typeof target) || target === null) {
      throw new InvalidArgumentError('a pool is made for a target: a module and an export, or a function');
    }
    this.#closeTimeout = options.closeTimeout ?? 5_000;
    made += 1;
    this.name = options.name ?? `pool ${made}`;
    this.#target = target;
    this.#options = options;
    const own = ownWorkersOf(options);
    if (own === undefined) return;
    try {
      this.#own = new OwnWorkers({
        ...own,
        make: () => this.#make(own.type, own.workerOptions),
        dismiss: (seat) => this.#dismiss(seat),
      });
    } catch (error) {
      for (const worker of this.workers) void worker.terminate();
      throw error;
    }
  }

  /** Those that are alive, and the dead that nobody has followed. */
  get workers(): readonly PersistentWorker[] {
    return this.#seats.map(({ worker }) => worker);
  }

  /**
   * Starts a worker. During a run it takes part at once.
   *
   * @param type a kind, or a class of persistent workers.
   * @throws PoolStateError (ERR_BOSUN_POOL_STATE) when the pool is closed.
   */
  addWorker(type: WorkerType | PersistentWorkerClass, options: PoolWorkerOptions = {}): PersistentWorker {
    this.#assertOpen();
    checkWorker(type, options);
    const seat = this.#make(type, options);
    this.#run?.join(seat);
    return seat.worker;
  }

  /** Takes a worker that was made elsewhere; it is closed with the pool. */
  attach(worker: PersistentWorker): PersistentWorker {
    this.#assertOpen();
    if (!(worker instanceof PersistentWorker)) throw new InvalidArgumentError('a pool takes persistent workers');
    if (this.workers.includes(worker)) throw new InvalidArgumentError(`${worker.name} is in the pool already`);
    const seat = this.#seat(worker, () => worker.restart());
    this.#run?.join(seat);
    return worker;
  }

  /**
   * Works off all inputs.
   *
   * @param sources one item of each is an input, until the first of them ends.
   * @returns the results in the order of the inputs.
   * @throws PoolError (ERR_BOSUN_POOL) with what there is, when an input gave no value; the others are worked off before.
   * @throws PoolStateError (ERR_BOSUN_POOL_STATE) while it runs already, or is closed.
   */
  async run<V = unknown>(sources: readonly Source[], options: RunOptions = {}): Promise<V[]> {
    const values: { readonly index: number; readonly value: V }[] = [];
    const failed: PoolResult<V>[] = [];
    const lost = (): (readonly unknown[])[] => failed.map(({ input }) => input);
    const partial = (): V[] => values.sort((a, b) => a.index - b.index).map(({ value }) => value);
    try {
      for await (const result of this.stream<V>(sources, options)) {
        if ('value' in result) values.push(result as { index: number; value: V });
        else failed.push(result);
      }
    } catch (error) {
      if (!(error instanceof PoolError)) throw error;
      const lostInputs = [...lost(), ...error.lostInputs];
      throw new PoolError(error.message, { cause: error.cause, partialResults: partial(), lostInputs });
    }
    const [first] = failed;
    if (first === undefined) return partial();
    const message = `${failed.length} of ${failed.length + values.length} inputs failed, the first: ${String(first.error)}`;
    throw new PoolError(message, { cause: first.error, partialResults: partial(), lostInputs: lost() });
  }

  /**
   * Works off all inputs and yields what became of each, as it comes. Leaving the loop takes no more inputs; what workers
   * have they finish, unheard.
   *
   * @throws PoolError, PoolStateError as `run`; an input that fails is yielded with its `error`.
   */
  async *stream<V = unknown>(sources: readonly Source[], given: RunOptions = {}): AsyncGenerator<PoolResult<V>> {
    this.#assertIdle();
    const options = checkRunOptions(given);
    const inputs = new Inputs(sources);
    const { retry = true, maxCrashes = 3, maxTasks = Number.MAX_SAFE_INTEGER, maxMemory, maxAge } = this.#options;
    const run = new PoolRun<V>(inputs, {
      ...options,
      retry,
      maxCrashes,
      maxTasks,
      maxMemory,
      maxAge,
      retire: (worker) => this.#retire(worker),
      replace: (seat) => (this.#mayFollow(seat) ? this.#replace(seat) : undefined),
      canGrow: () => !this.#isClosed && this.#own?.canGrow === true,
      grow: (waiting) => this.#own?.grow(waiting) ?? [],
      atWork: (seat, isAtWork) => this.#own?.atWork(seat, isAtWork),
    });
    this.#run = run as PoolRun<unknown>;
    try {
      const dead = this.#seats.filter((seat) => !seat.worker.isAlive() && this.#mayFollow(seat));
      await Promise.all(dead.map((seat) => this.#replace(seat)));
      const alive = this.#seats.filter(({ worker }) => worker.isAlive());
      if (alive.length === 0) alive.push(...(this.#own?.grow(1) ?? []));
      if (alive.length === 0) throw new PoolError('the pool has no worker that is alive: addWorker first');
      for (const seat of alive) run.join(seat);
      for (let next = await run.results.take(); !next.done; next = await run.results.take()) {
        run.taken();
        yield next.value;
      }
    } finally {
      this.#run = undefined;
      run.stop();
    }
    const { failure, lostInputs } = run;
    if (failure !== undefined) {
      if (failure instanceof PoolError) throw new PoolError(failure.message, { cause: failure.cause, lostInputs });
      throw failure;
    }
    if (run.isComplete) return;
    const message = 'the pool could not work off all inputs: workers have died with some, or all of them have';
    throw new PoolError(message, { lostInputs });
  }

  /** The results for one source, in its order. @throws as `run`. */
  map<V = unknown>(source: Source, options: RunOptions = {}): Promise<V[]> {
    return this.run<V>([source], options);
  }

  /** The results for one source as soon as all before them are there. Throws at the first input that failed. */
  async *imap<V = unknown>(source: Source, options: RunOptions = {}): AsyncGenerator<V> {
    const early = new Map<number, PoolResult<V>>();
    let index = 0;
    for await (const result of this.stream<V>([source], options)) {
      early.set(result.index, result);
      for (let next = early.get(index); next !== undefined; next = early.get(index)) {
        early.delete(index);
        index += 1;
        yield valueOf(next);
      }
    }
  }

  /** The results for one source as they come. Throws at the first input that failed. */
  async *imapUnordered<V = unknown>(source: Source, options: RunOptions = {}): AsyncGenerator<V> {
    for await (const result of this.stream<V>([source], options)) yield valueOf(result);
  }

  /** Every worker anew, the dead too; inputs of the last run do not count any more in their results. */
  async restartWorkers(): Promise<void> {
    this.#assertIdle();
    this.#isRestarting = true;
    const seats = [...this.#seats];
    for (const seat of seats) this.#own?.atWork(seat, true);
    try {
      await Promise.all(this.workers.map((worker) => worker.restart({ wait: this.#closeTimeout })));
    } finally {
      this.#isRestarting = false;
      for (const seat of seats) this.#own?.atWork(seat, false);
    }
  }

  /**
   * Lets the workers end; those that do not within the time are terminated.
   *
   * @param timeout milliseconds; `closeTimeout` unless given.
   * @throws PoolStateError (ERR_BOSUN_POOL_STATE) during a run.
   */
  async close(timeout = this.#closeTimeout): Promise<void> {
    delay('timeout', timeout);
    this.#assertNotRunning();
    this.#shut();
    await Promise.all([...this.workers.map((worker) => this.#end(worker, timeout)), ...this.#leaving]);
  }

  /** Terminates the workers; a run fails with a PoolError. */
  async terminate(timeout = 1_000): Promise<void> {
    delay('timeout', timeout);
    this.#shut();
    await Promise.all([...this.workers.map((worker) => worker.terminate({ timeout })), ...this.#leaving]);
    this.#run?.fail(new PoolError('the pool was terminated'));
  }

  /** `close()`, or `terminate()` during a run. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#run === undefined ? this.close() : this.terminate();
  }

  #shut(): void {
    this.#isClosed = true;
    this.#own?.end();
  }

  #make(type: WorkerType | PersistentWorkerClass, options: PoolWorkerOptions): Seat {
    const { args, kwargs, allowInline } = this.#options;
    const all: PersistentWorkerOptions = {
      name: `${this.name} worker ${this.#count}`,
      userId: this.#count,
      ...ownOptions(options, 'the options of a worker'),
      target: this.#target,
      onError: 'report',
      ...(args !== undefined && { args }),
      ...(kwargs !== undefined && { kwargs }),
      ...(allowInline !== undefined && { allowInline }),
    };
    const make = () => (typeof type === 'string' ? PersistentWorker.create(type, all) : new type(all));
    return this.#seat(make(), async () => make(), all.signal);
  }

  #seat(worker: PersistentWorker, next: Seat['next'], signal?: AbortSignal): Seat {
    const seat: Seat = { number: this.#count, worker, next, signal };
    this.#count += 1;
    this.#seats.push(seat);
    return seat;
  }

  /** It has had nothing to do for long. */
  #dismiss(seat: Seat): boolean {
    if (this.#run?.release(seat) === false) return false;
    this.#seats.splice(this.#seats.indexOf(seat), 1);
    const end = this.#end(seat.worker).finally(() => this.#leaving.delete(end));
    this.#leaving.add(end);
    return true;
  }

  /** Nobody follows a worker that its own signal has ended. */
  #mayFollow({ worker, signal }: Seat): boolean {
    const { replaceDead = true } = this.#options;
    return !this.#isClosed && signal?.aborted !== true && (replaceDead || worker.hasRetired);
  }

  #retire(worker: PersistentWorker): Promise<void> {
    worker.retire();
    return this.#end(worker);
  }

  async #end(worker: PersistentWorker, timeout = this.#closeTimeout): Promise<void> {
    if (!(await worker.wait(timeout))) await worker.terminate();
  }

  async #replace(seat: Seat): Promise<void> {
    seat.worker = await seat.next();
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new PoolStateError(`${this.name} is closed`);
  }

  #assertNotRunning(): void {
    if (this.#run === undefined && !this.#isRestarting) return;
    throw new PoolStateError(`${this.name} is running, or being restarted: wait for that, or terminate it`);
  }

  #assertIdle(): void {
    this.#assertOpen();
    this.#assertNotRunning();
  }
}

function valueOf<V>(result: PoolResult<V>): V {
  if ('error' in result) throw result.error;
  return result.value;
}
