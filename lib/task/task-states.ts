// The state machine of a task.

import type { Transitions } from './transitions.js';

/** DONE and ABORT are final; FAILED and CANCELLED may be retried. */
export type TaskState = 'PREPARE' | 'PENDING' | 'QUEUED' | 'RUNNING' | 'DONE' | 'FAILED' | 'CANCELLED' | 'ABORT';

/** `error` is a task that could not be begun, `except` one that failed while it ran. */
export type TaskEvent = 'prepared' | 'dispatch' | 'queue' | 'cancel' | 'error' | 'abort' | 'done' | 'except' | 'retry';

/** Frozen, rows and all: every task shares it. */
export const TASK_TRANSITIONS: Transitions<TaskState, TaskEvent> = Object.freeze({
  PREPARE: Object.freeze({ prepared: 'PENDING' }),
  PENDING: Object.freeze({
    dispatch: 'RUNNING',
    queue: 'QUEUED',
    cancel: 'CANCELLED',
    error: 'FAILED',
    abort: 'ABORT',
  }),
  QUEUED: Object.freeze({ dispatch: 'RUNNING', cancel: 'CANCELLED' }),
  RUNNING: Object.freeze({ done: 'DONE', except: 'FAILED', cancel: 'CANCELLED' }),
  DONE: Object.freeze({}),
  FAILED: Object.freeze({ retry: 'PENDING', abort: 'ABORT' }),
  CANCELLED: Object.freeze({ retry: 'PENDING', abort: 'ABORT' }),
  ABORT: Object.freeze({}),
});
