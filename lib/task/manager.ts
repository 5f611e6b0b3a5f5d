// What runs tasks, as tasks and their creators see it.

import type { Task } from './task.js';

/** What `schedule` gives back. */
export interface TaskHandle<R = unknown> {
  readonly id: number;
  readonly task: Task<R>;
  /**
   * The value that `run` returned. Rejects with a WorkerException, a WorkerLostError or a CancellationError; it is never
   * an unhandled rejection by itself.
   */
  readonly result: Promise<R>;
  /** Drops the task if it waits, aborts `ctx.signal` if it runs, does nothing if it has ended. */
  cancel(reason?: unknown): void;
}

/** Schedules tasks and takes their messages. Implementations: NullManager, LocalManager, ProcessManager, Proxy. */
export interface Manager {
  /**
   * Runs a task, sooner or later, somewhere. What the task is now is what will run: later changes to it are not seen.
   *
   * @param priority 0 is the most urgent; beats the task's own; `min(1, levels - 1)` when neither is given.
   * @throws OutOfRangeError (ERR_BOSUN_OUT_OF_RANGE) for a level that the manager does not have.
   */
  schedule<R>(task: Task<R>, priority?: number): TaskHandle<R>;
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
