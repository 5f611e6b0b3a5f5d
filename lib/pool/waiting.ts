// Inputs that were taken from the sources and that no worker has, in their order.

import type { Job } from './job.js';

export class Waiting {
  readonly #jobs: Job[] = [];

  get size(): number {
    return this.#jobs.length;
  }

  get inputs(): readonly (readonly unknown[])[] {
    return this.#jobs.map(({ input }) => input);
  }

  add(job: Job): void {
    let at = this.#jobs.length;
    while (at > 0 && (this.#jobs[at - 1] as Job).index > job.index) at -= 1;
    this.#jobs.splice(at, 0, job);
  }

  /** The first that `fits`; of those with one key, none before the first of them. */
  take(fits: (job: Job) => boolean): Job | undefined {
    const index = this.#find(fits);
    return index === -1 ? undefined : this.#jobs.splice(index, 1)[0];
  }

  /** Whether `take` would find one. */
  has(fits: (job: Job) => boolean): boolean {
    return this.#find(fits) !== -1;
  }

  some(test: (job: Job) => boolean): boolean {
    return this.#jobs.some(test);
  }

  /** Something has ended: who has refused an input is asked again. */
  forgetRefusals(): void {
    for (const { refusals } of this.#jobs) refusals.clear();
  }

  #find(fits: (job: Job) => boolean): number {
    const passed = new Set<unknown>();
    return this.#jobs.findIndex((job) => {
      if (passed.has(job.key)) return false;
      if (fits(job)) return true;
      if (job.key !== undefined) passed.add(job.key);
      return false;
    });
  }
}
