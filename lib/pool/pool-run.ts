// One run of a pool: which input goes to which worker, and what becomes of those that a dead worker had.

import { PoisonedInputError, PoolError, WorkerClosedError, WorkerLostError, WorkerTerminatedError } from '../errors.js';
import { Mailbox } from '../worker/mailbox.js';
import type { PersistentWorker } from '../worker/persistent-worker.js';
import type { Inputs, Job } from './job.js';

/** What became of an input. */
export type PoolResult<V> =
  | { readonly index: number; readonly input: readonly unknown[]; readonly value: V; readonly error?: undefined }
  | { readonly index: number; readonly input: readonly unknown[]; readonly error: unknown; readonly value?: undefined };

/** What happens to a worker during a run. */
export type PoolWorkerEvent = 'enqueued' | 'finished' | 'idle' | 'died';

/** Options of one run. */
export interface RunOptions {
  /** Inputs that a worker has beside the one that it works on; 0 unless given. */
  readonly extraPendingInputs?: number;
  /** Told of every worker; `result` comes with `finished`. */
  readonly workerCallback?: (event: PoolWorkerEvent, worker: PersistentWorker, result?: unknown) => void;
  /** False keeps the input from this worker: another one gets it, or this one when something else has ended. */
  readonly enqueueFn?: (worker: PersistentWorker, input: readonly unknown[]) => boolean;
}

/** A place for a worker; who dies is followed by another. */
export interface Seat {
  readonly number: number;
  worker: PersistentWorker;
}

export interface PoolRunOptions extends RunOptions {
  readonly retry: boolean;
  readonly maxCrashes: number;
  /** Resolves when the seat has another worker; undefined when it stays empty. */
  replace(seat: Seat): Promise<void> | undefined;
}

/** A target that cannot even be loaded ends one worker after the other: so many of each seat, and nothing in between. */
const BARREN_DEATHS = 3;

/** Results that wait for a slow reader, for each worker. */
const UNREAD = 4;

export class PoolRun<V> {
  readonly #inputs: Inputs;
  readonly #options: PoolRunOptions;
  readonly #seats = new Set<Seat>();
  readonly #again: Job[] = [];
  readonly #lost: Job[] = [];
  readonly results = new Mailbox<PoolResult<V>>();
  #lanes = 0;
  /** Each has several lanes, and is followed by one. */
  readonly #buried = new WeakSet<PersistentWorker>();
  #idle = 0;
  #held = 0;
  #replacing = 0;
  #barren = 0;
  #isOver = false;
  #failure: unknown;
  #changed: (() => void)[] = [];

  constructor(inputs: Inputs, options: PoolRunOptions) {
    this.#inputs = inputs;
    this.#options = options;
  }

  /** Why it could not be worked off. */
  get failure(): unknown {
    return this.#failure;
  }

  /** That nobody has worked off, `retry: false`. */
  get lostInputs(): readonly (readonly unknown[])[] {
    return [...this.#lost, ...this.#again].map(({ input }) => input);
  }

  /** Every input has a result. */
  get isComplete(): boolean {
    return this.#inputs.isOver && this.#again.length + this.#lost.length === 0;
  }

  /** A worker takes part. */
  join(seat: Seat): void {
    this.#seats.add(seat);
    const width = 1 + (this.#options.extraPendingInputs ?? 0);
    for (let i = 0; i < width; i++) void this.#lane(seat);
  }

  /** Nobody reads any more; what workers have, they finish. */
  stop(): void {
    this.#inputs.end();
    this.#over();
  }

  /** Somebody has read a result. */
  wake(): void {
    for (const resolve of this.#changed.splice(0)) resolve();
  }

  async #lane(seat: Seat): Promise<void> {
    this.#lanes += 1;
    const { worker } = seat;
    try {
      while (!this.#isOver && worker.isAlive()) {
        const job = await this.#take(seat);
        if (job === undefined) break;
        await this.#work(job, seat, worker);
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#lanes -= 1;
    if (!worker.isAlive() && !this.#buried.has(worker)) {
      this.#buried.add(worker);
      this.#seats.delete(seat);
      await this.#onDeath(seat);
    }
    if (this.#lanes === 0 && this.#seats.size === 0) this.#over();
    this.wake();
  }

  /** The next input for this worker; waits for those that others have and may lose. */
  async #take(seat: Seat): Promise<Job | undefined> {
    const { worker } = seat;
    for (let isIdle = false; ; ) {
      if (this.#isOver || !worker.isAlive()) return undefined;
      if (this.results.size < UNREAD * (this.#seats.size + 1)) {
        const job = this.#takeAgain(seat) ?? (this.#inputs.isOver ? undefined : await this.#takeNew(worker));
        if (job !== undefined && !this.#isOver) {
          if (this.#options.enqueueFn?.(worker, job.input) !== false) return job;
          this.#again.unshift(job);
          this.#held -= 1;
        } else if (this.#held === 0 && this.#again.length === 0 && this.#inputs.isOver) {
          this.#over();
          return undefined;
        }
      }
      if (!isIdle) this.#options.workerCallback?.('idle', worker);
      isIdle = true;
      this.#idle += 1;
      if (this.#isRefused())
        this.#fail(new PoolError('enqueueFn keeps an input from every worker, and nothing else runs'));
      await new Promise<void>((resolve) => this.#changed.push(resolve));
      this.#idle -= 1;
    }
  }

  /** Nothing will happen any more, and something is left. */
  #isRefused(): boolean {
    return this.#idle === this.#lanes && this.#held + this.#replacing === 0 && this.results.size === 0;
  }

  /** Not to a seat whose worker it has cost, while others have not tried. */
  #takeAgain(seat: Seat): Job | undefined {
    const mayTake = ({ costs }: Job) =>
      !costs.includes(seat.number) || [...this.#seats].every(({ number }) => costs.includes(number));
    const index = this.#again.findIndex(mayTake);
    if (index === -1) return undefined;
    const [job] = this.#again.splice(index, 1);
    this.#held += 1;
    return job;
  }

  async #takeNew(worker: PersistentWorker): Promise<Job | undefined> {
    // Counted before it is there: nobody may think meanwhile that nothing is left.
    this.#held += 1;
    const job = await this.#inputs.take(worker).catch((error: unknown) => {
      this.#fail(error);
      return undefined;
    });
    if (job === undefined) {
      this.#held -= 1;
      this.wake();
    }
    return job;
  }

  async #work(job: Job, seat: Seat, worker: PersistentWorker): Promise<void> {
    const { workerCallback } = this.#options;
    const { index, input } = job;
    try {
      const call = worker.call(...input) as Promise<V>;
      workerCallback?.('enqueued', worker);
      const value = await call;
      this.#barren = 0;
      this.results.put({ index, input, value });
      workerCallback?.('finished', worker, value);
    } catch (error) {
      if (error instanceof WorkerClosedError) this.#again.unshift(job);
      else if (error instanceof WorkerLostError || error instanceof WorkerTerminatedError)
        this.#onLost(job, seat, error);
      else this.results.put({ index, input, error });
    }
    this.#held -= 1;
    this.wake();
  }

  #onLost(job: Job, { number }: Seat, cause: Error): void {
    const { index, input, costs } = job;
    costs.push(number);
    if (costs.length >= this.#options.maxCrashes) {
      this.results.put({ index, input, error: new PoisonedInputError(input, costs.length, { cause }) });
    } else if (this.#options.retry) {
      this.#again.push(job);
    } else {
      this.#lost.push(job);
    }
  }

  async #onDeath(seat: Seat): Promise<void> {
    this.#options.workerCallback?.('died', seat.worker);
    this.#barren += 1;
    if (this.#isOver) return;
    if (this.#barren > BARREN_DEATHS * (this.#seats.size + 1)) {
      const why = seat.worker.error;
      this.#fail(new PoolError('the workers of the pool end as fast as they are started', { cause: why }));
      return;
    }
    // It takes a while; the others go on, and the run is not over before.
    this.#seats.add(seat);
    this.#replacing += 1;
    try {
      const replaced = this.#options.replace(seat);
      await replaced;
      this.#seats.delete(seat);
      if (replaced !== undefined && !this.#isOver) this.join(seat);
    } catch (error) {
      this.#seats.delete(seat);
      this.#fail(error);
    } finally {
      this.#replacing -= 1;
    }
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.#failure = error;
    this.stop();
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.results.end();
    this.wake();
  }
}
