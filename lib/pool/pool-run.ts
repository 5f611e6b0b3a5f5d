// One run of a pool: which input goes to which worker, and what becomes of those that a dead worker had.

import { PoisonedInputError, PoolError, WorkerClosedError, WorkerLostError, WorkerTerminatedError } from '../errors.js';
import { Mailbox } from '../worker/mailbox.js';
import type { Outcome, PersistentWorker } from '../worker/persistent-worker.js';
import type { Inputs, Job } from './job.js';
import { Post, type Seat } from './post.js';
import { Waiting } from './waiting.js';

/** What became of an input. */
export type PoolResult<V> =
  | { readonly index: number; readonly input: readonly unknown[]; readonly value: V; readonly error?: undefined }
  | { readonly index: number; readonly input: readonly unknown[]; readonly error: unknown; readonly value?: undefined };

/** What happens to a worker during a run. */
export type PoolWorkerEvent = 'enqueued' | 'finished' | 'idle' | 'died';

/** Options of one run. */
export interface RunOptions {
  /**
   * Inputs that a worker has at once, in one message; it is given more when half of them are done. 1 unless given, and for
   * short functions `'auto'`: about a millisecond of work, as measured, up to 64, and fewer when few are left, if the sources
   * are arrays, sets or maps. An input waits for those before it in its chunk, however long one of them takes.
   */
  readonly chunkSize?: number | 'auto';
  /** Inputs that a worker has beside those; 0 unless given. */
  readonly extraPendingInputs?: number;
  /** Told of every worker; `result` comes with `finished`. What it throws fails the run. */
  readonly workerCallback?: (event: PoolWorkerEvent, worker: PersistentWorker, result?: unknown) => void;
  /** False keeps the input from this worker: another one gets it, or this one when something else has ended. */
  readonly enqueueFn?: (worker: PersistentWorker, input: readonly unknown[]) => boolean;
}

export interface PoolRunOptions extends RunOptions {
  readonly retry: boolean;
  readonly maxCrashes: number;
  readonly maxTasks: number;
  /** Makes a worker end that has worked off its share. */
  retire(worker: PersistentWorker): Promise<void>;
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
  readonly #extra: number;
  readonly #posts = new Set<Post>();
  readonly #waiting = new Waiting();
  readonly #lost: Job[] = [];
  readonly results = new Mailbox<PoolResult<V>>();
  #held = 0;
  #fetching = 0;
  #replacing = 0;
  #barren = 0;
  #isOver = false;
  /** The reader is slow. */
  #isThrottled = false;
  #failure: unknown;
  #sleepers: (() => void)[] = [];

  constructor(inputs: Inputs, options: PoolRunOptions) {
    this.#inputs = inputs;
    this.#options = options;
    this.#extra = options.extraPendingInputs ?? 0;
  }

  /** Every input has a result. */
  get isComplete(): boolean {
    return this.#inputs.isOver && this.#waiting.size + this.#lost.length === 0;
  }

  get #unread(): number {
    return UNREAD * this.#posts.size;
  }

  /** Why it could not be worked off. */
  get failure(): unknown {
    return this.#failure;
  }

  /** That nobody has worked off. */
  get lostInputs(): readonly (readonly unknown[])[] {
    return [...this.#lost.map(({ input }) => input), ...this.#waiting.inputs];
  }

  /** A worker takes part. */
  join(seat: Seat): void {
    void this.#serve(seat);
  }

  /** Nobody reads any more; what workers have, they finish. */
  stop(): void {
    this.#over();
    this.#inputs.end();
  }

  /** It cannot go on. */
  fail(error: unknown): void {
    if (this.#isOver) return;
    this.#failure = error;
    this.stop();
  }

  /** A result was read: who has waited for that goes on. */
  taken(): void {
    if (!this.#isThrottled || this.results.size >= this.#unread) return;
    this.#isThrottled = false;
    this.wake();
  }

  /** Something has changed that somebody may wait for. */
  wake(): void {
    for (const resolve of this.#sleepers.splice(0)) resolve();
  }

  async #serve(seat: Seat): Promise<void> {
    const { worker } = seat;
    const post = new Post(seat);
    this.#posts.add(post);
    const wake = () => this.wake();
    worker.once('exit', wake);
    try {
      await this.#feed(post);
    } catch (error) {
      this.fail(error);
    }
    worker.off('exit', wake);
    this.#posts.delete(post);
    if (!this.#isOver) await this.#follow(post);
    if (this.#posts.size + this.#replacing === 0) this.#over();
    this.wake();
  }

  /** Ends with the run, or when the worker has ended and every input that it had is settled. */
  async #feed(post: Post): Promise<void> {
    const { worker } = post;
    while (!this.#isOver) {
      if (post.isEnding || !worker.isAlive()) {
        if (post.held === 0) return;
        await this.#change();
        continue;
      }
      if (await this.#refill(post)) continue;
      if (post.held === 0 && post.begun >= this.#options.maxTasks) return;
      if (post.held === 0 && !post.isIdle) {
        post.isIdle = true;
        this.#tell('idle', post);
      }
      if (this.#isFinished()) this.#over();
      else if (this.#isRefused())
        this.fail(new PoolError('enqueueFn keeps an input from every worker, and nothing else runs'));
      else await this.#change();
    }
  }

  /** Gives the worker what it has room for, if there is something. */
  async #refill(post: Post): Promise<boolean> {
    const chunk = this.#chunkOf(post);
    const room = this.#roomOf(post, chunk);
    let count = 0;
    for (; count < room; count++) {
      // An await costs more than a short input.
      const taken = this.#next(post);
      const job = taken instanceof Promise ? await taken : taken;
      if (job === undefined) break;
      if (!this.#isUsable(post)) {
        this.#waiting.add(job);
        break;
      }
      if (count === 0) post.given(chunk);
      this.#begin(job, post);
    }
    return count > 0;
  }

  #isUsable(post: Post): boolean {
    return !post.isEnding && post.worker.isAlive() && !this.#isOver;
  }

  #chunkOf(post: Post): number {
    const { chunkSize = 1 } = this.#options;
    if (chunkSize !== 'auto') return chunkSize;
    // So that those who are done first find something to do.
    const share = Math.ceil((this.#inputs.left + this.#waiting.size) / (2 * this.#posts.size));
    return Math.max(1, Math.min(post.fitting, share));
  }

  #roomOf(post: Post, chunk: number): number {
    this.#isThrottled ||= this.results.size >= this.#unread;
    if (this.#isThrottled || post.held > this.#extra + (chunk >> 1)) return 0;
    return Math.min(chunk + this.#extra - post.held, this.#options.maxTasks - post.begun);
  }

  /** An input for this worker, if there is one; at once if it can be. */
  #next(post: Post): Job | undefined | Promise<Job | undefined> {
    const waiting = this.#waiting.take((job) => this.#mayTake(post, job) && this.#accepts(post, job));
    if (waiting !== undefined || this.#inputs.isOver || this.#hasRefused(post)) return waiting;
    const taken = this.#inputs.take(post.worker);
    return taken instanceof Promise ? this.#fetch(post, taken) : this.#offer(post, taken);
  }

  async #fetch(post: Post, taken: Promise<Job | undefined>): Promise<Job | undefined> {
    this.#fetching += 1;
    try {
      return this.#offer(post, await taken);
    } finally {
      this.#fetching -= 1;
    }
  }

  #offer(post: Post, job: Job | undefined): Job | undefined {
    if (job === undefined) this.wake();
    if (job === undefined || this.#accepts(post, job)) return job;
    this.#waiting.add(job);
    this.wake();
    return undefined;
  }

  /** Not where it has cost a worker, while others have not tried. */
  #mayTake({ seat: { number } }: Post, { costs, refusals }: Job): boolean {
    if (refusals.has(number)) return false;
    if (!costs.includes(number)) return true;
    return [...this.#posts].every(({ seat }) => costs.includes(seat.number) || refusals.has(seat.number));
  }

  #accepts({ seat, worker }: Post, job: Job): boolean {
    if (this.#options.enqueueFn?.(worker, job.input) !== false) return true;
    job.refusals.add(seat.number);
    this.wake();
    return false;
  }

  #hasRefused({ seat }: Post): boolean {
    return this.#waiting.some(({ refusals }) => refusals.has(seat.number));
  }

  #begin(job: Job, post: Post): void {
    post.held += 1;
    post.begun += 1;
    post.isIdle = false;
    this.#held += 1;
    let refusal: unknown;
    try {
      post.worker.submit(job.input, (outcome, micros) => this.#onOutcome(job, post, outcome as Outcome<V>, micros));
    } catch (error) {
      refusal = error;
    }
    this.#tell('enqueued', post);
    if (refusal !== undefined) this.#onOutcome(job, post, { error: refusal }, 0);
  }

  #onOutcome(job: Job, post: Post, outcome: Outcome<V>, micros: number): void {
    const { index, input } = job;
    const error = 'error' in outcome ? outcome.error : undefined;
    if (error instanceof WorkerClosedError) {
      // It ends, and had not begun with this.
      post.isEnding = true;
      this.#waiting.add(job);
    } else if (error instanceof WorkerLostError || error instanceof WorkerTerminatedError) {
      post.isEnding = true;
      this.#onLost(job, post.seat, error);
    } else {
      this.#barren = 0;
      if (micros > 0) post.measured(micros);
      this.results.put({ index, input, ...outcome });
      if ('value' in outcome) this.#tell('finished', post, outcome.value);
    }
    this.#settled(post);
  }

  #settled(post: Post): void {
    post.held -= 1;
    this.#held -= 1;
    this.#waiting.forgetRefusals();
    this.wake();
  }

  #onLost(job: Job, { number }: Seat, cause: Error): void {
    const { index, input, costs } = job;
    costs.push(number);
    if (costs.length >= this.#options.maxCrashes) {
      this.results.put({ index, input, error: new PoisonedInputError(input, costs.length, { cause }) });
    } else if (this.#options.retry) {
      this.#waiting.add(job);
    } else {
      this.#lost.push(job);
    }
  }

  /** The worker has ended, or is about to; another takes its seat. The run is not over before. */
  async #follow(post: Post): Promise<void> {
    const { seat, worker } = post;
    this.#replacing += 1;
    try {
      if (post.isEnding || !worker.isAlive()) {
        // Whoever closed it may start it again.
        await worker.ended();
        if (worker.isAlive()) {
          this.#rejoin(seat);
          return;
        }
        this.#tell('died', post);
        this.#barren += 1;
      } else {
        await this.#options.retire(worker);
      }
      if (this.#barren > BARREN_DEATHS * (this.#posts.size + 1)) {
        const cause = worker.error;
        this.fail(new PoolError('the workers of the pool end as fast as they are started', { cause }));
      }
      if (this.#isOver) return;
      const replaced = this.#options.replace(seat);
      await replaced;
      if (replaced !== undefined) this.#rejoin(seat);
    } catch (error) {
      this.fail(error);
    } finally {
      this.#replacing -= 1;
    }
  }

  #rejoin(seat: Seat): void {
    if (!this.#isOver) this.join(seat);
  }

  #tell(event: PoolWorkerEvent, { worker }: Post, result?: unknown): void {
    try {
      this.#options.workerCallback?.(event, worker, result);
    } catch (error) {
      this.fail(error);
    }
  }

  #isFinished(): boolean {
    return this.#inputs.isOver && this.#held + this.#fetching + this.#waiting.size === 0;
  }

  /** Nothing will happen any more, and something is left. */
  #isRefused(): boolean {
    if (this.#held + this.#fetching + this.#replacing > 0 || this.results.size > 0) return false;
    return this.#waiting.some((job) => [...this.#posts].every((post) => !this.#mayTake(post, job)));
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#sleepers.push(resolve);
    });
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.results.end();
    this.wake();
  }
}
