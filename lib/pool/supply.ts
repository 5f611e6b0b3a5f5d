// What the workers of a run are given: inputs that wait because nobody could take them, or has lost them, and then new ones.

import type { PersistentWorker } from '../worker/persistent-worker.js';
import type { Inputs, Job } from './job.js';
import type { Post } from './post.js';
import { Waiting } from './waiting.js';

export interface SupplyOptions {
  readonly enqueueFn: ((worker: PersistentWorker, input: readonly unknown[]) => boolean) | undefined;
  /** An input that did not come at once is there for the worker that it was asked for; false when it cannot have it now. */
  deliver(job: Job, post: Post): boolean;
  /** Something has changed that workers may wait for. */
  changed(): void;
  failed(error: unknown): void;
}

export class Supply {
  readonly #inputs: Inputs;
  readonly #posts: ReadonlySet<Post>;
  readonly #options: SupplyOptions;
  readonly #waiting = new Waiting();
  /** A source is asked and has not answered. */
  #isAsking = false;

  constructor(inputs: Inputs, posts: ReadonlySet<Post>, options: SupplyOptions) {
    this.#inputs = inputs;
    this.#posts = posts;
    this.#options = options;
  }

  get isAsking(): boolean {
    return this.#isAsking;
  }

  /** Nothing waits, and nothing will come. */
  get isEmpty(): boolean {
    return this.#inputs.isOver && !this.#isAsking && this.#waiting.size === 0;
  }

  /** How many inputs are left; Infinity when nobody knows. */
  get left(): number {
    return this.#inputs.left + this.#waiting.size;
  }

  /** That nobody has. */
  get waiting(): readonly (readonly unknown[])[] {
    return this.#waiting.inputs;
  }

  /** What waits can go to nobody. */
  get isStuck(): boolean {
    return this.#waiting.some((job) => [...this.#posts].every((post) => !this.#mayTake(post, job)));
  }

  /** Nobody wants more. */
  end(): void {
    this.#inputs.end();
  }

  /** Somebody had it, and has not done it. */
  giveBack(job: Job): void {
    this.#waiting.add(job);
  }

  /** Something has ended: who has refused an input is asked again. */
  forgetRefusals(): void {
    this.#waiting.forgetRefusals();
  }

  /** An input for this worker, if one is there now. @throws what a source or enqueueFn throws */
  next(post: Post): Job | undefined {
    const waiting = this.#waiting.take((job) => this.#mayTake(post, job) && this.#accepts(post, job));
    if (waiting !== undefined || this.#inputs.isOver || this.#isAsking || this.#hasRefused(post)) return waiting;
    const taken = this.#inputs.take(post.worker);
    if (taken instanceof Promise) {
      void this.#await(taken, post);
      return undefined;
    }
    if (taken === undefined) this.#options.changed();
    if (taken === undefined || this.#accepts(post, taken)) return taken;
    this.#waiting.add(taken);
    this.#options.changed();
    return undefined;
  }

  /** Whether an input waits. What can only be known by taking one is taken. @throws what a source throws */
  hasMore(): boolean {
    if (this.#waiting.size > 0) return true;
    if (this.#inputs.isOver || this.#isAsking) return false;
    if (this.#inputs.needsWorker || Number.isFinite(this.#inputs.left)) return this.#inputs.left > 0;
    const taken = this.#inputs.take();
    if (taken instanceof Promise) void this.#await(taken);
    else if (taken !== undefined) this.#waiting.add(taken);
    return this.#waiting.size > 0;
  }

  async #await(taken: Promise<Job | undefined>, post?: Post): Promise<void> {
    this.#isAsking = true;
    try {
      const job = await taken;
      this.#isAsking = false;
      const isWanted = job !== undefined && post?.isUsable === true && this.#accepts(post, job);
      if (job !== undefined && !(isWanted && this.#options.deliver(job, post))) this.#waiting.add(job);
    } catch (error) {
      this.#isAsking = false;
      this.#options.failed(error);
    }
    this.#options.changed();
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
    this.#options.changed();
    return false;
  }

  #hasRefused({ seat }: Post): boolean {
    return this.#waiting.some(({ refusals }) => refusals.has(seat.number));
  }
}
