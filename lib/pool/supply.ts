// What the workers of a run are given: inputs that wait because nobody could take them, or has lost them, and then new ones.

import type { Inputs, Job } from './job.js';
import type { Post } from './post.js';
import type { RunOptions } from './run-options.js';
import { Waiting } from './waiting.js';

export interface SupplyOptions {
  readonly enqueueFn: RunOptions['enqueueFn'] | undefined;
  readonly affinity: RunOptions['affinity'] | undefined;
  /** An input that did not come at once is there for the worker that it was asked for; false when it cannot have it now. */
  deliver(job: Job, post: Post): boolean;
  /** Something has changed that workers may wait for. */
  changed(): void;
  failed(error: unknown): void;
}

/** Inputs that wait for the worker of their key, for each worker, before those behind them are looked at no more. */
const MAX_PASSED = 64;

export class Supply {
  readonly #inputs: Inputs;
  readonly #posts: ReadonlySet<Post>;
  readonly #options: SupplyOptions;
  readonly #waiting = new Waiting();
  /** The worker of each key. */
  readonly #homes = new Map<unknown, Post>();
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

  /** What waits can go to nobody, and nobody is about to make room. */
  get isStuck(): boolean {
    const posts = [...this.#posts];
    if (this.#waiting.size === 0 || !posts.every(({ isUsable }) => isUsable)) return false;
    return !this.#waiting.has((job) => posts.some((post) => this.#mayTake(post, job)));
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

  /** An input for this worker, if one is there now. @throws what a source, enqueueFn or affinity throws */
  next(post: Post): Job | undefined {
    const waiting = this.#waiting.take((job) => this.#claims(post, job));
    if (waiting !== undefined || this.#hasRefused(post)) return waiting;
    while (!this.#inputs.isOver && !this.#isAsking && this.#mayPass) {
      const taken = this.#inputs.take(post.worker);
      if (taken instanceof Promise) {
        void this.#await(taken, post);
        return undefined;
      }
      if (taken === undefined) {
        this.#options.changed();
        return undefined;
      }
      if (this.#isFor(post, taken)) return taken;
      this.#waiting.add(taken);
      this.#options.changed();
      if (this.#hasRefused(post)) return undefined;
    }
    return undefined;
  }

  /** Whether an input waits for a worker, whichever. What can only be known by taking one is taken. @throws as `next` */
  hasMore(): boolean {
    const isFree = (job: Job): boolean => this.#homeOf(job) === undefined;
    if (this.#waiting.some(isFree)) return true;
    if (this.#inputs.isOver || this.#isAsking || !this.#mayPass) return false;
    if (this.#inputs.needsWorker || Number.isFinite(this.#inputs.left)) return this.#inputs.left > 0;
    const taken = this.#inputs.take();
    if (taken instanceof Promise) void this.#await(taken);
    else if (taken !== undefined) this.#waiting.add(this.#keyed(taken));
    return this.#waiting.some(isFree);
  }

  async #await(taken: Promise<Job | undefined>, post?: Post): Promise<void> {
    this.#isAsking = true;
    try {
      const job = await taken;
      this.#isAsking = false;
      const isWanted = job !== undefined && this.#isFor(post, job);
      if (job !== undefined && !(isWanted && this.#options.deliver(job, post as Post))) this.#waiting.add(job);
    } catch (error) {
      this.#isAsking = false;
      this.#options.failed(error);
    }
    this.#options.changed();
  }

  /** Whether to look behind inputs that wait for the worker of their key. */
  get #mayPass(): boolean {
    return this.#waiting.size < MAX_PASSED * Math.max(this.#posts.size, 1);
  }

  /** Whether a new input goes to this worker; it overtakes none of its key. */
  #isFor(post: Post | undefined, given: Job): boolean {
    const job = this.#keyed(given);
    if (post?.isUsable !== true) return false;
    if (job.key !== undefined && this.#waiting.some(({ key }) => sameKey(key, job.key))) return false;
    return this.#claims(post, job);
  }

  #keyed(job: Job): Job {
    job.key = this.#options.affinity?.(job.input);
    return job;
  }

  /** It is this worker's, which is the one of its key from here on. */
  #claims(post: Post, job: Job): boolean {
    if (!this.#mayTake(post, job) || !this.#accepts(post, job)) return false;
    if (job.key !== undefined) this.#homes.set(job.key, post);
    return true;
  }

  /** A worker that ends is at home until all that it had is given back, or others would be done before that. */
  #homeOf({ key }: Job): Post | undefined {
    const home = key === undefined ? undefined : this.#homes.get(key);
    return home !== undefined && this.#posts.has(home) ? home : undefined;
  }

  /** Not where it has cost a worker, while others have not tried. */
  #mayTake(post: Post, job: Job): boolean {
    const { costs, refusals } = job;
    const { number } = post.seat;
    if (refusals.has(number)) return false;
    const home = this.#homeOf(job);
    if (home !== undefined) return home === post;
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

/** As a Map has it. */
function sameKey(one: unknown, other: unknown): boolean {
  return one === other || (Number.isNaN(one) && Number.isNaN(other));
}
