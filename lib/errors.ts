// Every error class of bosun. Each has a `code` that never changes; docs/errors.md says what to do about it.

import { describe, look } from './describe.js';
import type { Task } from './task/task.js';

/** The stable codes; compare `error.code`, never the message. */
export type ErrorCode =
  | 'ERR_BOSUN_INVALID_ARGUMENT'
  | 'ERR_BOSUN_OUT_OF_RANGE'
  | 'ERR_BOSUN_NATIVE_LOAD'
  | 'ERR_BOSUN_STALE_HANDLE'
  | 'ERR_BOSUN_DATA_CLONE'
  | 'ERR_BOSUN_RESULT_CLONE'
  | 'ERR_BOSUN_NOT_PORTABLE'
  | 'ERR_BOSUN_TASK_FAILED'
  | 'ERR_BOSUN_WORKER_LOST'
  | 'ERR_BOSUN_POISON_TASK'
  | 'ERR_BOSUN_TIMEOUT'
  | 'ERR_BOSUN_DEADLINE'
  | 'ERR_BOSUN_WORKER_START'
  | 'ERR_BOSUN_WORKER_TERMINATED'
  | 'ERR_BOSUN_WORKER_CLOSED'
  | 'ERR_BOSUN_POOL'
  | 'ERR_BOSUN_POOL_STATE'
  | 'ERR_BOSUN_POISONED_INPUT'
  | 'ERR_BOSUN_CANCELLED'
  | 'ERR_BOSUN_FSM'
  | 'ERR_BOSUN_PICTURE'
  | 'ERR_BOSUN_JOURNAL'
  | 'ERR_BOSUN_TASK'
  | 'ERR_BOSUN_BLOCKED'
  | 'ERR_BOSUN_CYCLE'
  | 'ERR_BOSUN_MANAGER_CLOSED'
  | 'ERR_BOSUN_MANAGER_BUSY'
  | 'ERR_BOSUN_QUEUE_FULL'
  | 'ERR_BOSUN_NULL_MANAGER'
  | 'ERR_BOSUN_NO_RESULT_HERE'
  | 'ERR_BOSUN_WOULD_DEADLOCK'
  | 'ERR_BOSUN_LISTEN'
  | 'ERR_BOSUN_ADDRESS_IN_USE'
  | 'ERR_BOSUN_UNSUPPORTED'
  | 'ERR_BOSUN_SIZE'
  | 'ERR_BOSUN_PEER'
  | 'ERR_BOSUN_PEER_ABSENT'
  | 'ERR_BOSUN_NAMER'
  | 'ERR_BOSUN_MEMOER'
  | 'ERR_BOSUN_MULTI'
  | 'ERR_BOSUN_CONNECTION_RESET'
  | 'ERR_BOSUN_FRAME_TOO_LARGE'
  | 'ERR_BOSUN_PROTOCOL';

/** The base of every error that bosun itself raises, but for bad arguments, which are a TypeError or a RangeError. */
export class BosunError extends Error {
  /** Stable; docs/errors.md says what each one is about. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    // On the prototype it would cost nothing, but a subclass must show its own name in stacks too.
    Object.defineProperty(this, 'name', { value: new.target.name, configurable: true, writable: true });
  }
}

/** An argument or an option of the wrong kind; thrown at the call, before anything changes. */
export class InvalidArgumentError extends TypeError {
  readonly code: ErrorCode = 'ERR_BOSUN_INVALID_ARGUMENT';
  override readonly name = 'InvalidArgumentError';
}

/** A number outside its range, as a priority that the manager does not have; thrown at the call, before anything changes. */
export class OutOfRangeError extends RangeError {
  readonly code: ErrorCode = 'ERR_BOSUN_OUT_OF_RANGE';
  override readonly name = 'OutOfRangeError';
}

/** No native binary could be loaded. `cause` is an AggregateError with one error for each place that was tried, if any was. */
export class NativeLoadError extends BosunError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_BOSUN_NATIVE_LOAD', message, options);
  }
}

/** This system has not got what that needs; on Windows, sockets of the Unix domain. */
export class UnsupportedError extends BosunError {
  constructor(message: string) {
    super('ERR_BOSUN_UNSUPPORTED', message);
  }
}

/** A value that cannot travel to another process: a function, a symbol, a promise, a weak collection, a host object. */
export class DataCloneError extends BosunError {
  constructor(message: string, options?: ErrorOptions, code: ErrorCode = 'ERR_BOSUN_DATA_CLONE') {
    super(code, message, options);
  }
}

/** The task ran, but what it returned cannot travel back. */
export class ResultCloneError extends DataCloneError {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options, 'ERR_BOSUN_RESULT_CLONE');
  }
}

/** A task that a worker could not rebuild: it has no module, or its class is not exported under its name. */
export class NotPortableError extends BosunError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_BOSUN_NOT_PORTABLE', message, options);
  }
}

/** What is known of a failed task besides its error. */
export interface WorkerExceptionDetails {
  readonly taskName?: string | undefined;
  readonly taskId?: number | undefined;
  readonly pid?: number | undefined;
  readonly attempts?: number | undefined;
}

/**
 * A task failed in a worker. `cause` is the original error, revived with its class name, message, code, own properties
 * and its stack in the worker. `String(error)` is the full remote stack.
 */
export class WorkerException extends BosunError {
  readonly taskName: string | undefined;
  readonly taskId: number | undefined;
  /** The process that ran the task. */
  readonly pid: number | undefined;
  /** How often the task was begun, this time included. */
  readonly attempts: number;

  constructor(
    message: string,
    options: ErrorOptions & WorkerExceptionDetails = {},
    code: ErrorCode = 'ERR_BOSUN_TASK_FAILED',
  ) {
    super(code, message, options);
    this.taskName = options.taskName;
    this.taskId = options.taskId;
    this.pid = options.pid;
    this.attempts = options.attempts ?? 1;
  }

  override toString(): string {
    const { cause } = this;
    if (cause === undefined) return this.stack ?? this.message;
    return `${this.name}: ${this.message}\n${cause instanceof Error ? look(cause) : describe(cause)}`;
  }
}

/** A task waited for one that could never run, because nothing but waiting tasks has a place at the workers. */
export class WouldDeadlockError extends BosunError {
  constructor(message: string) {
    super('ERR_BOSUN_WOULD_DEADLOCK', message);
  }
}

/** How a worker ended. One of the two is set, as `child_process` reports it. */
export interface ExitDetails {
  readonly exitCode: number | null;
  readonly exitSignal: NodeJS.Signals | null;
}

/** What is known of the end of a worker that was lost. */
export interface LossDetails extends ExitDetails {
  /** True when the task had ended, and only its result was lost with the worker. */
  readonly finished?: boolean | undefined;
  /** The last lines of what the worker wrote to its standard error, at most 4 KiB. */
  readonly stderrTail?: string | undefined;
  /** Why the manager made it end, if it did; part of the message. */
  readonly reason?: string | undefined;
}

/**
 * The worker died while it ran this task. Other tasks that had been sent to it went to other workers, uncharged. Whether
 * the task is run again is for `retry` to say: without it a task runs at most once.
 */
export class WorkerLostError extends WorkerException {
  readonly exitCode: number | null;
  readonly exitSignal: NodeJS.Signals | null;
  /** True when the task had ended, and only its result was lost with the worker. */
  readonly finished: boolean;
  /** The last lines of what the worker wrote to its standard error, at most 4 KiB; empty when it wrote none. */
  readonly stderrTail: string;

  constructor(
    message: string,
    options: ErrorOptions & WorkerExceptionDetails & LossDetails,
    code: ErrorCode = 'ERR_BOSUN_WORKER_LOST',
  ) {
    super(message, options, code);
    this.exitCode = options.exitCode;
    this.exitSignal = options.exitSignal;
    this.finished = options.finished ?? false;
    this.stderrTail = options.stderrTail ?? '';
  }
}

/** The task has cost so many workers (`maxCrashes` of its retry policy) that it is not run again. */
export class PoisonTaskError extends WorkerLostError {
  /** How each of them ended, the last one last. */
  readonly exits: readonly ExitDetails[];

  constructor(
    message: string,
    options: ErrorOptions & WorkerExceptionDetails & LossDetails & { readonly exits: readonly ExitDetails[] },
  ) {
    super(message, options, 'ERR_BOSUN_POISON_TASK');
    this.exits = options.exits;
  }
}

/** The task ran for longer than its `timeout`. It was told to stop, and its worker is killed if it does not. */
export class TimeoutError extends WorkerException {
  constructor(message: string, options?: ErrorOptions & WorkerExceptionDetails) {
    super(message, options, 'ERR_BOSUN_TIMEOUT');
  }
}

/**
 * Workers die as fast as they are started (`restart`), without having finished a single task: their set-up throws, or
 * Node.js cannot start, or the first task ends each of them.
 */
export class WorkerStartError extends BosunError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_BOSUN_WORKER_START', message, options);
  }
}

/** A Worker was told to stop (`terminate`): the reason of its target's signal, and what `checkpoint()` throws there. */
export class WorkerTerminatedError extends BosunError {
  constructor(message = 'the worker was told to stop', options?: ErrorOptions) {
    super('ERR_BOSUN_WORKER_TERMINATED', message, options);
  }
}

/** A persistent worker takes no more inputs, or gives no more results: it was closed, or has ended. */
export class WorkerClosedError extends BosunError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_BOSUN_WORKER_CLOSED', message, options);
  }
}

/** A pool could not work off its inputs, or not all of them gave a value; `cause` is the first reason. */
export class PoolError extends BosunError {
  /** Of the inputs that were worked off, in the order of the inputs. */
  readonly partialResults: readonly unknown[];
  /** That were given to workers that died, or to nobody. */
  readonly lostInputs: readonly (readonly unknown[])[];

  constructor(
    message: string,
    options: ErrorOptions & {
      readonly partialResults?: readonly unknown[];
      readonly lostInputs?: readonly (readonly unknown[])[];
    } = {},
  ) {
    super('ERR_BOSUN_POOL', message, options);
    this.partialResults = options.partialResults ?? [];
    this.lostInputs = options.lostInputs ?? [];
  }
}

/** A pool was used while it is running, or after it was closed. */
export class PoolStateError extends BosunError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_BOSUN_POOL_STATE', message, options);
  }
}

/** An input has cost so many workers that it is given to no other. */
export class PoisonedInputError extends BosunError {
  readonly input: readonly unknown[];
  readonly attempts: number;

  constructor(input: readonly unknown[], attempts: number, options?: ErrorOptions) {
    super('ERR_BOSUN_POISONED_INPUT', `an input has cost ${attempts} workers, and is given to no other`, options);
    this.input = input;
    this.attempts = attempts;
  }
}

/** The task was cancelled, or dropped by a manager that closed, before it had a result. */
export class CancellationError extends BosunError {
  constructor(message = 'the task was cancelled', options?: ErrorOptions, code: ErrorCode = 'ERR_BOSUN_CANCELLED') {
    super(code, message, options);
  }
}

/** The task had not begun within its `deadline`, and was dropped. */
export class DeadlineError extends CancellationError {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options, 'ERR_BOSUN_DEADLINE');
  }
}

/** What is known of an event that a state machine refused. */
export interface FSMErrorDetails {
  readonly state?: string | undefined;
  readonly event?: string | undefined;
  readonly allowed?: readonly string[] | undefined;
}

/** A state machine does not allow an event in its present state; nothing has changed. */
export class FSMError extends BosunError {
  /** The present state; undefined when there is none yet. */
  readonly state: string | undefined;
  readonly event: string | undefined;
  /** The events that are allowed there. */
  readonly allowed: readonly string[];

  constructor(message: string, options: ErrorOptions & FSMErrorDetails = {}, code: ErrorCode = 'ERR_BOSUN_FSM') {
    super(code, message, options);
    this.state = options.state;
    this.event = options.event;
    this.allowed = options.allowed ?? [];
  }
}

/** A graph could not be drawn; `cause` is what Graphviz said. */
export class PictureError extends BosunError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_BOSUN_PICTURE', message, options);
  }
}

/** What is known of a journal's failure. */
export interface JournalErrorDetails {
  readonly file?: string | undefined;
  /** The byte of the file at which it is damaged. */
  readonly offset?: number | undefined;
}

/**
 * A journal cannot be used, or could not take something: it is damaged, in use, of another graph, closed, or cannot be written;
 * `cause` is the system's error, if it was one.
 */
export class JournalError extends BosunError {
  readonly file: string | undefined;
  /** The byte of the file at which it is damaged; undefined when that is not what is wrong. */
  readonly offset: number | undefined;

  constructor(message: string, options: ErrorOptions & JournalErrorDetails = {}) {
    super('ERR_BOSUN_JOURNAL', message, options);
    this.file = options.file;
    this.offset = options.offset;
  }
}

/** A task cannot go on because of the tasks that it requires: one failed, or has no value. */
export class TaskError extends FSMError {
  readonly task: Task;
  /** Those of the tasks that it requires which are the reason. */
  readonly prerequisites: readonly Task[];

  constructor(
    message: string,
    task: Task,
    options: ErrorOptions & FSMErrorDetails & { readonly prerequisites?: readonly Task[] } = {},
    code: ErrorCode = 'ERR_BOSUN_TASK',
  ) {
    super(message, { state: task.state, ...options }, code);
    this.task = task;
    this.prerequisites = options.prerequisites ?? [];
    hide(this, 'task', 'prerequisites');
  }
}

/** A task was to be run while one that it requires has not been completed. */
export class BlockedError extends TaskError {
  readonly blockingTask: Task;

  constructor(task: Task, blockingTask: Task) {
    const message = `task '${task.name}' is blocked by '${blockingTask.name}', which is ${blockingTask.state}`;
    super(message, task, { prerequisites: [blockingTask] }, 'ERR_BOSUN_BLOCKED');
    this.blockingTask = blockingTask;
    hide(this, 'blockingTask');
  }
}

/** Tasks require each other in a circle, so that none of them could ever run. */
export class CycleError extends BosunError {
  /** Each requires the next one, and the last one the first. */
  readonly cycle: readonly Task[];

  constructor(cycle: readonly Task[]) {
    super('ERR_BOSUN_CYCLE', `tasks require each other in a circle: ${circle(cycle)}`);
    this.cycle = cycle;
    hide(this, 'cycle');
  }
}

/** In a message no more of them than can be read. */
const MAX_NAMED = 8;

function circle(cycle: readonly Task[]): string {
  const names = cycle.map(({ name }) => `'${name}'`);
  const shown = names.length <= MAX_NAMED ? names : [...names.slice(0, MAX_NAMED - 1), `(${names.length} in all)`];
  return [...shown, names[0]].join(' -> ');
}

/** Tasks neither travel with an error nor fill the screen with it: whoever prints it sees their names in the message. */
function hide(error: Error, ...fields: string[]): void {
  for (const field of fields) Object.defineProperty(error, field, { enumerable: false });
}

/** The manager cannot listen where it was told to; `cause` is the system's error. */
export class ListenError extends BosunError {
  constructor(message: string, options?: ErrorOptions, code: ErrorCode = 'ERR_BOSUN_LISTEN') {
    super(code, message, options);
  }
}

/** Somebody else listens there already. */
export class AddressInUseError extends ListenError {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options, 'ERR_BOSUN_ADDRESS_IN_USE');
  }
}

/** Longer than it can be: the path of a socket, a gram, a memo. */
export class SizeError extends BosunError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_BOSUN_SIZE', message, options);
  }
}

/** Nobody reads at the address of a peer, or nobody any more. */
export class PeerAbsentError extends BosunError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_BOSUN_PEER_ABSENT', message, options);
  }
}

/** A name or an address is empty, or belongs to another already: the address book is as it was. */
export class NamerError extends BosunError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_BOSUN_NAMER', message, options);
  }
}

/** A PeerMemoer is not open, has a reader already, or could not send; `cause` is the peer's error, if there is one. */
export class MemoerError extends BosunError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_BOSUN_MEMOER', message, options);
  }
}

/** A crew cannot be as its loads say, or a hand of it has ended badly and is not started again. */
export class MultiError extends BosunError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_BOSUN_MULTI', message, options);
  }
}

/** The manager has been closed, or is closing; it takes no more from its owner. */
export class ManagerClosedError extends BosunError {
  constructor(message = 'the manager is closed: make a new one', options?: ErrorOptions) {
    super('ERR_BOSUN_MANAGER_CLOSED', message, options);
  }
}

/** The queue has no room for the task; nothing was accepted. */
export class QueueFullError extends BosunError {
  constructor(
    message = "the queue holds as many tasks as it can (maxQueue): wait for room(), or use whenFull: 'wait'",
    options?: ErrorOptions,
  ) {
    super('ERR_BOSUN_QUEUE_FULL', message, options);
  }
}

/** A NullManager was asked to schedule. */
export class NullManagerError extends BosunError {
  constructor(message = 'a NullManager runs nothing: pass a real manager to schedule tasks', options?: ErrorOptions) {
    super('ERR_BOSUN_NULL_MANAGER', message, options);
  }
}

/** The peer closed the connection inside a frame or before the expected one. */
export class ConnectionResetError extends BosunError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_BOSUN_CONNECTION_RESET', message, options);
  }
}

/** A frame declares more bytes than `maxFrameBytes`; nothing was allocated for it. */
export class FrameTooLargeError extends BosunError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_BOSUN_FRAME_TOO_LARGE', message, options);
  }
}

/** Bytes that are no frame of the protocol, or a frame that is out of place. */
export class ProtocolError extends BosunError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_BOSUN_PROTOCOL', message, options);
  }
}
