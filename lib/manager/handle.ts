// What the owner of a manager holds of a scheduled task.

import { AsyncResource } from 'node:async_hooks';
import { cancellationOf } from '../task/failures.js';
import { friends } from '../task/graph-task.js';
import type { ProgressListener, TaskHandle } from '../task/manager.js';
import type { Outcome } from '../task/outcome.js';
import { checkListener, tell } from '../task/progress.js';
import type { Task } from '../task/task.js';
import type { Run } from '../task/task-life.js';
import type { ScheduledWaiter } from './submissions.js';

/** The type of the async resource that a task is in its manager's process. */
const TASK_RESOURCE = 'bosun.Task';

/** Makes a promise within an async resource of its own, which is not kept: a million of them may wait. */
export function inTaskResource<R>(make: () => Promise<R>): Promise<R> {
  return new AsyncResource(TASK_RESOURCE).runInAsyncScope(make);
}

/** What a handle does with its ticket. */
export interface HandleActions {
  /** @param error what the task is to reject with. */
  cancel(ticket: number, error: unknown): void;
  /** @throws DataCloneError */
  send(ticket: number, message: unknown): void;
}

/** Makes its promise only when somebody asks for the result. */
export class ScheduledTask<R> extends AsyncResource implements TaskHandle<R>, ScheduledWaiter, Run {
  readonly id: number;
  readonly task: Task<R>;
  readonly #actions: HandleActions;
  /** Somebody wants to know how the task ends. */
  wanted: (() => void) | undefined;
  #listeners: Set<ProgressListener> | undefined;
  #ticket = -1;
  #outcome: Outcome | undefined;
  #promise: Promise<R> | undefined;
  #resolve: ((value: R | Promise<R>) => void) | undefined;

  constructor(id: number, task: Task<R>, actions: HandleActions) {
    super(TASK_RESOURCE);
    this.id = id;
    this.task = task;
    this.#actions = actions;
  }

  /** The dispatcher's name for it until it is settled. */
  set ticket(ticket: number) {
    this.#ticket = ticket;
  }

  /** True when somebody has asked for the result, or follows the task, and so will see a failure. */
  get isWatched(): boolean {
    return this.#promise !== undefined || friends.isWatched(this.task);
  }

  get result(): Promise<R> {
    if (this.#promise === undefined) {
      this.#promise = new Promise<R>((resolve) => {
        this.#resolve = resolve;
      });
      if (this.#outcome !== undefined) this.#fulfil(this.#outcome);
    }
    return this.#promise;
  }

  cancel(reason?: unknown): void {
    this.drop(cancellationOf(reason));
  }

  /** @param error what the task is to reject with. */
  drop(error: unknown): void {
    if (this.#outcome === undefined) this.#actions.cancel(this.#ticket, error);
  }

  send(message: unknown): void {
    if (this.#outcome === undefined) this.#actions.send(this.#ticket, message);
  }

  onProgress(listener: ProgressListener): this {
    checkListener(listener);
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
    return this;
  }

  get isListened(): boolean {
    return this.#listeners !== undefined;
  }

  progress(value: unknown): void {
    this.runInAsyncScope(() => tell(this.#listeners, value));
  }

  started(worker: number): void {
    friends.started(this.task, this, worker);
  }

  settle(outcome: Outcome): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = outcome;
    friends.ended(this.task, this, outcome);
    if (this.#resolve !== undefined) this.runInAsyncScope(() => this.#fulfil(outcome));
  }

  #fulfil(outcome: Outcome): void {
    if ('error' in outcome) {
      // Who asks for a result need not have looked at it yet.
      this.#promise?.catch(() => {});
      this.#resolve?.(Promise.reject(outcome.error));
    } else {
      this.#resolve?.(outcome.value as R);
    }
  }
}
