// What goes on inside a ProcessManager: the turn, in which tasks go out and come back, and what starts and ends it.

import type { EventEmitter } from 'node:events';
import { describe } from '../describe.js';
import {
  AddressInUseError,
  type BosunError,
  CancellationError,
  ListenError,
  type LossDetails,
  ManagerClosedError,
  QueueFullError,
} from '../errors.js';
import { type NativeDispatcher, native } from '../native.js';
import type { WorkerId } from '../task/context.js';
import { decodeFailure } from '../wire/failure.js';
import { announce, isAnnounced, listensToTasks } from './announce.js';
import { ClosePolicy, type CloseReport } from './close.js';
import type { ProcessManagerEvents } from './events.js';
import type { Runner } from './failures.js';
import { Inbox } from './inbox.js';
import { KeepAlive } from './keep-alive.js';
import { type ListenAddress, Listener } from './listener.js';
import type { Member } from './member.js';
import type { MessageReader } from './message-reader.js';
import type { ManagerSettings } from './options.js';
import { Peers } from './peers.js';
import { type DispatchRecord, RECORD, RecordReader } from './records.js';
import { Settlement } from './settlement.js';
import { Shutdown } from './shutdown.js';
import { CountReader, type ManagerStats } from './stats.js';
import { type Submission, Submissions } from './submissions.js';
import { WaitingRoom } from './waiting-room.js';
import { type WorkerInfo, WorkerSet } from './worker-set.js';

/** A worker may keep tasks behind the one that it runs for this long before they are taken back. */
const STUCK_MS = 2;

/** As in native/dispatch/dispatcher.h: no such task, or it has ended. */
const CANCEL_UNKNOWN = 0;

/** Node.js timers take no longer delays. */
const MAX_TIMER_MS = 2 ** 31 - 1;

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
  readonly #waitingRoom = new WaitingRoom();
  readonly #listener: Listener | undefined;
  readonly peers: Peers;
  readonly workers: WorkerSet;

  #turnQueued = false;
  #inTurn = false;
  #reporting = false;
  #stuckTimer: NodeJS.Timeout | undefined;
  /** Fires when a deadline, a time-out, an attempt or the end of patience is due. */
  #dueTimer: NodeJS.Timeout | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  /** False while this process is kept up. */
  #wasIdle = true;
  /** True from the first task on until `drain`. */
  #hadTasks = false;
  #failure: BosunError | undefined;
  /** False while the listening socket is being opened. */
  #listens: boolean;
  #readyWaiters: { resolve(): void; reject(reason: Error): void }[] = [];

  /** Starts the first workers. */
  constructor(settings: ManagerSettings, events: EventEmitter<ProcessManagerEvents>) {
    const { levels, maxFrameBytes, prefetch, inboxMark, concurrency, grace, maxQueue } = settings;
    settings.signal?.throwIfAborted();
    this.#settings = settings;
    this.#events = events;
    this.#dispatcher = new native.Dispatcher(levels, maxFrameBytes, prefetch, inboxMark, concurrency, grace, maxQueue);
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
      lost: (member, exit) => this.#onLost(member, exit),
      exited: (member, exit) => this.#onExited(member, exit),
      troubled: (error, retryMs) => announce(events, 'worker:error', { error, retryMs }),
      failed: (error) => this.#onFailed(error),
    });
    this.peers = this.#makePeers();
    this.#settlement = new Settlement({
      dispatcher: this.#dispatcher,
      submissions: this.#submissions,
      inbox: this.#inbox,
      events,
      backoff: settings.policy.backoff,
      runner: (worker) => this.#runner(worker),
      pidOf: (worker) => this.workers.pidOf(worker),
      dropReason: () => this.#dropReason(),
      cancel: this.cancel,
    });
    this.#shutdown = this.#makeShutdown();
    settings.signal?.addEventListener('abort', this.#onAbort);
    this.#listener = this.#openListener();
    this.#listens = this.#listener === undefined;
    this.workers.grow(settings.minWorkers);
    this.#requestTurn();
  }

  // ---- what the manager asks for ------------------------------------------------

  get tasksLeft(): number {
    return this.#counts.refresh().left + this.#submissions.pending + this.#waitingRoom.size;
  }

  /** The number that the next task will have. */
  get nextId(): number {
    return this.#submissions.lastId + 1;
  }

  get address(): ListenAddress | undefined {
    return this.#listener?.address;
  }

  /** @throws ManagerClosedError, or the error for which it has given up. */
  assertOpen(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#shutdown.policy !== undefined) throw new ManagerClosedError();
  }

  /**
   * Takes a task; the payload is copied. Returns its ticket.
   *
   * @throws QueueFullError (ERR_BOSUN_QUEUE_FULL) when there is no room and tasks do not wait for it.
   * @throws the reason of a signal that is aborted already; nothing was taken then.
   */
  submit(submission: Submission, signal: AbortSignal | undefined): number {
    signal?.throwIfAborted();
    const hasRoom = this.#hasRoom();
    if (!hasRoom && !this.#settings.waitsWhenFull) throw new QueueFullError();
    const { waiter, name, level, policy } = submission;
    const ticket = this.#submissions.add(waiter, name);
    const id = this.#submissions.lastId;
    if (hasRoom) this.#submissions.write(ticket, id, submission);
    else this.#waitingRoom.enter({ ticket, id, submission });
    if (policy.backoff !== undefined) this.#settlement.useBackoff(ticket, policy.backoff);
    if (signal !== undefined) this.#settlement.signals.watch(signal, ticket);
    this.#hadTasks = true;
    if (this.#wasIdle) this.#holdProcess();
    if (isAnnounced(this.#events, 'task:queued')) announce(this.#events, 'task:queued', { id, name, priority: level });
    if (this.#submissions.pending >= TURN_TASKS || this.#submissions.pendingBytes >= TURN_BYTES) this.#turn();
    else this.#requestTurn();
    return ticket;
  }

  /** Nobody overtakes those who wait for room already. */
  #hasRoom(): boolean {
    const { maxQueue } = this.#settings;
    if (maxQueue === Number.POSITIVE_INFINITY) return true;
    if (this.#waitingRoom.size > 0) return false;
    if (this.#fits()) return true;
    // What workers can take now is not waiting.
    this.#turn();
    return this.#fits();
  }

  #fits(): boolean {
    return this.#counts.refresh().get('waiting') + this.#submissions.pending < this.#settings.maxQueue;
  }

  /** Resolves when a task would be accepted at once. */
  room(): Promise<void> {
    return this.#hasRoom() ? Promise.resolve() : this.#waitingRoom.room();
  }

  /** @param error what the task is to reject with. */
  readonly cancel = (ticket: number, error: unknown): void => {
    if (this.#waitingRoom.leave(ticket)) {
      this.#settlement.dropOutside(ticket, error);
      this.#requestTurn();
      return;
    }
    this.#submissions.flush();
    // One that has ended already, though it has not been read yet, ends as it did.
    if (this.#dispatcher.cancel(ticket) !== CANCEL_UNKNOWN) this.#settlement.cancelled(ticket, error);
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
    if (this.#isReady()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#readyWaiters.push({ resolve, reject });
      this.#holdProcess();
    });
  }

  #isReady(): boolean {
    return this.#listens && this.workers.alive >= this.#settings.minWorkers;
  }

  /** @param reset begin the histograms anew. */
  stats(reset = false): ManagerStats {
    this.#submissions.flush();
    return this.#counts.refresh().stats(this.#waitingRoom.size, this.#inbox.discarded, this.info(), reset);
  }

  info(): WorkerInfo[] {
    return [...this.workers.info(), ...this.peers.info()];
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
      this.#wakeWithin(this.#dispatcher.turn(this.#write));
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

  readonly #write = (connection: number, bytes: Buffer): void => {
    if (!this.workers.write(connection, bytes)) this.peers.write(connection, bytes);
  };

  /** One timer for everything that is due at some time. @param ms until the next turn at the latest; -1 for never. */
  #wakeWithin(ms: number): void {
    if (ms < 0) return;
    const at = performance.now() + Math.min(ms, MAX_TIMER_MS);
    if (at >= this.#dueAt) return;
    clearTimeout(this.#dueTimer);
    this.#dueAt = at;
    this.#dueTimer = setTimeout(
      () => {
        this.#dueAt = Number.POSITIVE_INFINITY;
        this.#turn();
      },
      Math.min(ms, MAX_TIMER_MS),
    ).unref();
  }

  /** The ends of tasks that workers scheduled are reported only while somebody listens. */
  #setReports(on: boolean): void {
    if (on === this.#reporting) return;
    this.#reporting = on;
    this.#dispatcher.reportAll(on);
  }

  #afterTurn(): void {
    if (this.#settings.maxQueue !== Number.POSITIVE_INFINITY) {
      this.#waitingRoom.admit(
        () => this.#fits(),
        ({ ticket, id, submission }) => {
          this.#submissions.write(ticket, id, submission);
          this.#requestTurn();
        },
      );
    }
    const counts = this.#counts.refresh();
    const left = counts.left + this.#submissions.pending + this.#waitingRoom.size;
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
      case RECORD.LOST_RESULT:
        this.#settlement.hold(record);
        break;
      case RECORD.RETRY:
        this.#settlement.retry(record);
        // Its time may come before that of all others.
        this.#requestTurn();
        break;
      case RECORD.STOPPING:
        this.#settlement.giveUp(record);
        break;
      case RECORD.UNRESPONSIVE:
        this.workers.end(record.worker);
        this.peers.end(record.worker);
        break;
      default:
        this.#settlement.end(record);
        break;
    }
  }

  #dropReason(): Error | undefined {
    if (this.#failure !== undefined) return this.#failure;
    if (!this.#shutdown.dropping) return undefined;
    const { signal } = this.#settings;
    const options = signal?.aborted ? { cause: signal.reason } : undefined;
    return new CancellationError('the task was dropped: its manager was closed', options);
  }

  /** Nothing waits any more, wherever it waited. */
  #drop(): void {
    this.#submissions.flush();
    this.#dispatcher.drop();
    for (const { ticket } of this.#waitingRoom.clear()) this.#settlement.dropOutside(ticket, this.#dropReason());
    this.#requestTurn();
  }

  readonly #onAbort = (): void => {
    void this.close(ClosePolicy.CANCEL, undefined);
  };

  // ---- workers ------------------------------------------------------------------

  #onStarted(member: Member): void {
    this.#tellReady();
    announce(this.#events, 'worker:start', { worker: member.worker, pid: member.pid });
  }

  #onLost(member: Member, exit: LossDetails): void {
    const { worker, pid, lost, wasReady, wasEnded } = member;
    const wasIdle = lost.length === 0 && wasReady && !wasEnded && this.#shutdown.policy === undefined;
    // Of one that ran tasks they tell; of this one nobody would.
    if (wasIdle && !isAnnounced(this.#events, 'worker:exit')) {
      const how = exit.exitSignal ?? `exit code ${exit.exitCode}`;
      process.emitWarning(`worker ${worker} (pid ${pid}) ended with ${how} while it had nothing to do`, {
        code: 'BOSUN_W006',
      });
    }
    this.#settlement.lose(member, exit);
  }

  #tellReady(): void {
    if (this.#isReady()) for (const { resolve } of this.#readyWaiters.splice(0)) resolve();
  }

  #onExited({ worker, pid, tasksEnded }: Runner & { readonly tasksEnded: number }, exit: LossDetails): void {
    const { exitCode, exitSignal } = exit;
    if (!this.#shutdown.dropping) this.workers.grow(this.#settings.minWorkers);
    announce(this.#events, 'worker:exit', { worker, pid, tasksEnded, exitCode, exitSignal });
  }

  #onFailed(error: BosunError): void {
    this.#failure = error;
    for (const { reject } of this.#readyWaiters.splice(0)) reject(error);
    this.#drop();
    this.#inbox.end(error);
  }

  #runner(worker: WorkerId): Runner | undefined {
    return this.workers.find(worker) ?? this.peers.find(worker);
  }

  // ---- peers --------------------------------------------------------------------

  #makePeers(): Peers {
    return new Peers(this.#dispatcher, {
      turn: () => this.#turn(),
      nextNumber: () => this.workers.nextNumber(),
      started: ({ worker }) => announce(this.#events, 'worker:start', { worker, pid: undefined }),
      refused: (address, reason) => this.#onRefused(address, reason),
      exited: (peer) => {
        const exit = { exitCode: null, exitSignal: null };
        this.#settlement.lose(peer, exit);
        this.#onExited(peer, exit);
      },
    });
  }

  #openListener(): Listener | undefined {
    const { listen } = this.#settings;
    if (listen === undefined) return undefined;
    const listener = new Listener(listen, {
      admit: (socket, rest) => this.peers.admit(socket, rest),
      refused: (address, reason) => this.#onRefused(address, reason),
    });
    listener.open().then(
      () => {
        this.#listens = true;
        this.#tellReady();
      },
      (error: unknown) => {
        if (this.#shutdown.policy !== undefined) return;
        const text = `the manager cannot listen: ${describe(error)}`;
        this.workers.kill();
        this.#onFailed(error instanceof AddressInUseError ? error : new ListenError(text, { cause: error }));
      },
    );
    return listener;
  }

  #onRefused(address: string, reason: string): void {
    process.emitWarning(`a connection from ${address} was refused: ${reason}`, { code: 'BOSUN_W005' });
    announce(this.#events, 'peer:refused', { address, reason });
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
      drop: () => this.#drop(),
      endReaders: () => this.#inbox.end(),
      stopWorkers: async (policy, grace) => {
        const [exits] = await Promise.all([
          this.workers.stop(policy, grace),
          this.peers.stop(policy, grace),
          this.#listener?.close(),
        ]);
        return exits;
      },
      killWorkers: () => {
        this.workers.kill();
        this.peers.kill();
      },
      finish: () => this.#finish(),
    });
  }

  #finish(): Omit<CloseReport, 'policy' | 'workers' | 'durationMs'> {
    this.#turn();
    clearTimeout(this.#stuckTimer);
    clearTimeout(this.#dueTimer);
    this.#settings.signal?.removeEventListener('abort', this.#onAbort);
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
