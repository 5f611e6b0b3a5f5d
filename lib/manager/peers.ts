// The peers of a manager that were let in: programs that speak the reference dialogue over a listening socket.

import type { Socket } from 'node:net';
import type { NativeDispatcher } from '../native.js';
import type { WorkerId } from '../task/context.js';
import type { TaskPolicy } from '../task/policy.js';
import { keepAlive } from '../wire/tend.js';
import { ClosePolicy } from './close.js';
import { ConnectionFigures } from './connection-figures.js';
import type { LostTask, Runner } from './failures.js';
import { faultText } from './faults.js';
import { NetLine } from './net-line.js';
import type { WorkerInfo } from './worker-set.js';

/** One that was told to finish and does not end its connection has so long before that is done for it. */
const LINGER_MS = 200;

/** At a time; the connections that are left are for the manager's own workers. */
const MAX_PEERS = 1024;

/** One of them. */
export class Peer implements Runner {
  readonly worker: WorkerId;
  readonly connection: number;
  readonly socket: Socket;
  readonly line: NetLine;
  readonly lost: LostTask[] = [];
  /** Known from the end of its connection on. */
  tasksEnded = 0;
  /** It was told to finish. */
  stopping = false;

  constructor(worker: WorkerId, socket: Socket, line: NetLine) {
    this.worker = worker;
    this.connection = line.connection;
    this.socket = socket;
    this.line = line;
  }

  get pid(): undefined {
    return undefined;
  }
}

export interface PeersOwner {
  /** Bytes arrived, or a peer is gone. */
  turn(): void;
  started(peer: Peer): void;
  exited(peer: Peer): void;
  refused(address: string, reason: string): void;
  nextNumber(): WorkerId;
}

export class Peers {
  readonly #dispatcher: NativeDispatcher;
  readonly #owner: PeersOwner;
  readonly #peers = new Map<number, Peer>();
  readonly #figures: ConnectionFigures;

  /** @param policy of the tasks that they schedule, who cannot say. */
  constructor(dispatcher: NativeDispatcher, policy: TaskPolicy, owner: PeersOwner) {
    this.#dispatcher = dispatcher;
    this.#figures = new ConnectionFigures(dispatcher);
    this.#owner = owner;
    const { timeoutMs, deadlineMs, maxRetries, maxCrashes, flags } = policy;
    dispatcher.setForeignPolicy(timeoutMs, deadlineMs, maxRetries, maxCrashes, flags);
  }

  /** Takes over a connection; `rest` has arrived already. */
  admit(socket: Socket, rest: Buffer): void {
    const worker = this.#owner.nextNumber();
    const connection = this.#peers.size < MAX_PEERS ? this.#dispatcher.openForeign(worker) : 0;
    if (connection === 0) {
      this.#owner.refused(`peer ${worker}`, `there are ${this.#peers.size} peers already`);
      socket.destroy();
      return;
    }
    const turn = () => this.#turn(connection);
    const peer = new Peer(worker, socket, new NetLine(this.#dispatcher, connection, socket, socket, turn, true));
    this.#peers.set(connection, peer);
    // One whose host is gone would keep its task for ever.
    keepAlive(socket);
    socket.once('end', () => socket.destroySoon());
    this.#owner.started(peer);
    if (rest.byteLength > 0) {
      this.#dispatcher.receive(connection, rest);
      turn();
    }
  }

  find(worker: WorkerId): Peer | undefined {
    for (const peer of this.#peers.values()) if (peer.worker === worker) return peer;
    return undefined;
  }

  /** False when the connection is no peer's. */
  write(connection: number, bytes: Buffer): boolean {
    const peer = this.#peers.get(connection);
    if (peer === undefined) return false;
    peer.line.write(bytes);
    return true;
  }

  /** It goes on with a task that it cannot be told to stop. */
  end(worker: WorkerId): void {
    this.find(worker)?.socket.destroy();
  }

  info(): WorkerInfo[] {
    return [...this.#peers.values()].map(({ worker, connection }) => {
      return { worker, pid: undefined, state: 'alive', ...this.#figures.of(connection) };
    });
  }

  /** Asks all of them to finish; those that run a task may take `grace` for it. */
  async stop(policy: ClosePolicy, grace: number): Promise<void> {
    const peers = [...this.#peers.values()];
    const ends = peers.map((peer) => this.#stopOne(peer, policy, grace));
    this.#owner.turn();
    await Promise.all(ends);
  }

  kill(): void {
    for (const { socket } of this.#peers.values()) socket.destroy();
  }

  #stopOne(peer: Peer, policy: ClosePolicy, grace: number): Promise<void> {
    const { connection, socket } = peer;
    const closed = new Promise<void>((resolve) => {
      if (socket.closed) resolve();
      else socket.once('close', () => resolve());
    });
    this.#dispatcher.sendClose(connection, policy !== ClosePolicy.JOIN);
    peer.stopping = true;
    if (policy === ClosePolicy.KILL) socket.destroy();
    // Behind the turn that writes the request.
    else queueMicrotask(() => this.#endIdle(peer));
    const timer = setTimeout(() => socket.destroy(), grace);
    return closed.finally(() => clearTimeout(timer));
  }

  /** Ends the connection behind the last task. Not at once: what the peer was just sending must not cost it the request. */
  #endIdle({ connection, socket, stopping }: Peer): void {
    if (!stopping || socket.writableEnded || socket.destroyed) return;
    if (this.#figures.of(connection).inFlight > 0) return;
    socket.end();
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once('close', () => clearTimeout(timer));
  }

  #turn(connection: number): void {
    this.#owner.turn();
    const peer = this.#peers.get(connection);
    if (peer !== undefined) this.#endIdle(peer);
  }

  /** The connection of a peer has ended; its tasks have been reported as lost. */
  closed(worker: WorkerId, tasksEnded: number, fault: number): void {
    const peer = this.find(worker);
    if (peer === undefined) return;
    peer.tasksEnded = tasksEnded;
    if (fault !== 0) this.#owner.refused(`peer ${worker}`, `it sent ${faultText(fault)}`);
    peer.line.destroy();
    this.#peers.delete(peer.connection);
    this.#owner.exited(peer);
    this.#owner.turn();
  }
}
