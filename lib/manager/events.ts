// The events of a ProcessManager.

import type { EventEmitter } from 'node:events';
import type { ExitDetails } from '../errors.js';
import type { WorkerId } from '../task/context.js';

/** A worker, in events. */
export interface WorkerEvent {
  readonly worker: WorkerId;
  readonly pid: number | undefined;
}

/** The end of a task, in events. */
export interface TaskEvent {
  readonly id: number;
  /** Undefined for tasks that other tasks scheduled and that did not fail. */
  readonly name: string | undefined;
  readonly priority: number;
  /** 0 when it never ran. */
  readonly worker: WorkerId;
  readonly runMs: number;
  readonly error?: Error;
}

/** The events of a ProcessManager. Nothing is built for those that nobody listens to. */
export interface ProcessManagerEvents {
  /** A worker is set up. */
  'worker:start': [WorkerEvent];
  /** A worker is gone; unless the manager closes, another takes its place. */
  'worker:exit': [WorkerEvent & ExitDetails & { readonly tasksEnded: number }];
  'task:done': [TaskEvent];
  'task:failed': [TaskEvent];
  'task:cancelled': [TaskEvent];
  /** No task is left. */
  drain: [];
}

const TASK_EVENTS = ['task:done', 'task:failed', 'task:cancelled'] as const;

/** True when the end of a task is of interest to anybody. */
export function listensToTasks(emitter: EventEmitter<ProcessManagerEvents>): boolean {
  return TASK_EVENTS.some((event) => emitter.listenerCount(event) > 0);
}
