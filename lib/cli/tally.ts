// What the workers of a manager have done, counted over its whole life.

import type { ProcessManager } from '../manager/process-manager.js';
import type { WorkerId } from '../task/context.js';

/** The counts of a moment, for people: `running` is at most one for each worker, the rest of what is left waits. */
export interface Moment {
  readonly done: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly running: number;
  readonly waiting: number;
  readonly accepted: number;
  readonly workers: number;
}

/** What one worker has done. */
export interface Share {
  readonly worker: WorkerId;
  readonly pid: number | undefined;
  readonly tasks: number;
}

export class Tally {
  readonly #manager: ProcessManager;
  readonly #shares = new Map<WorkerId, Share>();

  constructor(manager: ProcessManager) {
    this.#manager = manager;
    manager.on('worker:exit', ({ worker, pid, tasksEnded }) => this.#note(worker, pid, tasksEnded));
  }

  look(): Moment {
    const { tasks, workers } = this.#manager.stats();
    let running = 0;
    for (const { worker, pid, tasksEnded, inFlight } of workers) {
      if (inFlight > 0) running += 1;
      this.#note(worker, pid, tasksEnded);
    }
    const { done, failed, cancelled, accepted } = tasks;
    const waiting = Math.max(0, accepted - done - failed - cancelled - running);
    return { done, failed, cancelled, running, waiting, accepted, workers: workers.length };
  }

  #note(worker: WorkerId, pid: number | undefined, tasks: number): void {
    if (tasks > 0) this.#shares.set(worker, { worker, pid, tasks });
  }

  get shares(): readonly Share[] {
    return [...this.#shares.values()].sort((a, b) => a.worker - b.worker);
  }
}
