// What a task is given when it runs.

import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import type { Dispatcher, fetch as undiciFetch } from 'undici';
import type { Manager } from './manager.js';
import type { Task } from './task.js';

/** Numbers the workers of a manager from 1, in the order in which they were started; 0 is the manager's own thread. */
export type WorkerId = number;

/**
 * One per worker: made with it, closed with it. What the manager's `setup` module returned is on it too.
 */
export interface Session {
  /** `fetch` of undici over this worker's own Agent. */
  readonly fetch: typeof undiciFetch;
  /** The Agent: connections are kept alive between the tasks of this worker. */
  readonly dispatcher: Dispatcher;
  readonly [extra: string]: unknown;
}

/** Lines in the worker's log file (`logDirectory`); without one, warnings and errors go to the worker's stderr. */
export interface Logger {
  debug(message: unknown, ...details: unknown[]): void;
  info(message: unknown, ...details: unknown[]): void;
  warn(message: unknown, ...details: unknown[]): void;
  error(message: unknown, ...details: unknown[]): void;
}

/** The last argument of `run(ctx)`; also `currentContext()`, everywhere inside a task. */
export interface TaskContext {
  /** Schedule more, send messages. */
  readonly manager: Manager;
  readonly session: Session;
  /** Aborted when the task is to stop: it was cancelled, ran for too long, or the manager closes with CANCEL. */
  readonly signal: AbortSignal;
  /**
   * Throws the signal's reason when the task is to stop. It also works inside a synchronous loop, where the signal's
   * events cannot arrive; it costs well under a microsecond.
   */
  checkpoint(): void;
  /**
   * Tells whoever has scheduled the task how far it has come: all values, in order, before its result. It is never made to
   * wait; what nobody listens to is dropped. For streams send messages, which can be.
   *
   * @throws DataCloneError (ERR_BOSUN_DATA_CLONE)
   */
  progress(value: unknown): void;
  /** What is sent to the task (`handle.send`), in order, until it is told to stop. One reader. */
  messages(): AsyncIterableIterator<unknown>;
  /**
   * What a task returned that this one requires: by its name, or by the task itself. In a worker, where other objects
   * stand for the same tasks, a task stands for its name.
   *
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for what it does not require, and for a name that two have.
   * @throws FSMError (ERR_BOSUN_FSM) for one that is not DONE.
   */
  resultOf<T>(prerequisite: Task<T> | string): T;
  readonly taskId: number;
  /** 1 for the first. */
  readonly attempt: number;
  readonly worker: WorkerId;
  readonly log: Logger;
  /**
   * Whatever this worker keeps between its tasks. That of a Worker begins as `initialState` and is its owner's to read when
   * it has ended.
   */
  userState: unknown;
}

const storage = new AsyncLocalStorage<TaskContext>();

/** The context of the task that is running here, across its awaits; undefined outside of one. */
export function currentContext(): TaskContext | undefined {
  return storage.getStore();
}

/**
 * There is none any more, nor is any kept for what comes, until a task is run: while contexts are kept, Node.js does more for
 * every promise.
 */
export function forgetContext(): void {
  storage.disable();
}

const TYPE = 'bosun.TaskRun';
const owner = new AsyncResource(TYPE, { requireManualDestroy: true });

/**
 * What stands for one task in async_hooks. What a task enters is written onto this object, and so ends with it; what an
 * AsyncResource has beside that is the same for all of them, and costs twice as much as all else that is done here.
 */
const TaskScope = function TaskScope() {} as unknown as new () => AsyncResource;
TaskScope.prototype = owner;

/** Should a version of Node.js keep its fields where an heir has none. */
function newScope(): AsyncResource {
  return canInherit ? new TaskScope() : new AsyncResource(TYPE);
}

const canInherit = ((): boolean => {
  try {
    return new TaskScope().runInAsyncScope(() => true);
  } catch {
    return false;
  }
})();

/** Calls `body` as the task of `context`, in an async scope of its own: what it enters there, no other task is in. */
export function runInContext<R>(context: TaskContext, body: () => R): R {
  return newScope().runInAsyncScope(enter, undefined, context, body, NO_ARGUMENTS) as R;
}

/** The same with arguments, which costs no closure. */
export function callInContext<R>(context: TaskContext, body: (...args: unknown[]) => R, args: readonly unknown[]): R {
  return newScope().runInAsyncScope(enter, undefined, context, body, args) as R;
}

const NO_ARGUMENTS: readonly unknown[] = [];

function enter(context: TaskContext, body: (...args: unknown[]) => unknown, args: readonly unknown[]): unknown {
  storage.enterWith(context);
  return body(...args);
}
