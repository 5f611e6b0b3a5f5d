// One run of a pool: which input goes to which worker, and what becomes of those that a dead worker had.

import { PoisonedInputError, PoolError, WorkerClosedError, WorkerLostError, WorkerTerminatedError } from '../errors.js';
import { Mailbox } from '../mailbox.js';
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
  /** Told of every worker; `result` comes with `finished`. What it throws fails the run. */
  readonly workerCallback?: (event: PoolWorkerEvent, worker: PersistentWorker, result?: unknown) => void;
  /** False keeps the input from this worker: another one gets it, or this one when something else has ended. */
  readonly enqueueFn?: (worker: PersistentWorker, input: readonly unknown[]) => boolean;
}

/** A place for a worker; who dies is followed by another. */
export interface Seat {
  readonly number: number;
  worker: PersistentWorker;
  /** Makes who follows it. */
  readonly next: () => Promise<PersistentWorker>;
  /** That the worker was made with. */
  readonly signal: AbortSignal | undefined;
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

/** A worker's part in the run. */
interface Post {
  readonly seat: Seat;
  readonly worker: PersistentWorker;
  /** Inputs that it has. */
  held: number;
  begun: number;
  /** It takes no more, and will be dead soon. */
  isEnding: boolean;
  isIdle: boolean;
}

export class PoolRun<V> {
  readonly #inputs: Inputs;
  readonly #options: PoolRunOptions;
  readonly #width: number;
  readonly #posts = new Set<Post>();
  readonly #again: Job[] = [];
  readonly #lost: Job[] = [];
  readonly results = new Mailbox<PoolResult<V>>();
  #held = 0;
  #fetching = 0;
  #replacing = 0;
  #barren = 0;
  #isOver = false;
  #failure: unknown;
  #waiting: (() => void)[] = [];

  constructor(inputs: Inputs, options: PoolRunOptions) {
    this.#inputs = inputs;
    this.#options = options;
    this.#width = 1 + (options.extraPendingInputs ?? 0);
  }

  /** Every input has a result. */
  get isComplete(): boolean {
    return this.#inputs.isOver && this.#again.length + this.#lost.length === 0;
  }

  /** Why it could not be worked off. */
  get failure(): unknown {
    return this.#failure;
  }

  /** That nobody has worked off. */
  get lostInputs(): readonly (readonly unknown[])[] {
    return [...this.#lost, ...this.#again].map(({ input }) => input);
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

  /** Something has changed that somebody may wait for. */
  wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  async #serve(seat: Seat): Promise<void> {
    const { worker } = seat;
    const post: Post = { seat, worker, held: 0, begun: 0, isEnding: false, isIdle: false };
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
      const job = await this.#next(post);
      if (job !== undefined) {
        if (post.isEnding || !worker.isAlive() || this.#isOver) this.#again.unshift(job);
        else this.#begin(job, post);
        continue;
      }
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

  /** An input for this worker, if it has room and there is one. */
  async #next(post: Post): Promise<Job | undefined> {
    if (post.held >= this.#width || post.begun >= this.#options.maxTasks) return undefined;
    if (this.results.size >= UNREAD * this.#posts.size) return undefined;
    const again = this.#takeAgain(post);
    if (again !== undefined || this.#inputs.isOver || this.#hasRefused(post)) return again;
    this.#fetching += 1;
    let job: Job | undefined;
    try {
      job = await this.#inputs.take(post.worker);
    } finally {
      this.#fetching -= 1;
    }
    if (job === undefined) this.wake();
    if (job === undefined || this.#accepts(post, job)) return job;
    this.#again.push(job);
    this.wake();
    return undefined;
  }

  #takeAgain(post: Post): Job | undefined {
    const index = this.#again.findIndex((job) => this.#mayTake(post, job) && this.#accepts(post, job));
    return index === -1 ? undefined : this.#again.splice(index, 1)[0];
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
    return this.#again.some(({ refusals }) => refusals.has(seat.number));
  }

  #begin(job: Job, post: Post): void {
    post.held += 1;
    post.begun += 1;
    post.isIdle = false;
    this.#held += 1;
    const call = post.worker.call(...job.input) as Promise<V>;
    void call.then(
      (value) => this.#onValue(job, post, value),
      (error: unknown) => this.#onError(job, post, error),
    );
    this.#tell('enqueued', post);
  }

  #onValue({ index, input }: Job, post: Post, value: V): void {
    this.#barren = 0;
    this.results.put({ index, input, value });
    this.#tell('finished', post, value);
    this.#settled(post);
  }

  #onError(job: Job, post: Post, error: unknown): void {
    const { index, input } = job;
    if (error instanceof WorkerClosedError) {
      // It ends, and had not begun with this.
      post.isEnding = true;
      this.#again.unshift(job);
    } else if (error instanceof WorkerLostError || error instanceof WorkerTerminatedError) {
      post.isEnding = true;
      this.#onLost(job, post.seat, error);
    } else {
      this.#barren = 0;
      this.results.put({ index, input, error });
    }
    this.#settled(post);
  }

  #settled(post: Post): void {
    post.held -= 1;
    this.#held -= 1;
    for (const { refusals } of this.#again) refusals.clear();
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
    return this.#inputs.isOver && this.#held + this.#fetching + this.#again.length === 0;
  }

  /** Nothing will happen any more, and something is left. */
  #isRefused(): boolean {
    if (this.#held + this.#fetching + this.#replacing > 0 || this.results.size > 0) return false;
    return this.#again.some((job) => [...this.#posts].every((post) => !this.#mayTake(post, job)));
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.results.end();
    this.wake();
  }
}
