// What goes on inside a ProcessManager: the turn, in which tasks go out and come back, and what starts and ends it.

import type { EventEmitter } from 'node:events';
import { CancellationError, type ExitDetails, ManagerClosedError, type WorkerStartError } from '../errors.js';
import { type NativeDispatcher, native } from '../native.js';
import { decodeFailure } from '../wire/failure.js';
import { announce } from './announce.js';
import type { ClosePolicy, CloseReport } from './close.js';
import { listensToTasks, type ProcessManagerEvents } from './events.js';
import { Inbox } from './inbox.js';
import { KeepAlive } from './keep-alive.js';
import type { Member } from './member.js';
import type { MessageReader } from './message-reader.js';
import type { ManagerSettings } from './options.js';
import { type DispatchRecord, RECORD, RecordReader } from './records.js';
import { Settlement } from './settlement.js';
import { Shutdown } from './shutdown.js';
import { CountReader, type ManagerStats } from './stats.js';
import { Submissions, type Waiter } from './submissions.js';
import { WorkerSet } from './worker-set.js';

/** A worker may keep tasks behind the one that it runs for this long before they are taken back. */
const STUCK_MS = 2;

/** Tasks that are collected before they are handed over; a long loop of `run` must not hold the workers up. */
const TURN_TASKS = 512;
const TURN_BYTES = 1024 * 1024;

export class Engine {
  readonly #settings: ManagerSettings;
  readonly #events: EventEmitter<ProcessManagerEvents>;
  readonly #dispatcher: NativeDispatcher;
  readonly #submissions: Submissions;
  readonly #completions: RecordReader;
  readonly #counts: CountReader;
  readonly #inbox: Inbox;
  readonly #settlement: Settlement;
  readonly #shutdown: Shutdown;
  readonly #keepAlive = new KeepAlive();
  readonly workers: WorkerSet;

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

  /** Starts the first workers. */
  constructor(settings: ManagerSettings, events: EventEmitter<ProcessManagerEvents>) {
    const { levels, maxFrameBytes, prefetch, inboxMark } = settings;
    this.#settings = settings;
    this.#events = events;
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
      pidOf: (worker) => this.workers.pidOf(worker),
    });
    this.workers = new WorkerSet(this.#dispatcher, settings, {
      turn: () => this.#turn(),
      started: (member) => this.#onStarted(member),
      exited: (member, exit) => this.#onExited(member, exit),
      failed: (error) => this.#onFailed(error),
    });
    this.#settlement = new Settlement({
      dispatcher: this.#dispatcher,
      submissions: this.#submissions,
      inbox: this.#inbox,
      workers: this.workers,
      events,
      dropReason: () => this.#dropReason(),
    });
    this.#shutdown = this.#makeShutdown();
    this.workers.grow(settings.minWorkers);
    this.#requestTurn();
  }

  // ---- what the manager asks for ------------------------------------------------

  get tasksLeft(): number {
    return this.#counts.refresh().left + this.#submissions.pending;
  }

  /** The number that the next task will have. */
  get nextId(): number {
    return this.#submissions.lastId + 1;
  }

  /** @throws ManagerClosedError, or the WorkerStartError for which it has given up. */
  assertOpen(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#shutdown.policy !== undefined) throw new ManagerClosedError();
  }

  /** Takes a task; the payload is copied. Returns its ticket. */
  submit(level: number, flags: number, payload: Uint8Array, waiter: Waiter, name: string): number {
    const ticket = this.#submissions.add(level, flags, payload, waiter, name);
    this.#hadTasks = true;
    if (this.#wasIdle) this.#holdProcess();
    if (this.#submissions.pending >= TURN_TASKS || this.#submissions.pendingBytes >= TURN_BYTES) this.#turn();
    else this.#requestTurn();
    return ticket;
  }

  readonly cancel = (ticket: number): void => {
    this.#submissions.flush();
    this.#dispatcher.cancel(ticket);
    this.#requestTurn();
  };

  /** Puts a message into the inbox. */
  post(message: Uint8Array): void {
    this.#dispatcher.post(message);
    this.#requestTurn();
  }

  openInbox(): MessageReader {
    if (this.#failure !== undefined) throw this.#failure;
    return this.#inbox.open();
  }

  ready(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#shutdown.policy !== undefined) return Promise.reject(new ManagerClosedError());
    if (this.workers.alive >= this.#settings.minWorkers) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#readyWaiters.push({ resolve, reject });
      this.#holdProcess();
    });
  }

  stats(): ManagerStats {
    const { discarded } = this.#inbox;
    return this.#counts.refresh().stats(this.#submissions.pending, discarded, this.workers.info());
  }

  close(policy: ClosePolicy, timeout: number | undefined): Promise<CloseReport> {
    return this.#shutdown.close(policy, timeout);
  }

  // ---- the turn -----------------------------------------------------------------

  #holdProcess(): void {
    this.#wasIdle = false;
    this.#keepAlive.set(true);
    this.#requestTurn();
  }

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
      this.#setReports(listensToTasks(this.#events));
      this.#submissions.flush();
      this.#dispatcher.turn(this.workers.write);
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
        announce(this.#events, 'drain');
      }
      this.#shutdown.wake();
      return;
    }
    // One at a time: a start costs tens of milliseconds of a core, and the queue may be empty by then.
    if (counts.get('waiting') > 0 && this.workers.starting === 0) {
      this.workers.grow(Math.max(this.#settings.minWorkers, this.workers.size + 1));
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
        this.workers.ready(record.worker);
        break;
      case RECORD.START_FAILED: {
        const member = this.workers.find(record.worker);
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
    if (this.workers.alive >= this.#settings.minWorkers) {
      for (const { resolve } of this.#readyWaiters.splice(0)) resolve();
    }
    announce(this.#events, 'worker:start', { worker: member.worker, pid: member.life.pid });
  }

  #onExited(member: Member, exit: ExitDetails): void {
    this.#settlement.lose(member, exit);
    const { worker, life, tasksEnded } = member;
    // The place of one that was set up is taken at once; `failed` looks after those that never are.
    if (!this.#shutdown.dropping) this.workers.grow(this.#settings.minWorkers);
    announce(this.#events, 'worker:exit', { worker, pid: life.pid, tasksEnded, ...exit });
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
      stopWorkers: (policy, grace) => this.workers.stop(policy, grace),
      killWorkers: () => this.workers.kill(),
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
    if (unseen !== undefined && !this.#inbox.wasRead && this.#events.listenerCount('task:failed') === 0) {
      process.emitWarning(`tasks failed, and nobody read messages() or their results; the first: ${unseen.message}`, {
        code: 'BOSUN_W001',
      });
    }
    const { tasks, inbox } = this.stats();
    const { done, failed, cancelled } = tasks;
    return { done, failed, cancelled, messagesDiscarded: inbox.discarded, errors: this.#inbox.errors };
  }
}
