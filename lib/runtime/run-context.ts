// The TaskContext of one run. Made for every task, so what is seldom used is made when it is asked for.

import { CancellationError } from '../errors.js';
import type { Logger, Session, TaskContext } from '../task/context.js';
import type { Manager } from '../task/manager.js';

/** What all runs of a worker share. */
export interface RunEnvironment {
  readonly manager: Manager;
  readonly session: Session;
  readonly log: Logger;
  readonly worker: number;
  /** True when the task with this sequence number is to stop, whether or not this thread has been told. */
  stopRequested(sequence: number): boolean;
}

export class RunContext implements TaskContext {
  readonly taskId: number;
  readonly attempt: number;
  readonly #environment: RunEnvironment;
  readonly #sequence: number;
  #controller: AbortController | undefined;
  #stopReason: unknown;

  constructor(environment: RunEnvironment, sequence: number, taskId: number, attempt: number) {
    this.#environment = environment;
    this.#sequence = sequence;
    this.taskId = taskId;
    this.attempt = attempt;
  }

  get manager(): Manager {
    return this.#environment.manager;
  }

  get session(): Session {
    return this.#environment.session;
  }

  get log(): Logger {
    return this.#environment.log;
  }

  get worker(): number {
    return this.#environment.worker;
  }

  /** True once the task was asked to stop. */
  get stopped(): boolean {
    return this.#stopReason !== undefined;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#stopReason !== undefined) this.#controller.abort(this.#stopReason);
    }
    return this.#controller.signal;
  }

  checkpoint(): void {
    if (this.#stopReason === undefined && this.#environment.stopRequested(this.#sequence)) this.stop();
    if (this.#stopReason !== undefined) throw this.#stopReason;
  }

  /** Aborts the signal, once. */
  stop(reason: unknown = new CancellationError('the task was asked to stop')): void {
    if (this.#stopReason !== undefined) return;
    this.#stopReason = reason;
    this.#controller?.abort(reason);
  }
}
