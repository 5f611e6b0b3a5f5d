// The local workers of one manager: started on demand, replaced when they die, stopped together.

import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { type LossDetails, ManagerClosedError, ProtocolError, WorkerStartError } from '../errors.js';
import type { NativeDispatcher } from '../native.js';
import type { WorkerId } from '../task/context.js';
import type { WorkerEnd, WorkerState } from '../worker/worker-life.js';
import { Deaths, retryAfter } from './backoff.js';
import { ClosePolicy, type WorkerExit } from './close.js';
import { ConnectionFigures, type Figures } from './connection-figures.js';
import { describeDeath } from './death-text.js';
import { Dialler } from './dialler.js';
import { workerName } from './failures.js';
import { faultText } from './faults.js';
import { HandLife } from './hand-life.js';
import type { Handovers } from './handovers.js';
import { type ChildEnds, startLocal } from './local-start.js';
import { Member, type NamedPlace } from './member.js';
import type { ManagerSettings, RemoteSettings } from './options.js';
import type { DispatchRecord } from './records.js';
import { RemoteMember } from './remote-member.js';
import { HandSeat, type Seat } from './seat.js';

/** A worker, wherever it runs. */
export type AnyMember = Member | RemoteMember;

/** What is known of a worker now. */
export interface WorkerInfo extends Figures {
  readonly worker: WorkerId;
  readonly pid: number | undefined;
  readonly state: WorkerState;
  /** Of the hand of a crew. */
  readonly name?: string;
  /** Where a worker on another host is, `host:port`; its pid is one of that host. */
  readonly host?: string;
}

/** What the manager does when something happened to a worker. */
export interface WorkerSetOwner {
  /** For threads. */
  readonly handovers: Handovers;
  /** Bytes arrived, or a worker is gone: dispatch, and read what the dispatcher says. */
  turn(): void;
  started(member: AnyMember): void;
  /** The exit is known; `member.lost` is what has to be settled. */
  lost(member: AnyMember, exit: LossDetails): void;
  /** That is done; another may take its place. */
  exited(member: AnyMember, exit: LossDetails): void;
  /** A worker could not be started, or died before it was set up; it is tried again. */
  troubled(error: Error, retryMs: number): void;
  /** Workers cannot be started; nothing will ever run. */
  failed(error: WorkerStartError): void;
}

/** Workers whose pids are remembered: failures of the dead may be read later. */
const KEPT_PIDS = 10_000;

/** A set-up that takes longer does not keep others from being started. */
const SLOW_START_MS = 1_000;

/** The system has no room for a process now, and may have some later. */
const REFUSALS = new Set(['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM']);

export class WorkerSet {
  readonly #dispatcher: NativeDispatcher;
  readonly #settings: ManagerSettings;
  readonly #owner: WorkerSetOwner;
  readonly #members = new Map<number, AnyMember>();
  /** By `addWorker`, or from another host: nobody takes their place. */
  readonly #added = new Set<AnyMember>();
  readonly #diallers = new Set<Dialler>();
  readonly #figures: ConnectionFigures;
  /** Of the dead too: their tasks' failures may be read later. */
  readonly #pids = new Map<WorkerId, number>();
  #numbers = 0;
  /** When workers died that had not ended a task. */
  readonly #deaths: Deaths;
  #failedStarts = 0;
  #pause: NodeJS.Timeout | undefined;
  /** How many there are to be when the pause is over. */
  #wanted = 0;
  #stopping = false;

  constructor(dispatcher: NativeDispatcher, settings: ManagerSettings, owner: WorkerSetOwner) {
    this.#dispatcher = dispatcher;
    this.#figures = new ConnectionFigures(dispatcher);
    this.#settings = settings;
    this.#deaths = new Deaths(settings.restart);
    this.#owner = owner;
  }

  /** Without those that were added. */
  get size(): number {
    return this.#members.size - this.#added.size;
  }

  /** True while a remote worker is awaited that has not been there yet. */
  get isDialling(): boolean {
    return [...this.#diallers].some(({ isAwaited }) => isAwaited);
  }

  /** Workers that may be set up at any moment; those that take long are not waited for. */
  get starting(): number {
    const since = performance.now() - SLOW_START_MS;
    let count = 0;
    for (const member of this.#members.values()) {
      if (member instanceof Member && member.life.state === 'starting' && member.startedAt > since) count++;
    }
    return count;
  }

  /** On this host. */
  get alive(): number {
    let count = 0;
    for (const member of this.#members.values()) if (member instanceof Member && member.life.state === 'alive') count++;
    return count;
  }

  /** Writes what the dispatcher has for a worker; false when the connection is no worker's of ours. */
  write(connection: number, bytes: Buffer): boolean {
    const member = this.#members.get(connection);
    member?.write(bytes);
    return member !== undefined;
  }

  pidOf(worker: WorkerId): number | undefined {
    return this.#pids.get(worker);
  }

  find(worker: WorkerId): AnyMember | undefined {
    for (const member of this.#members.values()) if (member.worker === worker) return member;
    return undefined;
  }

  info(): WorkerInfo[] {
    return [...this.#members.values()].map((member) => {
      const { worker, life, connection } = member;
      const host = member instanceof RemoteMember ? { host: member.host } : {};
      const name = member instanceof Member && member.name !== undefined ? { name: member.name } : {};
      return { worker, pid: life.pid, state: life.state, ...name, ...host, ...this.#figures.of(connection) };
    });
  }

  /** The next number; peers have theirs from here too. */
  nextNumber(): WorkerId {
    this.#numbers += 1;
    return this.#numbers;
  }

  /** Starts workers until there are `count`, no more than the settings allow. */
  grow(count: number): void {
    this.#wanted = Math.max(this.#wanted, count);
    if (this.#pause !== undefined) return;
    while (!this.#stopping && this.size < Math.min(this.#wanted, this.#settings.workers)) {
      try {
        this.#start();
      } catch (error) {
        if (isRefusal(error)) this.#onRefused(error);
        else this.#onUseless('a worker could not be started', error, false);
        return;
      }
    }
    this.#wanted = 0;
  }

  /** One beyond those that are started by themselves; nobody follows it. @throws the system's error when there is no room. */
  add(settings: ManagerSettings): WorkerId {
    const member = this.#start(settings);
    this.#added.add(member);
    return member.worker;
  }

  /**
   * A connection for a hand whose process others start.
   *
   * @throws ManagerClosedError when the manager ends; the system's error when there are no descriptors left.
   */
  seat(at: NamedPlace): Seat {
    if (this.#stopping) throw new ManagerClosedError();
    const life = new HandLife();
    let ends!: ChildEnds;
    const start = (given: ChildEnds) => {
      ends = given;
      return { life };
    };
    const turn = () => this.#owner.turn();
    const member = new Member(this.nextNumber(), this.#dispatcher, this.#settings, start, turn, at);
    this.#added.add(member);
    const gone = this.#keep(member);
    return new HandSeat({ member, life, ends, dispatcher: this.#dispatcher, gone, turn });
  }

  /** A worker on another host, which is dialled until it is there, and again when it is lost. */
  dial(settings: RemoteSettings): WorkerId {
    const dialler = new Dialler(settings, {
      restart: this.#settings.restart,
      join: (socket, host) => this.#join(socket, host),
      troubled: (error, retryMs) => this.#onRemoteTrouble(dialler, error, retryMs),
    });
    const { worker } = dialler.dial();
    this.#diallers.add(dialler);
    return worker;
  }

  /** One that has dialled; it stays until it leaves. */
  join(socket: Socket, host: string, rest: Buffer): void {
    if (this.#stopping) {
      socket.destroy();
      return;
    }
    this.#join(socket, host).receive(rest);
    this.#owner.turn();
  }

  #join(socket: Socket, host: string): RemoteMember {
    const link = { socket, host };
    const member = new RemoteMember(this.nextNumber(), this.#dispatcher, this.#settings, link, () =>
      this.#owner.turn(),
    );
    this.#added.add(member);
    void this.#keep(member);
    return member;
  }

  #onRemoteTrouble(dialler: Dialler, error: WorkerStartError, retryMs: number): void {
    this.#owner.troubled(error, retryMs);
    if (!dialler.isOver) return;
    this.#diallers.delete(dialler);
    const { workers, listen } = this.#settings;
    const nobody = workers === 0 && listen === undefined && this.#members.size + this.#diallers.size === 0;
    if (nobody) this.#owner.failed(error);
  }

  /** Resolves when it is gone, and what it has lost is settled. */
  #keep(member: AnyMember): Promise<void> {
    this.#members.set(member.connection, member);
    this.#pids.delete(member.worker - KEPT_PIDS);
    // Its hello waits to be written.
    queueMicrotask(() => this.#owner.turn());
    return member.gone.then((exit) => this.#onGone(member, exit));
  }

  #start(settings = this.#settings): Member {
    const worker = this.nextNumber();
    const start = (ends: ChildEnds) => startLocal(worker, ends, settings, this.#owner.handovers);
    const member = new Member(worker, this.#dispatcher, settings, start, () => this.#owner.turn());
    if (member.pid !== undefined) this.#pids.set(member.worker, member.pid);
    this.#watchSuspension(member);
    void this.#keep(member);
    const slow = setTimeout(() => this.#owner.turn(), SLOW_START_MS + 1).unref();
    void member.gone.then(() => clearTimeout(slow));
    return member;
  }

  /** A process that was stopped gets nothing more; one that does not go on within `grace` is of no use to anybody. */
  #watchSuspension(member: Member): void {
    let patience: NodeJS.Timeout | undefined;
    member.life.on('suspended', (isSuspended) => {
      this.#dispatcher.suspend(member.connection, isSuspended);
      clearTimeout(patience);
      const { grace } = this.#settings;
      const giveUp = () => {
        member.endReason = `it had been stopped for ${grace} ms`;
        void member.life.kill();
      };
      if (isSuspended) patience = setTimeout(giveUp, grace).unref();
      this.#owner.turn();
    });
    void member.gone.then(() => clearTimeout(patience));
  }

  /**
   * The connection of a worker has ended: what it had not started has gone back to its place, what it ran waits for the
   * exit code.
   */
  closed(worker: WorkerId, tasksEnded: number, fault: number): void {
    const member = this.find(worker);
    if (member === undefined) return;
    if (fault !== 0) this.#refuse(member, fault);
    member.closed(tasksEnded);
  }

  /** A worker that does not keep to the protocol is not one of ours any more. */
  #refuse(member: AnyMember, fault: number): void {
    process.emitWarning(`${workerName(member)} sent ${faultText(fault)}: it is killed`, { code: 'BOSUN_W002' });
    if (member instanceof RemoteMember) {
      member.endReason = `it sent ${faultText(fault)}`;
      member.startError ??= new ProtocolError(member.endReason);
    }
    void member.life.kill();
  }

  /** It goes on with a task that it was told to stop. */
  end(worker: WorkerId): void {
    const member = this.find(worker);
    if (member === undefined) return;
    member.endReason = `it went on with a task that it was told to stop, for ${this.#settings.grace} ms`;
    void member.life.stop(() => {}, { grace: 0 });
  }

  /** What a remote worker's host says of its end. */
  exiting(record: DispatchRecord): void {
    const member = this.find(record.worker);
    if (member instanceof RemoteMember) member.exited(record);
  }

  /** To be called when a worker has reported that it is set up. */
  ready(record: DispatchRecord): void {
    const member = this.find(record.worker);
    if (member === undefined) return;
    if (member instanceof RemoteMember) {
      member.greeted(record);
      this.#diallerOf(member)?.joined();
    } else {
      this.#failedStarts = 0;
    }
    if (member.pid !== undefined) this.#pids.set(member.worker, member.pid);
    member.wasReady = true;
    member.life.markAlive();
    this.#owner.started(member);
  }

  #diallerOf(member: RemoteMember): Dialler | undefined {
    for (const dialler of this.#diallers) if (dialler.owns(member)) return dialler;
    return undefined;
  }

  #onGone(member: AnyMember, exit: LossDetails): void {
    this.#members.delete(member.connection);
    this.#added.delete(member);
    this.#owner.lost(member, exit);
    if (member instanceof Member) this.#judge(member, exit);
    else if (!this.#stopping) this.#diallerOf(member)?.ended(member, exit);
    this.#owner.exited(member, exit);
    this.#owner.turn();
  }

  #judge(member: Member, exit: LossDetails): void {
    const { spawnError } = member.life;
    // Whether another process follows a hand is not decided here.
    if (this.#stopping || member.endReason !== undefined || member.name !== undefined) return;
    if (isRefusal(spawnError)) {
      this.#onRefused(spawnError);
      return;
    }
    // A Ctrl-C that met it before it could ignore it says nothing about its set-up.
    if (member.tasksEnded > 0 || (!member.wasReady && exit.exitSignal === 'SIGINT')) return;
    this.#onUseless(describeDeath(member, exit), member.startError ?? spawnError, member.wasReady);
  }

  /** The queue keeps what it has, and the workers that are there go on. */
  #onRefused(cause: Error): void {
    this.#failedStarts += 1;
    const retryMs = this.#pauseStarts();
    const error = new WorkerStartError(`the system refused to start a worker: ${cause.message}`, { cause });
    // Once for each time of need, however long it takes.
    if (this.#failedStarts === 1) {
      process.emitWarning(`${error.message}; it is tried again until it works`, { code: 'BOSUN_W004' });
    }
    this.#owner.troubled(error, retryMs);
  }

  /** A worker died that had not ended a single task: more than a few of them mean that no other will either. */
  #onUseless(what: string, cause: unknown, wasReady: boolean): void {
    const reason = cause instanceof Error ? `: ${cause.message}` : '';
    if (this.#deaths.add()) {
      this.#fail(`${what}${reason}`, cause, wasReady);
      return;
    }
    this.#failedStarts += 1;
    const retryMs = this.#pauseStarts();
    if (!wasReady) this.#owner.troubled(new WorkerStartError(`${what}${reason}`, { cause }), retryMs);
  }

  #pauseStarts(): number {
    const retryMs = retryAfter(this.#failedStarts);
    this.#wanted = Math.max(this.#wanted, this.#settings.minWorkers, 1);
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      this.grow(this.#wanted);
    }, retryMs).unref();
    return retryMs;
  }

  #fail(last: string, cause: unknown, wasReady: boolean): void {
    this.#beginToStop();
    const { setup } = this.#settings;
    const many = `${this.#deaths.count} workers within ${this.#deaths.within} ms`;
    const how = wasReady ? 'died before they had ended a task' : 'could not be set up';
    const advice = setup === undefined ? '' : `. To see why, run its set-up by itself: node ${pathOf(setup.module)}`;
    const message = `${many} ${how}, and the manager has given up; the last: ${last}${wasReady ? '' : advice}`;
    this.#owner.failed(new WorkerStartError(message, { cause }));
  }

  /** Ends every worker, and starts none from now on. `kill` while it waits makes short work of it. */
  async stop(policy: ClosePolicy, grace: number): Promise<WorkerExit[]> {
    this.#beginToStop();
    const members = [...this.#members.values()];
    const ends = members.map((member) =>
      policy === ClosePolicy.KILL || (member instanceof RemoteMember && !member.wasReady)
        ? member.life.kill()
        : member.life.stop(() => this.#dispatcher.sendClose(member.connection, policy === ClosePolicy.CANCEL), {
            grace,
          }),
    );
    this.#owner.turn();
    return Promise.all(members.map((member, i) => this.#report(member, ends[i] as Promise<WorkerEnd>)));
  }

  #beginToStop(): void {
    this.#stopping = true;
    clearTimeout(this.#pause);
    for (const dialler of this.#diallers) dialler.stop();
    for (const member of this.#members.values()) {
      if (member.life instanceof HandLife) member.life.spare(() => this.#spare(member as Member));
    }
  }

  /** A hand lives on without its manager: only for a task that runs there it is forced. True when it was let go instead. */
  #spare(member: Member): boolean {
    if (this.#figures.of(member.connection).inFlight > 0) return false;
    member.destroy();
    queueMicrotask(() => this.#owner.turn());
    return true;
  }

  /** The last rung for all. */
  kill(): void {
    this.#beginToStop();
    for (const { life } of this.#members.values()) void life.kill();
  }

  async #report(member: AnyMember, end: Promise<WorkerEnd>): Promise<WorkerExit> {
    const { exitCode, exitSignal, forced } = await end;
    await member.gone;
    return { worker: member.worker, pid: member.life.pid, exitCode, exitSignal, forced };
  }
}

function isRefusal(error: unknown): error is Error {
  return error instanceof Error && REFUSALS.has((error as NodeJS.ErrnoException).code ?? '');
}

/** What a shell can start. */
function pathOf(module: string): string {
  return module.startsWith('file:') ? fileURLToPath(module) : module;
}
