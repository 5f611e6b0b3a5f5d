// What goes on inside a ProcessManager: the turn, in which tasks go out and come back, and what starts and ends it.

import { type EventEmitter, setMaxListeners } from 'node:events';
import { type BosunError, CancellationError, type LossDetails, ManagerClosedError } from '../errors.js';
import { type NativeDispatcher, native } from '../native.js';
import type { WorkerId } from '../task/context.js';
import { announce, isAnnounced, listensToTasks } from './announce.js';
import { ClosePolicy, type CloseReport } from './close.js';
import type { ProcessManagerEvents } from './events.js';
import { carriedFailure, exitText, type Runner, workerName } from './failures.js';
import { Gateway } from './gateway.js';
import { Handovers } from './handovers.js';
import { Inbox } from './inbox.js';
import { Intake } from './intake.js';
import { KeepAlive } from './keep-alive.js';
import { addressOf, type ListenAddress } from './listener.js';
import type { NamedPlace } from './member.js';
import type { MessageReader } from './message-reader.js';
import type { ManagerSettings, RemoteSettings } from './options.js';
import { Readiness } from './readiness.js';
import { type DispatchRecord, RECORD, RecordReader } from './records.js';
import type { Seat } from './seat.js';
import { Settlement } from './settlement.js';
import { Shutdown } from './shutdown.js';
import { CountReader, type ManagerStats } from './stats.js';
import { type Submission, Submissions } from './submissions.js';
import { WakeTimer } from './wake-timer.js';
import { type AnyMember, type WorkerInfo, WorkerSet } from './worker-set.js';

/**
 * Tasks that are collected before they are handed over: few at first, so that the workers have something to do while
 * others are made, and the more, the longer that goes on.
 */
const FIRST_BATCH = 32;
const LAST_BATCH = 512;

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
  readonly #intake: Intake;
  readonly #gateway: Gateway;
  readonly #readiness: Readiness;
  readonly #wakeTimer = new WakeTimer(() => this.#turn());
  readonly workers: WorkerSet;
  readonly handovers = new Handovers();

  #turnQueued = false;
  #batch = FIRST_BATCH;
  /** Tasks that the dispatcher had when the last turn began. */
  #left = 0;
  #waiting = 0;
  #inTurn = false;
  #reporting = false;
  /** False while this process is kept up. */
  #wasIdle = true;
  /** True from the first task on until `drain`. */
  #hadTasks = false;
  #failure: BosunError | undefined;

  /** Starts the first workers. */
  constructor(settings: ManagerSettings, events: EventEmitter<ProcessManagerEvents>) {
    const { levels, maxFrameBytes, prefetch, inboxMark, concurrency, grace, maxQueue, spinBelow } = settings;
    settings.signal?.throwIfAborted();
    this.#settings = settings;
    this.#events = events;
    this.#dispatcher = new native.Dispatcher(
      () => this.#turn(),
      settings.driver === 'direct',
      levels,
      maxFrameBytes,
      prefetch,
      inboxMark,
      concurrency,
      grace,
      maxQueue,
      spinBelow,
      settings.places,
    );
    if (settings.discardMessages) this.#dispatcher.discardMessages();
    this.#submissions = new Submissions(this.#dispatcher, maxFrameBytes);
    this.#completions = new RecordReader(
      (target) => this.#dispatcher.drainCompletions(target),
      () => this.#dispatcher.takeAttached(),
    );
    this.#counts = new CountReader(this.#dispatcher, levels);
    this.#inbox = new Inbox(this.#dispatcher, {
      throwOnError: settings.throwOnError,
      discards: settings.discardMessages,
      // At one moment: a task that ends may have sent something just before.
      idle: () => this.tasksLeft === 0 && this.#counts.get('inbox') === 0,
      read: () => this.#requestTurn(),
      settle: () => this.#settleForReader(),
      pidOf: (worker) => this.workers.pidOf(worker),
    });
    this.workers = new WorkerSet(this.#dispatcher, settings, {
      handovers: this.handovers,
      turn: () => this.#turn(),
      started: (member) => this.#onStarted(member),
      lost: (member, exit) => this.#onLost(member, exit),
      exited: (member, exit) => this.#onExited(member, exit),
      // It may happen in the constructor, before anybody could listen.
      troubled: (error, retryMs) => queueMicrotask(() => announce(events, 'worker:error', { error, retryMs })),
      failed: (error) => this.#onFailed(error),
    });
    this.#settlement = new Settlement({
      dispatcher: this.#dispatcher,
      submissions: this.#submissions,
      inbox: this.#inbox,
      handovers: this.handovers,
      events,
      backoff: settings.policy.backoff,
      runner: (worker) => this.#runner(worker),
      pidOf: (worker) => this.workers.pidOf(worker),
      dropReason: () => this.#dropReason(),
      cancel: this.cancel,
    });
    this.#shutdown = this.#makeShutdown();
    if (settings.signal !== undefined) {
      // As many managers as one likes may share it.
      setMaxListeners(0, settings.signal);
      settings.signal.addEventListener('abort', this.#onAbort);
    }
    this.#intake = new Intake({
      dispatcher: this.#dispatcher,
      submissions: this.#submissions,
      settlement: this.#settlement,
      counts: this.#counts,
      maxQueue,
      waitsWhenFull: settings.waitsWhenFull,
      turn: () => this.#turn(),
      requestTurn: () => this.#requestTurn(),
    });
    this.#gateway = this.#makeGateway();
    const { minWorkers } = settings;
    this.#readiness = new Readiness(
      () => this.#gateway.isOpen && this.workers.alive >= minWorkers && !this.workers.isDialling,
    );
    this.#dispatcher.expectLocal(settings.workers > 0);
    this.workers.grow(minWorkers);
    for (const remote of settings.remotes) this.workers.dial(remote);
    this.#requestTurn();
  }

  // ---- what the manager asks for ------------------------------------------------

  get tasksLeft(): number {
    return this.#counts.refresh().left + this.#submissions.pending + this.#intake.outside;
  }

  /** The number that the next task will have. */
  get nextId(): number {
    return this.#submissions.lastId + 1;
  }

  get address(): ListenAddress | undefined {
    return this.#gateway.address;
  }

  /** @throws ManagerClosedError, or the error for which it has given up. */
  assertOpen(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#shutdown.policy !== undefined) throw new ManagerClosedError();
  }

  /** To be called before `submit`, see Intake. */
  prepare(signal: AbortSignal | undefined): void {
    this.#intake.prepare(signal);
  }

  /** Takes a task, see Intake. Returns its ticket. */
  submit(submission: Submission, signal: AbortSignal | undefined): number {
    const ticket = this.#intake.take(submission, signal);
    this.#hadTasks = true;
    if (this.#wasIdle) this.#holdProcess();
    if (isAnnounced(this.#events, 'task:queued')) {
      const { name, level: priority } = submission;
      announce(this.#events, 'task:queued', { id: this.#submissions.lastId, name, priority });
    }
    if (this.#submissions.pending < this.#batch) {
      this.#requestTurn();
    } else {
      this.#batch = Math.min(2 * this.#batch, LAST_BATCH);
      this.#turn();
    }
    return ticket;
  }

  /** Resolves when a task would be accepted at once. */
  room(): Promise<void> {
    return this.#intake.room();
  }

  /** @param error what the task is to reject with. */
  readonly cancel = (ticket: number, error: unknown): void => this.#intake.cancel(ticket, error);

  /** @throws DataCloneError, FrameTooLargeError */
  readonly send = (ticket: number, message: unknown): void => this.#intake.send(ticket, message);

  /** Starts one more. */
  addWorker(settings: ManagerSettings): WorkerId {
    const worker = this.workers.add(settings);
    this.#requestTurn();
    return worker;
  }

  /** Dials one on another host. */
  addRemote(settings: RemoteSettings): WorkerId {
    const worker = this.workers.dial(settings);
    this.#requestTurn();
    return worker;
  }

  /** A connection for a hand. @throws as WorkerSet.seat. */
  seat(at: NamedPlace): Seat {
    const seat = this.workers.seat(at);
    this.#requestTurn();
    return seat;
  }

  /** Cancels every task of a place, see Intake. */
  readonly cancelAt = (place: number, error: () => Error): void => this.#intake.cancelAt(place, error);

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
    const ready = this.#readiness.wait();
    if (this.#readiness.isAwaited) this.#holdProcess();
    return ready;
  }

  /** @param reset begin the histograms anew. */
  stats(reset = false): ManagerStats {
    this.#submissions.flush();
    return this.#counts.refresh().stats(this.#intake.outside, this.#inbox.discarded, this.info(), reset);
  }

  info(): WorkerInfo[] {
    return [...this.workers.info(), ...this.#gateway.peers.info()];
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
      this.#batch = FIRST_BATCH;
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
      this.#wakeTimer.within(this.#dispatcher.turn(this.#write));
      // Before what has ended is settled: who then finds that nothing is left has seen to all of it.
      const counts = this.#counts.refresh();
      this.#left = counts.left;
      this.#waiting = counts.get('waiting');
      this.#settleEnded();
      if (this.#shutdown.policy !== undefined && !this.#inbox.hasReader) this.#inbox.discard();
      this.#inbox.wake();
    } finally {
      // Nothing above should throw; if it does, the next turn must still be one.
      this.#inTurn = false;
    }
    this.#afterTurn();
  }

  /** Between turns, in which it may not begin another. */
  #settleForReader(): void {
    const wasInTurn = this.#inTurn;
    this.#inTurn = true;
    try {
      this.#settleEnded();
    } finally {
      this.#inTurn = wasInTurn;
    }
  }

  #settleEnded(): void {
    for (let record = this.#completions.next(); record !== undefined; record = this.#completions.next()) {
      this.#onRecord(record);
    }
  }

  readonly #write = (connection: number, bytes: Buffer): void => {
    if (!this.workers.write(connection, bytes)) this.#gateway.peers.write(connection, bytes);
  };

  /** The ends of tasks that workers scheduled are reported only while somebody listens. */
  #setReports(on: boolean): void {
    if (on === this.#reporting) return;
    this.#reporting = on;
    this.#dispatcher.reportAll(on);
  }

  #afterTurn(): void {
    this.#intake.admit();
    const left = this.#left + this.#submissions.pending + this.#intake.outside;
    if (left === 0) {
      if (!this.#wasIdle && !this.#readiness.isAwaited && this.#shutdown.policy === undefined) {
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
    if (this.#waiting > 0 && this.workers.starting === 0) {
      this.workers.grow(Math.max(this.#settings.minWorkers, this.workers.size + 1));
    }
  }

  #onRecord(record: DispatchRecord): void {
    switch (record.kind) {
      case RECORD.READY:
        this.workers.ready(record);
        break;
      case RECORD.START_FAILED: {
        const member = this.workers.find(record.worker);
        if (member !== undefined) member.startError = carriedFailure(record).error;
        break;
      }
      case RECORD.WORKER_EXIT:
        this.workers.exiting(record);
        break;
      case RECORD.CLOSED:
        this.workers.closed(record.worker, record.id, record.runUs);
        this.#gateway.peers.closed(record.worker, record.id, record.runUs);
        break;
      case RECORD.LOST:
      case RECORD.LOST_RESULT:
        this.#settlement.hold(record);
        break;
      case RECORD.RETRY:
        this.#settlement.retry(record);
        // Its time may come before that of all others.
        this.#requestTurn();
        break;
      case RECORD.PROGRESS:
        this.#settlement.progress(record);
        break;
      case RECORD.STOPPING:
        this.#settlement.giveUp(record);
        break;
      case RECORD.UNRESPONSIVE:
        this.workers.end(record.worker);
        this.#gateway.peers.end(record.worker);
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

  readonly #onAbort = (): void => {
    void this.close(ClosePolicy.CANCEL, undefined);
  };

  // ---- workers ------------------------------------------------------------------

  #onStarted(member: AnyMember): void {
    this.#readiness.tell();
    announce(this.#events, 'worker:start', { worker: member.worker, pid: member.pid });
  }

  #onLost(member: AnyMember, exit: LossDetails): void {
    const { lost } = member;
    // A remote one may leave, or has been told of already.
    const isRemote = 'host' in member;
    const wasReady = member.wasReady && !(isRemote && (exit.exitCode === 0 || member.endReason !== undefined));
    // Who has started a hand sees it end.
    const isHand = 'name' in member && member.name !== undefined;
    const wasIdle = lost.length === 0 && wasReady && !isHand && this.#shutdown.policy === undefined;
    // Of one that ran tasks they tell; of this one nobody would.
    if (wasIdle && !isAnnounced(this.#events, 'worker:exit')) {
      const why = exit.reason === undefined ? '' : ` (${exit.reason})`;
      const how = `${exitText(exit)}${why}`;
      process.emitWarning(`${workerName(member)} ended with ${how} while it had nothing to do`, {
        code: 'BOSUN_W006',
      });
    }
    this.#settlement.lose(member, exit);
  }

  #onExited({ worker, pid, tasksEnded }: Runner & { readonly tasksEnded: number }, exit: LossDetails): void {
    const { exitCode, exitSignal } = exit;
    if (!this.#shutdown.dropping) this.workers.grow(this.#settings.minWorkers);
    this.#readiness.tell();
    announce(this.#events, 'worker:exit', { worker, pid, tasksEnded, exitCode, exitSignal });
  }

  #onFailed(error: BosunError): void {
    this.#failure = error;
    this.#readiness.fail(error);
    this.#intake.drop();
    this.#inbox.end(error);
  }

  #runner(worker: WorkerId): Runner | undefined {
    return this.workers.find(worker) ?? this.#gateway.peers.find(worker);
  }

  // ---- peers --------------------------------------------------------------------

  #makeGateway(): Gateway {
    return new Gateway(this.#settings, this.#dispatcher, {
      turn: () => this.#turn(),
      nextNumber: () => this.workers.nextNumber(),
      opened: () => {
        this.#readiness.tell();
        // Without workers nothing else happens that would let an idle process end.
        this.#requestTurn();
      },
      failed: (error) => {
        this.workers.kill();
        this.#onFailed(error);
      },
      started: ({ worker }) => announce(this.#events, 'worker:start', { worker, pid: undefined }),
      refused: (address, reason) => this.#onRefused(address, reason),
      joined: (socket, rest) => this.workers.join(socket, addressOf(socket), rest),
      exited: (peer) => {
        const exit = { exitCode: null, exitSignal: null };
        this.#settlement.lose(peer, exit);
        this.#onExited(peer, exit);
      },
    });
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
        this.#readiness.fail(new ManagerClosedError('the manager was closed before its workers were ready'));
        this.#dispatcher.acknowledgeAll();
      },
      tasksLeft: () => this.tasksLeft,
      drop: () => this.#intake.drop(),
      endReaders: () => this.#inbox.end(),
      stopWorkers: async (policy, grace) => {
        const [exits] = await Promise.all([this.workers.stop(policy, grace), this.#gateway.stop(policy, grace)]);
        return exits;
      },
      killWorkers: () => {
        this.workers.kill();
        this.#gateway.peers.kill();
      },
      finish: () => this.#finish(),
    });
  }

  #finish(): Omit<CloseReport, 'policy' | 'workers' | 'durationMs'> {
    this.#turn();
    this.#wakeTimer.close();
    this.#dispatcher.close();
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
