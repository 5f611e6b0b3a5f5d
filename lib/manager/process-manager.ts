// Runs tasks on processes, most urgent first.

import { EventEmitter } from 'node:events';
import {
  CancellationError,
  type ExitDetails,
  InvalidArgumentError,
  ManagerClosedError,
  type WorkerStartError,
} from '../errors.js';
import { type NativeDispatcher, native } from '../native.js';
import { ownOptions } from '../own-options.js';
import { Proxy } from '../runtime/proxy.js';
import { encodeSpec } from '../task/encode.js';
import type { Manager, TaskHandle } from '../task/manager.js';
import { specName, toSpec } from '../task/spec.js';
import { choosePriority } from '../task/target.js';
import type { Task } from '../task/task.js';
import { decodeFailure } from '../wire/failure.js';
import { checkFrameSize, TASK_FIELDS } from '../wire/frame.js';
import { encodePayload } from '../wire/payload.js';
import { announce } from './announce.js';
import { ClosePolicy, type CloseReport, STRICTNESS } from './close.js';
import { listensToTasks, type ProcessManagerEvents } from './events.js';
import { ScheduledTask } from './handle.js';
import { Inbox } from './inbox.js';
import { KeepAlive } from './keep-alive.js';
import type { Member } from './member.js';
import { checkManagerOptions, delay, type ManagerSettings, oneOf, type ProcessManagerOptions } from './options.js';
import { type DispatchRecord, RECORD, RecordReader } from './records.js';
import { type RunTarget, RunTargets } from './run-target.js';
import { Settlement } from './settlement.js';
import { Shutdown } from './shutdown.js';
import { CountReader, type ManagerStats } from './stats.js';
import { FLAG_INBOX_ERRORS, Submissions } from './submissions.js';
import { type WorkerInfo, WorkerSet } from './worker-set.js';

/** Options of one call of `run`. */
export interface RunOptions {
  /** 0 is the most urgent. */
  readonly priority?: number;
}

/** A worker may keep tasks behind the one that it runs for this long before they are taken back. */
const STUCK_MS = 2;

/** Tasks that are collected before they are handed over; a long loop of `run` must not hold the workers up. */
const TURN_TASKS = 512;
const TURN_BYTES = 1024 * 1024;

/**
 * A scheduler over worker processes.
 *
 * Tasks run in order of priority, first in first out inside a level, and may schedule more. `messages()` yields what
 * they send, and ends when nothing is left.
 *
 * @example
 * await using manager = new ProcessManager({ workers: 4 });
 * manager.schedule(new Index('/data'), 0);
 * for await (const message of manager.messages()) console.log(message);
 */
export class ProcessManager extends EventEmitter<ProcessManagerEvents> implements Manager, AsyncDisposable {
  static readonly ClosePolicy = ClosePolicy;
  static readonly Proxy = Proxy;

  readonly #settings: ManagerSettings;
  readonly #dispatcher: NativeDispatcher;
  readonly #submissions: Submissions;
  readonly #completions: RecordReader;
  readonly #counts: CountReader;
  readonly #inbox: Inbox;
  readonly #workers: WorkerSet;
  readonly #settlement: Settlement;
  readonly #shutdown: Shutdown;
  readonly #keepAlive = new KeepAlive();
  readonly #targets = new RunTargets();

  #turnQueued = false;
  #inTurn = false;
  #reporting = false;
  #stuckTimer: NodeJS.Timeout | undefined;
  /** False while this process is kept up. */
  #wasIdle = true;
  /** True from the first task on until `drain`. */
  #hadTasks = false;
  #failure: WorkerStartError | undefined;
  #readyWaiters: { resolve(): void; reject(reason: Error): void }[] = [];

  /**
   * Starts `minWorkers` workers.
   *
   * @throws InvalidArgumentError, OutOfRangeError for bad options; nothing has been started then.
   */
  constructor(options: ProcessManagerOptions = {}) {
    super();
    const settings = checkManagerOptions(options);
    const { levels, maxFrameBytes, prefetch, inboxMark } = settings;
    this.#settings = settings;
    this.#dispatcher = new native.Dispatcher(levels, maxFrameBytes, prefetch, inboxMark);
    if (settings.discardMessages) this.#dispatcher.discardMessages();
    this.#submissions = new Submissions(this.#dispatcher);
    this.#completions = new RecordReader((target) => this.#dispatcher.drainCompletions(target));
    this.#counts = new CountReader(this.#dispatcher, levels);
    this.#inbox = new Inbox(this.#dispatcher, {
      throwOnError: settings.throwOnError,
      discards: settings.discardMessages,
      idle: () => this.tasksLeft === 0,
      read: () => this.#requestTurn(),
      pidOf: (worker) => this.#workers.pidOf(worker),
    });
    this.#workers = new WorkerSet(this.#dispatcher, settings, {
      turn: () => this.#turn(),
      started: (member) => this.#onStarted(member),
      exited: (member, exit) => this.#onExited(member, exit),
      failed: (error) => this.#onFailed(error),
    });
    this.#settlement = new Settlement({
      dispatcher: this.#dispatcher,
      submissions: this.#submissions,
      inbox: this.#inbox,
      workers: this.#workers,
      events: this,
      dropReason: () => this.#dropReason(),
    });
    this.#shutdown = this.#makeShutdown();
    this.#workers.grow(settings.minWorkers);
    this.#requestTurn();
  }

  /** Tasks that have not ended, from the call of `schedule` or `run` on. */
  get tasksLeft(): number {
    return this.#counts.refresh().left + this.#submissions.pending;
  }

  get workers(): readonly WorkerInfo[] {
    return this.#workers.info();
  }

  /**
   * Runs a task on some worker. Its failure reaches the handle's result and, as a WorkerException, `messages()`.
   *
   * @param priority 0 is the most urgent; beats the task's own; `min(1, levels - 1)` when neither is given.
   * @throws OutOfRangeError (ERR_BOSUN_OUT_OF_RANGE) for a level that does not exist.
   * @throws NotPortableError (ERR_BOSUN_NOT_PORTABLE) when a worker could not rebuild the task.
   * @throws DataCloneError (ERR_BOSUN_DATA_CLONE) when a field or an argument cannot travel.
   * @throws FrameTooLargeError (ERR_BOSUN_FRAME_TOO_LARGE) for a task above `maxFrameBytes`.
   * @throws ManagerClosedError (ERR_BOSUN_MANAGER_CLOSED)
   */
  schedule<R>(task: Task<R>, priority?: number): TaskHandle<R> {
    this.#assertOpen();
    const spec = toSpec(task);
    const level = choosePriority(priority, task.priority, this.#settings.levels);
    const payload = this.#checkSize(encodeSpec(spec));
    const handle = new ScheduledTask<R>(this.#submissions.lastId + 1, task, this.#cancel);
    handle.ticket = this.#submissions.add(level, FLAG_INBOX_ERRORS, payload, handle, specName(spec));
    this.#submitted();
    return handle;
  }

  /**
   * Calls an exported function in a worker. Its failure reaches only this promise.
   *
   * @throws OutOfRangeError, InvalidArgumentError, ManagerClosedError at the call; all else rejects.
   */
  run<R>(target: RunTarget, args: readonly unknown[] = [], options: RunOptions = {}): Promise<R> {
    this.#assertOpen();
    const { module, exportName } = this.#targets.resolve(target);
    if (!Array.isArray(args)) throw new InvalidArgumentError('args is an array of arguments');
    const level = choosePriority(ownOptions(options, 'the options of run').priority, undefined, this.#settings.levels);
    let payload: Uint8Array;
    try {
      payload = this.#checkSize(encodeSpec(['f', '', module, exportName, args]));
    } catch (error) {
      return Promise.reject(error);
    }
    return new Promise<R>((resolve) => {
      this.#submissions.add(level, 0, payload, resolve as (outcome: unknown) => void, exportName);
      this.#submitted();
    });
  }

  /** Puts a message into this manager's own inbox. @throws ManagerClosedError, DataCloneError */
  sendMessage(message: unknown): void {
    this.#assertOpen();
    this.#dispatcher.post(encodePayload(message, 'message'));
    this.#requestTurn();
  }

  /**
   * What tasks send and how scheduled tasks fail (as WorkerException), in order of arrival; each worker's in the order
   * in which it sent them. Ends when the inbox is empty and no task is left; the reader may schedule more. One reader at
   * a time; `break` leaves the manager usable.
   *
   * @throws BosunError (ERR_BOSUN_MANAGER_BUSY) for a second reader.
   * @throws WorkerStartError (ERR_BOSUN_WORKER_START) from the iteration when no worker can be set up.
   */
  messages(): AsyncIterableIterator<unknown> {
    if (this.#failure !== undefined) throw this.#failure;
    return this.#inbox.open();
  }

  /** Resolves when `minWorkers` workers are set up. Rejects with a WorkerStartError when they cannot be. */
  ready(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#shutdown.policy !== undefined) return Promise.reject(new ManagerClosedError());
    if (this.#workers.alive >= this.#settings.minWorkers) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#readyWaiters.push({ resolve, reject });
      this.#holdProcess();
    });
  }

  /** The counts now. */
  stats(): ManagerStats {
    const counts = this.#counts.refresh();
    const pending = this.#submissions.pending;
    return {
      tasks: {
        accepted: counts.get('accepted') + pending,
        waiting: counts.get('waiting') + pending,
        waitingByPriority: counts.waitingByPriority,
        sent: counts.get('sent'),
        lost: counts.get('lost'),
        done: counts.get('done'),
        failed: counts.get('failed'),
        cancelled: counts.get('cancelled'),
        recalled: counts.get('recalled'),
      },
      inbox: {
        messages: counts.get('inbox'),
        bytes: counts.get('inboxBytes'),
        received: counts.get('messages'),
        discarded: counts.get('discarded') + this.#inbox.discarded,
      },
      workers: this.workers,
    };
  }

  /**
   * Ends the manager. Later calls get the same report; a stricter policy, or the timeout of JOIN, makes it stricter.
   *
   * @param policy JOIN waits for everything, CANCEL drops what waits and asks what runs to stop, KILL is SIGKILL.
   * @param options.timeout milliseconds: JOIN becomes KILL then; CANCEL gives running tasks so long instead of `grace`.
   */
  close(policy: ClosePolicy = ClosePolicy.JOIN, options: { readonly timeout?: number } = {}): Promise<CloseReport> {
    oneOf('the close policy', policy, STRICTNESS);
    const { timeout } = ownOptions(options, 'the options of close');
    return this.#shutdown.close(policy, timeout === undefined ? undefined : delay('timeout', timeout));
  }

  /** CANCEL: an `await using` block cannot see whether it is left by an error. See `withManager` for KILL on errors. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close(ClosePolicy.CANCEL);
  }

  // ---- submitting ---------------------------------------------------------------

  #assertOpen(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#shutdown.policy !== undefined) throw new ManagerClosedError();
  }

  #checkSize(payload: Uint8Array): Uint8Array {
    checkFrameSize('the task', TASK_FIELDS + payload.byteLength, this.#settings.maxFrameBytes);
    return payload;
  }

  #submitted(): void {
    this.#hadTasks = true;
    if (this.#wasIdle) this.#holdProcess();
    if (this.#submissions.pending >= TURN_TASKS || this.#submissions.pendingBytes >= TURN_BYTES) this.#turn();
    else this.#requestTurn();
  }

  #holdProcess(): void {
    this.#wasIdle = false;
    this.#keepAlive.set(true);
    this.#requestTurn();
  }

  readonly #cancel = (ticket: number): void => {
    this.#submissions.flush();
    this.#dispatcher.cancel(ticket);
    this.#requestTurn();
  };

  // ---- the turn -----------------------------------------------------------------

  #requestTurn(): void {
    if (this.#turnQueued) return;
    this.#turnQueued = true;
    queueMicrotask(() => {
      this.#turnQueued = false;
      this.#turn();
    });
  }

  /** Hands over what was submitted, sends what can be sent, settles what has ended. */
  #turn(): void {
    if (this.#inTurn) {
      this.#requestTurn();
      return;
    }
    this.#inTurn = true;
    try {
      this.#setReports(listensToTasks(this));
      this.#submissions.flush();
      this.#dispatcher.turn(this.#workers.write);
      for (let record = this.#completions.next(); record !== undefined; record = this.#completions.next()) {
        this.#onRecord(record);
      }
      if (this.#shutdown.policy !== undefined && !this.#inbox.hasReader) this.#inbox.discard();
      this.#inbox.wake();
    } finally {
      // Nothing above should throw; if it does, the next turn must still be one.
      this.#inTurn = false;
    }
    this.#afterTurn();
  }

  /** The ends of tasks that workers scheduled are reported only while somebody listens. */
  #setReports(on: boolean): void {
    if (on === this.#reporting) return;
    this.#reporting = on;
    this.#dispatcher.reportAll(on);
  }

  #afterTurn(): void {
    const counts = this.#counts.refresh();
    const left = counts.left + this.#submissions.pending;
    if (left === 0) {
      if (!this.#wasIdle && this.#readyWaiters.length === 0 && this.#shutdown.policy === undefined) {
        this.#wasIdle = true;
        this.#keepAlive.set(false);
      }
      if (this.#hadTasks) {
        this.#hadTasks = false;
        announce(this, 'drain');
      }
      this.#shutdown.wake();
      return;
    }
    // One at a time: a start costs tens of milliseconds of a core, and the queue may be empty by then.
    if (counts.get('waiting') > 0 && this.#workers.starting === 0) {
      this.#workers.grow(Math.max(this.#settings.minWorkers, this.#workers.size + 1));
    }
    this.#watchStuck();
  }

  /** A task that takes long must not hold back those that were sent ahead behind it. */
  #watchStuck(): void {
    if (this.#stuckTimer !== undefined || !this.#dispatcher.watchStuck()) return;
    this.#stuckTimer = setTimeout(() => {
      this.#stuckTimer = undefined;
      this.#dispatcher.recallStuck();
      this.#turn();
    }, STUCK_MS);
    this.#stuckTimer.unref();
  }

  #onRecord(record: DispatchRecord): void {
    switch (record.kind) {
      case RECORD.READY:
        this.#workers.ready(record.worker);
        break;
      case RECORD.START_FAILED: {
        const member = this.#workers.find(record.worker);
        if (member !== undefined)
          member.startError = decodeFailure(record.bytes.subarray(record.start, record.end)).error;
        break;
      }
      case RECORD.LOST:
        this.#settlement.hold(record);
        break;
      default:
        this.#settlement.end(record);
        break;
    }
  }

  #dropReason(): Error | undefined {
    if (this.#failure !== undefined) return this.#failure;
    return this.#shutdown.dropping ? new CancellationError('the task was dropped: its manager was closed') : undefined;
  }

  // ---- workers ------------------------------------------------------------------

  #onStarted(member: Member): void {
    if (this.#workers.alive >= this.#settings.minWorkers) {
      for (const { resolve } of this.#readyWaiters.splice(0)) resolve();
    }
    announce(this, 'worker:start', { worker: member.worker, pid: member.life.pid });
  }

  #onExited(member: Member, exit: ExitDetails): void {
    this.#settlement.lose(member, exit);
    const { worker, life, tasksEnded } = member;
    // The place of one that was set up is taken at once; `failed` looks after those that never are.
    if (!this.#shutdown.dropping) this.#workers.grow(this.#settings.minWorkers);
    announce(this, 'worker:exit', { worker, pid: life.pid, tasksEnded, ...exit });
  }

  #onFailed(error: WorkerStartError): void {
    this.#failure = error;
    for (const { reject } of this.#readyWaiters.splice(0)) reject(error);
    this.#submissions.flush();
    this.#dispatcher.drop();
    this.#inbox.end(error);
    this.#requestTurn();
  }

  // ---- closing ------------------------------------------------------------------

  #makeShutdown(): Shutdown {
    return new Shutdown({
      grace: this.#settings.grace,
      begin: () => {
        this.#holdProcess();
        const closed = new ManagerClosedError('the manager was closed before its workers were ready');
        for (const { reject } of this.#readyWaiters.splice(0)) reject(closed);
        this.#dispatcher.acknowledgeAll();
      },
      tasksLeft: () => this.tasksLeft,
      drop: () => {
        this.#submissions.flush();
        this.#dispatcher.drop();
        this.#requestTurn();
      },
      endReaders: () => this.#inbox.end(),
      stopWorkers: (policy, grace) => this.#workers.stop(policy, grace),
      killWorkers: () => this.#workers.kill(),
      finish: () => this.#finish(),
    });
  }

  #finish(): Omit<CloseReport, 'policy' | 'workers' | 'durationMs'> {
    this.#turn();
    clearTimeout(this.#stuckTimer);
    this.#keepAlive.close();
    // An open iterator of a JOIN keeps what it has not read; nothing comes behind it.
    if (!this.#inbox.hasReader) this.#inbox.discard();
    const unseen = this.#settlement.unseen ?? this.#inbox.unseen;
    if (unseen !== undefined && !this.#inbox.wasRead && this.listenerCount('task:failed') === 0) {
      process.emitWarning(`tasks failed, and nobody read messages() or their results; the first: ${unseen.message}`, {
        code: 'BOSUN_W001',
      });
    }
    const { tasks, inbox } = this.stats();
    const { done, failed, cancelled } = tasks;
    return { done, failed, cancelled, messagesDiscarded: inbox.discarded, errors: this.#inbox.errors };
  }
}
