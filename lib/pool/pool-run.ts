// One run of a pool: which input goes to which worker, and what becomes of those that a dead worker had.

import { PoisonedInputError, PoolError, WorkerClosedError, WorkerLostError, WorkerTerminatedError } from '../errors.js';
import { Mailbox } from '../mailbox.js';
import type { Outcome, PersistentWorker } from '../worker/persistent-worker.js';
import type { Inputs, Job } from './job.js';
import { Post, type Seat } from './post.js';
import type { PoolResult, PoolRunOptions, PoolWorkerEvent } from './run-options.js';
import { Succession } from './succession.js';
import { Supply } from './supply.js';

/** Results that wait for a slow reader, for each worker. */
const UNREAD = 4;

export class PoolRun<V> {
  readonly #supply: Supply;
  readonly #options: PoolRunOptions;
  readonly #extra: number;
  readonly #posts = new Set<Post>();
  readonly #lost: Job[] = [];
  readonly results = new Mailbox<PoolResult<V>>();
  /** Those that workers have. */
  readonly #held = new Set<Job>();
  #replacing = 0;
  #starting = 0;
  readonly #succession: Succession;
  #mayGrow = true;
  #isOver = false;
  /** The reader is slow. */
  #isThrottled = false;
  #failure: unknown;
  #sleepers: (() => void)[] = [];

  constructor(inputs: Inputs, options: PoolRunOptions) {
    this.#options = options;
    this.#extra = options.extraPendingInputs ?? 0;
    this.#succession = new Succession({
      retire: (worker) => options.retire(worker),
      // The next run does it.
      replace: (seat) => (this.#isOver ? undefined : options.replace(seat)),
    });
    this.#supply = new Supply(inputs, this.#posts, {
      enqueueFn: options.enqueueFn,
      affinity: options.affinity,
      changed: () => this.wake(),
      failed: (error) => this.fail(error),
      deliver: (job, post) => {
        const isWanted = !this.#isOver && this.#posts.has(post);
        if (isWanted) this.#begin(job, post);
        return isWanted;
      },
    });
  }

  /** Every input has a result. */
  get isComplete(): boolean {
    return this.#supply.isEmpty && this.#lost.length === 0;
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
    return [...[...this.#lost, ...this.#held].map(({ input }) => input), ...this.#supply.waiting];
  }

  /** A worker takes part. */
  join(seat: Seat): void {
    const post = new Post(seat);
    this.#posts.add(post);
    void this.#serve(post);
  }

  /** Lets go of a worker that has nothing to do. False when the run needs it. */
  release(seat: Seat): boolean {
    const post = [...this.#posts].find((one) => one.seat === seat);
    if (post === undefined) return true;
    const others = [...this.#posts].filter((one) => one !== post && one.isUsable);
    if (post.held > 0 || others.length === 0) return false;
    post.isLeaving = true;
    this.wake();
    return true;
  }

  /** Nobody reads any more; what workers have, they finish. */
  stop(): void {
    this.#over();
    this.#supply.end();
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

  async #serve(post: Post): Promise<void> {
    const { seat, worker } = post;
    // Whoever joins in this turn is there before the first takes something.
    await null;
    const wake = () => this.wake();
    worker.limit(this.#options.maxMemory, this.#options.maxAge);
    worker.once('exit', wake);
    try {
      await this.#feed(post);
    } catch (error) {
      this.fail(error);
    }
    worker.off('exit', wake);
    this.#posts.delete(post);
    if (!this.#isOver && !post.isLeaving) await this.#follow(post);
    else if (post.held === 0) this.#options.atWork(seat, false);
    if (this.#posts.size + this.#replacing + this.#starting === 0) {
      const { failure } = this.#succession;
      if (failure !== undefined && !this.isComplete) this.fail(failure);
      this.#over();
    }
    this.wake();
  }

  /** Ends with the run, or when the worker has ended and every input that it had is settled. */
  async #feed(post: Post): Promise<void> {
    const { worker } = post;
    while (!this.#isOver && !post.isLeaving) {
      if (!post.isUsable) {
        if (post.held === 0) return;
        await this.#change();
        continue;
      }
      if (post.held === 0 && !this.#supply.isEmpty && this.#isSpent(worker)) return;
      if (this.#refill(post)) continue;
      if (post.held === 0 && !post.isIdle && !this.#supply.isAsking) {
        post.isIdle = true;
        this.#tell('idle', post);
      }
      this.#grow();
      if (this.#isFinished()) this.#over();
      else if (this.#isRefused())
        this.fail(new PoolError('enqueueFn keeps an input from every worker, and nothing else runs'));
      else await this.#change();
    }
  }

  /** Gives the worker what it has room for, if there is something. */
  #refill(post: Post): boolean {
    const chunk = this.#chunkOf(post);
    const room = this.#roomOf(post, chunk);
    let count = 0;
    for (; count < room && post.isUsable && !this.#isOver; count++) {
      const job = this.#supply.next(post);
      if (job === undefined) break;
      if (count === 0) post.given(chunk);
      this.#begin(job, post);
    }
    return count > 0;
  }

  /** Another worker, if inputs wait and everybody is busy. It takes part when it is there: nothing waits for its start. */
  #grow(): void {
    if (
      !this.#mayGrow ||
      this.#succession.failure !== undefined ||
      !this.#options.canGrow() ||
      this.#starting > 0 ||
      this.#isThrottled ||
      this.#isOver
    )
      return;
    const isBusy = ({ held, isUsable }: Post): boolean => held > 0 && isUsable;
    if (![...this.#posts].every(isBusy) || !this.#supply.hasMore()) return;
    for (const seat of this.#moreSeats()) {
      this.#starting += 1;
      void seat.worker.started
        .catch(() => {})
        .then(() => {
          this.#starting -= 1;
          this.#rejoin(seat);
        });
    }
  }

  #moreSeats(): readonly Seat[] {
    try {
      return this.#options.grow(this.#supply.left);
    } catch {
      // The system has no room for another: those that are there go on.
      this.#mayGrow = false;
      return [];
    }
  }

  #chunkOf(post: Post): number {
    const { chunkSize = 1 } = this.#options;
    if (chunkSize !== 'auto') return chunkSize;
    // So that those who are done first find something to do.
    const share = Math.ceil(this.#supply.left / (2 * this.#posts.size));
    return Math.max(1, Math.min(post.fitting, share));
  }

  #roomOf(post: Post, chunk: number): number {
    this.#isThrottled ||= this.results.size >= this.#unread;
    if (this.#isThrottled || post.held > this.#extra + (chunk >> 1)) return 0;
    return Math.min(chunk + this.#extra - post.held, this.#options.maxTasks - post.worker.use.inputs);
  }

  /** It has had its share. Nobody is too old for a first input. */
  #isSpent({ use: { inputs, age } }: PersistentWorker): boolean {
    const { maxTasks, maxAge = Number.POSITIVE_INFINITY } = this.#options;
    return inputs >= maxTasks || (inputs > 0 && age >= maxAge);
  }

  #begin(job: Job, post: Post): void {
    if (post.held === 0) this.#options.atWork(post.seat, true);
    post.held += 1;
    post.isIdle = false;
    this.#held.add(job);
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
      this.#supply.giveBack(job);
    } else if (error instanceof WorkerLostError || error instanceof WorkerTerminatedError) {
      post.isEnding = true;
      post.hasCost = true;
      this.#onLost(job, post.seat, error);
    } else {
      this.#succession.succeeded(post.seat);
      if (micros > 0) post.measured(micros);
      this.results.put({ index, input, ...outcome });
      if ('value' in outcome) this.#tell('finished', post, outcome.value);
    }
    this.#settled(job, post);
  }

  #settled(job: Job, post: Post): void {
    post.held -= 1;
    this.#held.delete(job);
    if (post.held === 0) this.#options.atWork(post.seat, false);
    this.#supply.forgetRefusals();
    this.wake();
  }

  #onLost(job: Job, { number }: Seat, cause: Error): void {
    const { index, input, costs } = job;
    costs.push(number);
    if (costs.length >= this.#options.maxCrashes) {
      this.results.put({ index, input, error: new PoisonedInputError(input, costs.length, { cause }) });
    } else if (this.#options.retry) {
      this.#supply.giveBack(job);
    } else {
      this.#lost.push(job);
    }
  }

  /** The worker has ended, or is about to; another takes its seat. The run is not over before. */
  async #follow(post: Post): Promise<void> {
    const { seat } = post;
    this.#replacing += 1;
    // It is not without work meanwhile: nobody is to take the seat away.
    this.#options.atWork(seat, true);
    let isTaken = false;
    try {
      isTaken = await this.#succession.follow(post, () => {
        this.#tell('died', post);
        return !this.#isOver;
      });
    } catch (error) {
      this.fail(error);
    }
    this.#replacing -= 1;
    this.#options.atWork(seat, false);
    if (isTaken) this.#rejoin(seat);
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
    return this.#held.size === 0 && this.#supply.isEmpty;
  }

  /** Nothing will happen any more, and something is left. */
  #isRefused(): boolean {
    if (this.#held.size + this.#replacing + this.#starting > 0 || this.#supply.isAsking || this.results.size > 0)
      return false;
    return this.#supply.isStuck;
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
