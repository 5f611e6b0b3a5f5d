// The events of a ProcessManager.

import type { ExitDetails } from '../errors.js';
import type { WorkerId } from '../task/context.js';

/** A worker, in events. */
export interface WorkerEvent {
  readonly worker: WorkerId;
  /** Undefined for a peer. */
  readonly pid: number | undefined;
}

/** A task, in events. */
export interface TaskQueuedEvent {
  readonly id: number;
  /** Undefined for tasks that other tasks scheduled and that did not fail. */
  readonly name: string | undefined;
  readonly priority: number;
}

/** The end of a task, in events. */
export interface TaskEndEvent extends TaskQueuedEvent {
  /** 0 when it never ran. */
  readonly worker: WorkerId;
  readonly runMs: number;
  /** Of one that failed or was cancelled; the reason of an AbortSignal may be anything. */
  readonly error?: unknown;
}

/** An attempt that failed and is followed by another, in events. */
export interface TaskRetryEvent extends TaskQueuedEvent {
  readonly worker: WorkerId;
  /** The one that failed; the first is 1. */
  readonly attempt: number;
  /** Until the next one may begin. */
  readonly delayMs: number;
  readonly error: Error;
}

/**
 * The events of a ProcessManager. Nothing is built for those that nobody listens to. Each is published on the diagnostics
 * channel of its name too, with `bosun:` in front.
 */
export interface ProcessManagerEvents {
  /** A worker is set up, or a peer was let in. */
  'worker:start': [WorkerEvent];
  /** A worker is gone; unless the manager closes, another takes its place. */
  'worker:exit': [WorkerEvent & ExitDetails & { readonly tasksEnded: number }];
  /**
   * The system refused to start a worker, one died before it was set up, or a remote one is not there; it is tried again,
   * unless `retryMs` is Infinity.
   */
  'worker:error': [{ readonly error: Error; readonly retryMs: number }];
  /** The owner of the manager has handed a task over. */
  'task:queued': [TaskQueuedEvent];
  'task:retry': [TaskRetryEvent];
  'task:done': [TaskEndEvent];
  'task:failed': [TaskEndEvent];
  'task:cancelled': [TaskEndEvent];
  /** A peer was not let in, or was sent away: its address, and why. */
  'peer:refused': [{ readonly address: string; readonly reason: string }];
  /** No task is left. */
  drain: [];
}

/** All of them. */
export const EVENTS = [
  'worker:start',
  'worker:exit',
  'worker:error',
  'task:queued',
  'task:retry',
  'task:done',
  'task:failed',
  'task:cancelled',
  'peer:refused',
  'drain',
] as const satisfies readonly (keyof ProcessManagerEvents)[];
