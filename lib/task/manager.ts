// What runs tasks, as tasks and their creators see it.

import type { TransferListItem } from 'node:worker_threads';
import type { LimitOptions } from './policy.js';
import type { RunTarget } from './target.js';
import type { Task } from './task.js';

/** Options of one call of `schedule`. */
export interface ScheduleOptions {
  /** 0 is the most urgent. */
  readonly priority?: number | undefined;
  /**
   * Only the hand of this name runs it; the task waits until it is there, and holds up no other. Of the owner of a crew's
   * manager: other managers have no names, and tasks cannot choose where what they schedule runs.
   */
  readonly to?: string | undefined;
}

/** Options of one call of `run`; what is not given is the manager's. */
export interface RunOptions extends LimitOptions, ScheduleOptions {
  /** Cancels the task; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called with what the task gives to `ctx.progress`. */
  readonly onProgress?: ProgressListener | undefined;
  /**
   * Of the owner of a manager of threads: what is moved to the thread instead of copied, at the call. It can be had once: a
   * task that is run again fails with a DataCloneError.
   */
  readonly transferList?: readonly TransferListItem[] | undefined;
}

/** What `schedule` gives back. */
export interface TaskHandle<R = unknown> {
  readonly id: number;
  readonly task: Task<R>;
  /**
   * The value that `run` returned. Rejects with a WorkerException, a WorkerLostError or a CancellationError; it is never
   * an unhandled rejection by itself. Inside a task, ask for it before that task ends: until somebody asks, the manager keeps
   * it for so long.
   */
  readonly result: Promise<R>;
  /**
   * Drops the task if it waits, aborts `ctx.signal` if it runs, does nothing if it has ended. Inside a task it reaches
   * those that this task has scheduled, while it runs.
   */
  cancel(reason?: unknown): void;
  /**
   * Something for the task, which reads it by `ctx.messages()`, whenever it runs; a task that is run again gets all of it
   * again. Nothing happens when it has ended.
   *
   * @throws DataCloneError (ERR_BOSUN_DATA_CLONE)
   */
  send(message: unknown): void;
  /** Calls the listener with what the task gives to `ctx.progress` from now on. */
  onProgress(listener: ProgressListener): this;
}

/** Told of the values that a task gives to `ctx.progress`, in order. What it throws is a process warning. */
export type ProgressListener = (value: unknown) => void;

/** Schedules tasks and takes their messages. Implementations: NullManager, LocalManager, ProcessManager, Proxy. */
export interface Manager {
  /**
   * Runs a task, sooner or later, somewhere. What the task is now is what will run: later changes to it are not seen.
   *
   * @param priority 0 is the most urgent; beats the task's own; `min(1, levels - 1)` when neither is given. Or options.
   * @throws OutOfRangeError (ERR_BOSUN_OUT_OF_RANGE) for a level that the manager does not have.
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for `to` with a name that the manager does not know.
   */
  schedule<R>(task: Task<R>, priority?: number | ScheduleOptions): TaskHandle<R>;
  /**
   * Calls an exported function, sooner or later, somewhere. Its failure reaches only this promise. A task that waits for it
   * lends its place at the worker meanwhile, so that any depth of tasks that wait for tasks can be worked off, also by one
   * worker; if it is told to stop, what it waits for is cancelled, and the promise rejects with the reason.
   *
   * @throws InvalidArgumentError, OutOfRangeError at the call; all else rejects.
   */
  run<R>(target: RunTarget, args?: readonly unknown[], options?: RunOptions): Promise<R>;
  /** Puts a message into the inbox that `messages()` reads; await it to be slowed down to the reader's pace. */
  sendMessage(message: unknown): Promise<void> | void;
}

/** Sent to a worker instead of a task: finish. */
export class CloseRequest {
  /** True when running tasks are asked to stop as well. */
  readonly abort: boolean;

  constructor(abort = false) {
    this.abort = abort;
  }
}
