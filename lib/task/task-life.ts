// What happens to a task between its states, for those who run it and those who follow it. Users have its methods.

import { describe } from '../describe.js';
import { CancellationError, TaskError, WorkerException } from '../errors.js';
import type { Outcome } from './outcome.js';
import type { Task } from './task.js';
import type { TaskOptions } from './task-options.js';
import type { TaskEvent, TaskState } from './task-states.js';
import type { TransitionExtra } from './transitions.js';

/** What runs a task at present: the handle of a manager, or this thread. */
export interface Run {
  /** The task was cancelled. Undefined where that cannot be said. */
  readonly drop: ((error: CancellationError) => void) | undefined;
  /** Somebody wants to know how it ends. */
  readonly wanted?: (() => void) | undefined;
}

/** Is told of each event of a task, before its callbacks are. It must not throw. */
export type Follower = (task: Task, event: TaskEvent) => void;

/** When and where a task ran; kept for the tasks of a make or a TaskQueue. Milliseconds since the epoch. */
export interface TaskTimes {
  queuedAt?: number;
  startedAt?: number;
  endedAt?: number;
  /** The worker's number; 0 is the creator's thread. */
  worker?: number;
}

const NOBODY: readonly Follower[] = [];

/** What most tasks never need. */
export class TaskDetails {
  required: Set<Task> | undefined;
  blocking: Set<Task> | undefined;
  /** Of the result, and how to settle it. */
  promise: Promise<unknown> | undefined;
  resolve: ((outcome: unknown) => void) | undefined;
  times: TaskTimes | undefined;
  followers: readonly Follower[] = NOBODY;

  settle(outcome: Outcome): void {
    if ('value' in outcome) {
      this.resolve?.(outcome.value);
    } else {
      // Who asks for a result need not have looked at it yet.
      this.promise?.catch(() => {});
      this.resolve?.(Promise.reject(outcome.error));
    }
    this.resolve = undefined;
  }

  /** The next run has another result. */
  renew(): void {
    this.promise = undefined;
    this.resolve = undefined;
    if (this.times !== undefined) this.times = {};
  }

  note(event: TaskEvent): void {
    const { times } = this;
    if (times === undefined) return;
    const now = performance.timeOrigin + performance.now();
    if (event === 'queue') times.queuedAt = now;
    else if (event === 'dispatch') times.startedAt = now;
    else if (isEnding(event)) times.endedAt = now;
  }
}

export function isEnding(event: TaskEvent): boolean {
  return event === 'done' || event === 'except' || event === 'error' || event === 'cancel' || event === 'abort';
}

/** It has ended, one way or another, and may have to be repaired. */
export function isOver(state: TaskState | undefined): boolean {
  return state === 'DONE' || state === 'FAILED' || state === 'CANCELLED' || state === 'ABORT';
}

/** How a task has ended that somebody has told so, by `fire`. */
export function outcomeOf(task: Task, event: TaskEvent, extra: TransitionExtra): Outcome {
  const { error, reason, value } = extra;
  if (event === 'done') return { value };
  if (event === 'abort') return { error: new CancellationError(`task '${task.name}' was aborted`), cancelled: true };
  if (event !== 'cancel') return { error: error ?? new TaskError(`task '${task.name}' failed`, task) };
  if (reason instanceof CancellationError) return { error: reason, cancelled: true };
  const cause = reason === undefined ? {} : { cause: reason };
  return { error: new CancellationError(`task '${task.name}' was cancelled`, cause), cancelled: true };
}

/** What its own options make of how it ended. */
export function judge(name: string, outcome: Outcome, options: TaskOptions): Outcome {
  if ('value' in outcome) return judgeResult(name, outcome, options);
  const { error, cancelled } = outcome;
  if (cancelled === true) return outcome;
  if (error instanceof CancellationError) return { error, cancelled: true };
  const cause = error instanceof WorkerException ? error.cause : undefined;
  const isCancelled = (cause as Partial<CancellationError> | undefined)?.code === 'ERR_BOSUN_CANCELLED';
  if (!isCancelled && options.cancelOnException !== true) return outcome;
  const how = `task '${name}' was cancelled, for it threw ${describe(error)}`;
  return { error: new CancellationError(how, { cause: error }), cancelled: true };
}

function judgeResult(name: string, outcome: { readonly value: unknown }, options: TaskOptions): Outcome {
  const { cancelOnResult } = options as { readonly cancelOnResult?: (result: unknown) => boolean };
  if (cancelOnResult === undefined) return outcome;
  try {
    if (!cancelOnResult(outcome.value)) return outcome;
  } catch (error) {
    return judge(name, { error }, options);
  }
  return { error: new CancellationError(`the result of task '${name}' cancelled it`), cancelled: true };
}
