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

  /** The first that `fits`. */
  take(fits: (job: Job) => boolean): Job | undefined {
    const index = this.#jobs.findIndex(fits);
    return index === -1 ? undefined : this.#jobs.splice(index, 1)[0];
  }

  some(test: (job: Job) => boolean): boolean {
    return this.#jobs.some(test);
  }

  /** Something has ended: who has refused an input is asked again. */
  forgetRefusals(): void {
    for (const { refusals } of this.#jobs) refusals.clear();
  }
}
