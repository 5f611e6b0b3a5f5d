// What the owner of a manager holds of a scheduled task.

import { describe } from '../describe.js';
import { CancellationError } from '../errors.js';
import type { TaskHandle } from '../task/manager.js';
import type { Task } from '../task/task.js';
import type { Outcome, ScheduledWaiter } from './submissions.js';

/** Makes its promise only when somebody asks for the result. */
export class ScheduledTask<R> implements TaskHandle<R>, ScheduledWaiter {
  readonly id: number;
  readonly task: Task<R>;
  readonly #cancel: (ticket: number) => void;
  #ticket = -1;
  #outcome: Outcome | undefined;
  #promise: Promise<R> | undefined;
  #resolve: ((value: R | Promise<R>) => void) | undefined;
  #cancelReason: unknown;

  constructor(id: number, task: Task<R>, cancel: (ticket: number) => void) {
    this.id = id;
    this.task = task;
    this.#cancel = cancel;
  }

  /** The dispatcher's name for it until it is settled. */
  set ticket(ticket: number) {
    this.#ticket = ticket;
  }

  /** True when somebody has asked for the result, and so will see a failure. */
  get isWatched(): boolean {
    return this.#promise !== undefined;
  }

  get result(): Promise<R> {
    if (this.#promise === undefined) {
      this.#promise = new Promise<R>((resolve) => {
        this.#resolve = resolve;
      });
      this.#promise.catch(() => {});
      if (this.#outcome !== undefined) this.#fulfil(this.#outcome);
    }
    return this.#promise;
  }

  cancel(reason?: unknown): void {
    if (this.#outcome !== undefined) return;
    this.#cancelReason ??= reason;
    this.#cancel(this.#ticket);
  }

  settle(outcome: Outcome): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = withReason(outcome, this.#cancelReason);
    this.#fulfil(this.#outcome);
  }

  #fulfil({ error, value }: Outcome): void {
    this.#resolve?.(error === undefined ? (value as R) : Promise.reject(error));
  }
}

/** The reason that `cancel` was given becomes the error's cause. */
function withReason(outcome: Outcome, reason: unknown): Outcome {
  if (reason === undefined || !(outcome.error instanceof CancellationError)) return outcome;
  return { error: new CancellationError(`the task was cancelled: ${describe(reason)}`, { cause: reason }) };
}
