// A worker on another host: the line to its server, and what is known of its life over there.

import { connect, type Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { builtin } from '../builtin.js';
import { type ExitDetails, InvalidArgumentError } from '../errors.js';
import { checkKnown, integer, ownOptions } from '../own-options.js';
import { isLoopback, SERVER_PORT } from '../wire/address.js';
import { encodeFrame, FRAME } from '../wire/frame.js';
import { hasVanished, type Line, SAY, StreamLine } from '../wire/line.js';
import { keepAlive } from '../wire/tend.js';
import { readToken } from '../wire/token-file.js';
import type { Place } from './place.js';
import { WorkerLife } from './worker-life.js';

/** A server of remote workers: its address and what it wants to hear first. */
export type RemoteHost =
  | string
  | readonly [host: string, port: number]
  | { readonly host?: string; readonly port?: number }
  | { readonly path: string };

/** Where to connect to: a port, or a socket of this host. */
export type RemotePoint = { readonly host: string; readonly port: number } | { readonly path: string };

/** Where to connect: a host, or a Unix socket. */
export type DialAddress = { readonly host: string; readonly port: number } | { readonly path: string };

export interface RemoteOptions {
  /**
   * `{ host, port }`, `[host, port]` or `'host:port'`, 127.0.0.1 and 60006 unless given; or `{ path }`, a tunnel's socket.
   */
  readonly host?: RemoteHost | undefined;
  /** The server's; on loopback the one that it has left for this user, unless given. */
  readonly token?: string | undefined;
  /** Options of `tls.connect`, for a server that has TLS. */
  readonly tls?: ConnectionOptions | undefined;
}

/** @throws InvalidArgumentError, OutOfRangeError */
export function parseHost(given: RemoteHost = {}): RemotePoint {
  const { host = '127.0.0.1', port = SERVER_PORT, path, ...others } = ownOptions(partsOf(given), 'a host');
  checkKnown(others, [], 'a host');
  if (path !== undefined) {
    if (typeof path !== 'string' || path === '') throw new InvalidArgumentError('the path of a socket is a string');
    return { path };
  }
  if (typeof host !== 'string' || host === '') throw new InvalidArgumentError('a host is a name or an address');
  return { host, port: integer('port', port, 1, 65_535) };
}

function partsOf(given: RemoteHost): { readonly host?: string; readonly port?: number; readonly path?: string } {
  if (typeof given === 'string') {
    const match = /^(\[.+\]|[^:]+)(?::(\d+))?$/.exec(given);
    if (match === null) throw new InvalidArgumentError(`a host is given as 'name:port', not '${given}'`);
    const [, name = '', port] = match;
    return { host: name.replace(/^\[|\]$/g, ''), ...(port !== undefined && { port: Number(port) }) };
  }
  if (Array.isArray(given)) return { host: given[0] as string, port: given[1] as number };
  return given as { readonly host?: string; readonly port?: number; readonly path?: string };
}

/** The rungs are the server's to climb; the last one is to hang up, upon which it does. */
class RemoteLife extends WorkerLife {
  readonly #socket: Socket;
  line: Line | undefined;

  constructor(socket: Socket) {
    super();
    this.#socket = socket;
  }

  get pid(): undefined {
    return undefined;
  }

  end(exit: ExitDetails): void {
    this.markDead(exit);
  }

  protected override signal(name: NodeJS.Signals): void {
    if (name === 'SIGTERM') this.line?.send(SAY.KILL);
    else this.#socket.destroy();
  }
}

/** The one that a server on this host has left for this user; nobody else is to hear it. */
export function ownToken(at: RemotePoint): string {
  return ('host' in at && isLoopback(at.host) ? readToken(at) : undefined) ?? '';
}

/** A server may say anything. */
export function exitOf(value: unknown): ExitDetails {
  const { exitCode, exitSignal } = (value ?? {}) as Partial<Record<keyof ExitDetails, unknown>>;
  return {
    exitCode: Number.isInteger(exitCode) ? (exitCode as number) : null,
    exitSignal:
      typeof exitSignal === 'string' && /^SIG[A-Z0-9]{2,10}$/.test(exitSignal) ? (exitSignal as NodeJS.Signals) : null,
  };
}

/** How long a host may take to answer, TLS included. */
const ANSWER_MS = 15_000;

/** Connects, and says this first; whether that succeeds is seen later, as a message or the end of the connection. */
export function dial(at: RemotePoint, tls: ConnectionOptions | undefined, first: Uint8Array): Socket {
  const socket: Socket = tls === undefined ? connect(at) : builtin('node:tls').connect({ ...at, ...tls });
  keepAlive(socket);
  socket.write(first);
  // The system waits for minutes; and what answers may be something else, that does not speak TLS.
  const timer = setTimeout(() => socket.destroy(new Error('nobody answered')), ANSWER_MS).unref();
  socket.once(tls === undefined ? 'connect' : 'secureConnect', () => clearTimeout(timer));
  socket.once('close', () => clearTimeout(timer));
  return socket;
}

/** To a server, with the token. */
export function dialServer(options: RemoteOptions): { readonly socket: Socket; readonly line: StreamLine } {
  const at = parseHost(options.host);
  const socket = dial(at, options.tls, encodeFrame(FRAME.HELLO, Buffer.from(options.token ?? ownToken(at))));
  return { socket, line: new StreamLine(socket, { isForeign: true }) };
}

/** This host does not vanish without us. */
function needsLifeline({ host }: RemoteOptions): boolean {
  const at = parseHost(host);
  return 'host' in at && !isLoopback(at.host);
}

/**
 * A second connection, on which nothing is ever said. The kernels ask each other on one that is idle, whatever the
 * programs do, and notice a lost host within 15 s; with something on its way that nobody acknowledges they take as many
 * minutes. So the worker's own connection, which may have that, ends with this one.
 */
function hold(options: RemoteOptions, key: string, main: Socket): void {
  if (main.destroyed) return;
  const { socket, line } = dialServer(options);
  socket.unref();
  line.onEnd = (error) => {
    if (hasVanished(error)) main.destroy(error);
  };
  line.send(SAY.LIFELINE, [{ lifeline: key }, null]);
  main.once('close', () => socket.destroy());
}

/** @param ready what nothing may be said before; the line ends with what it rejects with. */
export function remotePlace(options: RemoteOptions, ready?: Promise<unknown>): Place {
  const { socket, line } = dialServer(options);
  if (ready !== undefined) {
    socket.cork();
    ready.then(
      () => socket.uncork(),
      (error: Error) => socket.destroy(error),
    );
  }
  const life = new RemoteLife(socket);
  life.line = line;
  // Of the process over there; its owner hears of it as the end of this life.
  const lifeline = needsLifeline(options) ? builtin('node:crypto').randomUUID() : undefined;
  line.filter = (type, value) => {
    if (type === SAY.EXIT) life.end(exitOf(value));
    if (type === SAY.STARTED && lifeline !== undefined) hold(options, lifeline, socket);
    return type === SAY.EXIT;
  };
  socket.once('close', () => life.end({ exitCode: null, exitSignal: null }));
  // The server raises it when it hears STOP.
  return { life, line, pid: undefined, tid: 0, lifeline, raiseFlag() {} };
}
