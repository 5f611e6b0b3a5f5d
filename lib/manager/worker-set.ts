// The local workers of one manager: started on demand, replaced when they die, stopped together.

import { type ExitDetails, WorkerStartError } from '../errors.js';
import type { NativeDispatcher } from '../native.js';
import type { WorkerId } from '../task/context.js';
import type { WorkerEnd, WorkerState } from '../worker/worker-life.js';
import { ClosePolicy, type WorkerExit } from './close.js';
import { Member } from './member.js';
import type { ManagerSettings } from './options.js';

/** What is known of a worker now. */
export interface WorkerInfo {
  readonly worker: WorkerId;
  readonly pid: number | undefined;
  readonly state: WorkerState;
  /** Tasks that it runs or that were sent ahead. */
  readonly inFlight: number;
  /** How many may be. */
  readonly window: number;
  readonly tasksEnded: number;
  /** A moving average. */
  readonly averageRunMs: number;
}

/** What the manager does when something happened to a worker. */
export interface WorkerSetOwner {
  /** Bytes arrived, or a worker is gone: dispatch, and read what the dispatcher says. */
  turn(): void;
  started(member: Member): void;
  /** The exit is known; `member.lost` is what has to be settled. */
  exited(member: Member, exit: ExitDetails): void;
  /** Workers cannot be started; nothing will ever run. */
  failed(error: WorkerStartError): void;
}

/** As in native/dispatch/dispatcher.h. */
const FAULTS = [
  'none',
  'unknown connection',
  'a frame above maxFrameBytes',
  'a frame of an unknown type',
  'a malformed frame',
  'a priority that does not exist',
  'an answer to no task',
  'a frame that is out of place',
  'more tasks than there is room for',
] as const;

/** So many workers in a row that die before they are ready mean that none ever will be. */
const START_ATTEMPTS = 3;

/** A set-up that takes longer does not keep others from being started. */
const SLOW_START_MS = 1_000;

/** The system may have room for a process a little later. */
const RETRY_START_MS = 100;

export class WorkerSet {
  readonly #dispatcher: NativeDispatcher;
  readonly #settings: ManagerSettings;
  readonly #owner: WorkerSetOwner;
  readonly #members = new Map<number, Member>();
  readonly #figures = new Float64Array(4);
  /** Of the dead too: their tasks' failures may be read later. */
  readonly #pids = new Map<WorkerId, number>();
  #numbers = 0;
  #failedStarts = 0;
  #pauseUntil = 0;
  #stopping = false;

  constructor(dispatcher: NativeDispatcher, settings: ManagerSettings, owner: WorkerSetOwner) {
    this.#dispatcher = dispatcher;
    this.#settings = settings;
    this.#owner = owner;
  }

  get size(): number {
    return this.#members.size;
  }

  /** Workers that may be set up at any moment; those that take long are not waited for. */
  get starting(): number {
    const since = performance.now() - SLOW_START_MS;
    let count = 0;
    for (const { life, startedAt } of this.#members.values()) {
      if (life.state === 'starting' && startedAt > since) count++;
    }
    return count;
  }

  get alive(): number {
    let count = 0;
    for (const { life } of this.#members.values()) if (life.state === 'alive') count++;
    return count;
  }

  /** Writes what the dispatcher has for a worker. */
  readonly write = (connection: number, bytes: Buffer): void => {
    this.#members.get(connection)?.write(bytes);
  };

  pidOf(worker: WorkerId): number | undefined {
    return this.#pids.get(worker);
  }

  find(worker: WorkerId): Member | undefined {
    for (const member of this.#members.values()) if (member.worker === worker) return member;
    return undefined;
  }

  info(): WorkerInfo[] {
    return [...this.#members.values()].map(({ worker, life, connection }) => {
      const known = this.#dispatcher.worker(connection, this.#figures);
      const [inFlight, window, tasksEnded, averageUs] = known ? this.#figures : [0, 0, 0, 0];
      return {
        worker,
        pid: life.pid,
        state: life.state,
        inFlight: inFlight as number,
        window: window as number,
        tasksEnded: tasksEnded as number,
        averageRunMs: (averageUs as number) / 1000,
      };
    });
  }

  /** Starts workers until there are `count`, no more than the settings allow. */
  grow(count: number): void {
    // Those that are there go on while more cannot be had.
    if (this.alive > 0 && performance.now() < this.#pauseUntil) return;
    while (!this.#stopping && this.#members.size < Math.min(count, this.#settings.workers)) {
      try {
        this.#start();
      } catch (error) {
        this.#startFailed('the system refused', error);
        // Nothing else may happen that would try again.
        if (!this.#stopping) setTimeout(() => this.grow(count), RETRY_START_MS * this.#failedStarts);
        return;
      }
    }
  }

  #start(): void {
    this.#numbers += 1;
    const member = new Member(this.#numbers, this.#dispatcher, this.#settings);
    this.#members.set(member.connection, member);
    if (member.life.pid !== undefined) this.#pids.set(member.worker, member.life.pid);
    member.socket.on('data', (chunk: Buffer) => {
      const fault = this.#dispatcher.receive(member.connection, chunk);
      if (fault !== 0) this.#refuse(member, fault);
      this.#owner.turn();
    });
    member.socket.once('close', () => {
      if (this.#dispatcher.worker(member.connection, this.#figures)) member.tasksEnded = this.#figures[2] as number;
      // What it had not started goes back to its place now; what it ran waits for the exit code.
      this.#dispatcher.disconnect(member.connection);
      this.#owner.turn();
    });
    void member.gone.then((exit) => this.#onGone(member, exit));
    // Its hello waits to be written.
    queueMicrotask(() => this.#owner.turn());
    const slow = setTimeout(() => this.#owner.turn(), SLOW_START_MS + 1).unref();
    void member.gone.then(() => clearTimeout(slow));
  }

  /** A worker that does not keep to the protocol is not one of ours any more. */
  #refuse(member: Member, fault: number): void {
    process.emitWarning(`worker ${member.worker} (pid ${member.life.pid}) sent ${FAULTS[fault]}: it is killed`, {
      code: 'BOSUN_W002',
    });
    member.destroy();
    void member.life.kill();
  }

  /** To be called when a worker has reported that it is set up. */
  ready(worker: WorkerId): void {
    const member = this.find(worker);
    if (member === undefined) return;
    this.#failedStarts = 0;
    member.wasReady = true;
    member.life.markAlive();
    this.#owner.started(member);
  }

  #onGone(member: Member, exit: ExitDetails): void {
    this.#members.delete(member.connection);
    this.#owner.exited(member, exit);
    // A Ctrl-C that met it before it could ignore it says nothing about its set-up.
    if (!member.wasReady && !this.#stopping && exit.exitSignal !== 'SIGINT') {
      const how = exit.exitSignal ?? `exit code ${exit.exitCode}`;
      this.#startFailed(
        member.life.pid === undefined ? 'the system refused to start it' : `pid ${member.life.pid} ended with ${how}`,
        member.startError ?? member.life.spawnError,
      );
    }
    this.#owner.turn();
  }

  #startFailed(what: string, cause: unknown): void {
    this.#failedStarts += 1;
    this.#pauseUntil = performance.now() + RETRY_START_MS * 2 ** Math.min(this.#failedStarts, 10);
    if (this.#failedStarts < START_ATTEMPTS || this.alive > 0) return;
    this.#stopping = true;
    const reason = cause instanceof Error ? `: ${cause.message}` : '';
    const { setup } = this.#settings;
    const advice = setup === undefined ? '' : `. To see why, run its set-up by itself: node ${setup.module}`;
    this.#owner.failed(
      new WorkerStartError(
        `${START_ATTEMPTS} workers in a row could not be set up (${what}${reason}); the manager has given up${advice}`,
        { cause },
      ),
    );
  }

  /** Ends every worker, and starts none from now on. `kill` while it waits makes short work of it. */
  async stop(policy: ClosePolicy, grace: number): Promise<WorkerExit[]> {
    this.#stopping = true;
    const members = [...this.#members.values()];
    const ends = members.map((member) =>
      policy === ClosePolicy.KILL
        ? member.life.kill()
        : member.life.stop(() => this.#dispatcher.sendClose(member.connection, policy === ClosePolicy.CANCEL), {
            grace,
          }),
    );
    this.#owner.turn();
    return Promise.all(members.map((member, i) => this.#report(member, ends[i] as Promise<WorkerEnd>)));
  }

  /** The last rung for all. */
  kill(): void {
    this.#stopping = true;
    for (const { life } of this.#members.values()) void life.kill();
  }

  async #report(member: Member, end: Promise<WorkerEnd>): Promise<WorkerExit> {
    const { exitCode, exitSignal, forced } = await end;
    await member.gone;
    return { worker: member.worker, pid: member.life.pid, exitCode, exitSignal, forced };
  }
}
