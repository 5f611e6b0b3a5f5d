// Runs workers for clients on other hosts: each in a process of its own, behind a token, from modules that are allowed.

import { resolve } from 'node:path';
import { InvalidArgumentError, OutOfRangeError } from '../errors.js';
import { KeepAlive } from '../manager/keep-alive.js';
import { checkListen, type ListenOptions } from '../manager/listen-options.js';
import { addressOf, Listener } from '../manager/listener.js';
import { checkKnown, delay, flag, integer, MAX_DELAY_MS, ownOptions } from '../own-options.js';
import { AllowList } from '../task/allow-list.js';
import { isLoopback } from '../wire/address.js';
import { ROLE } from '../wire/first-frame.js';
import { DEFAULT_MAX_FRAME_BYTES } from '../wire/frame.js';
import { Bridge, type BridgeSettings } from './bridge.js';
import { Contexts } from './contexts.js';
import { Guest } from './guest.js';
import type { GuestSettings } from './guest-settings.js';
import { leaveToken, takeTokenAway } from './left-token.js';
import { type EndSignal, untilSignal } from './until-signal.js';

/** Options of a RemoteServer. */
export interface RemoteServerOptions extends Pick<ListenOptions, 'host' | 'port' | 'tls' | 'token'> {
  /** Folders and files that modules are loaded from. Everything on loopback unless given; needed off loopback. */
  readonly allowModules?: readonly string[];
  /** What relative paths of clients are relative to; the current directory unless given. */
  readonly root?: string;
  /** Clients, and so processes, at a time; 64 unless given. As many contexts again. */
  readonly maxWorkers?: number;
  /** Milliseconds that a target may take to stop when its client is gone, or the server ends; 5 000 unless given. */
  readonly grace?: number;
  readonly maxFrameBytes?: number;
  /** Milliseconds that a client may take to say its token, and again to say what it wants; 5 000 unless given. */
  readonly handshakeTimeout?: number;
  /** A client with the token may end the server, see `closeServer`; false unless given. */
  readonly closeOnNone?: boolean;
  /** What workers print, and log, goes nowhere; false unless given. */
  readonly suppressChildren?: boolean;
}

/** For the command line. */
export interface TunnelledServerOptions extends RemoteServerOptions {
  /** What happens, a line each. */
  readonly log?: (line: string) => void;
  /** Of a Unix socket, see ListenOptions; the server has no `address` then. */
  readonly path?: string;
}

/** Where a server is. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

const LIMITS = ['maxWorkers', 'grace', 'maxFrameBytes', 'handshakeTimeout'];
const KNOWN = [
  ...LIMITS,
  'path',
  'host',
  'port',
  'tls',
  'token',
  'allowModules',
  'root',
  'closeOnNone',
  'suppressChildren',
  'log',
];

/**
 * @example
 * const server = new RemoteServer({ allowModules: ['./jobs'] });
 * const { port } = await server.listen();
 * const worker = new RemoteWorker({ host: { port }, token: server.token, target: './jobs/square.js#square', args: [3] });
 */
export class RemoteServer implements AsyncDisposable {
  readonly #listener: Listener;
  readonly #guests = new Set<Guest | Bridge>();
  readonly #settings: GuestSettings & BridgeSettings;
  readonly #token: string;
  /** Clients of this user on this host find the token by themselves. */
  readonly #leavesToken: boolean;
  readonly #keepAlive = new KeepAlive();
  #end: Promise<void> | undefined;
  #resolveEnded: () => void = () => {};
  readonly #ended = new Promise<void>((resolve) => {
    this.#resolveEnded = resolve;
  });

  /** @throws InvalidArgumentError, OutOfRangeError for bad options, and off loopback without TLS or `allowModules`. */
  constructor(given: RemoteServerOptions = {}) {
    const options = ownOptions(given as TunnelledServerOptions, 'the options of a RemoteServer');
    checkKnown(options, KNOWN, 'a RemoteServer');
    const { path, host, port, tls, token, allowModules, root = '.', maxWorkers = 64, grace = 5_000 } = options;
    const { maxFrameBytes = DEFAULT_MAX_FRAME_BYTES, handshakeTimeout = 5_000 } = options;
    const { closeOnNone = false, suppressChildren = false, log = () => {} } = options;
    integer('handshakeTimeout', handshakeTimeout, 1, MAX_DELAY_MS);
    flag('closeOnNone', closeOnNone);
    flag('suppressChildren', suppressChildren);
    if (typeof root !== 'string') throw new InvalidArgumentError('root is the path of a folder');
    integer('maxWorkers', maxWorkers, 1, 1_024);
    integer('maxFrameBytes', maxFrameBytes, 1_024, Number.MAX_SAFE_INTEGER);
    const listen = checkListen({
      ...(path !== undefined && { path }),
      ...(host !== undefined && { host }),
      ...(port !== undefined && { port }),
      ...(tls !== undefined && { tls }),
      ...(token !== undefined && { token }),
    });
    if (allowModules === undefined && listen.host !== undefined && !isLoopback(listen.host)) {
      throw new InvalidArgumentError(
        `${listen.host} can be reached from other hosts: say with allowModules what it may load`,
      );
    }
    const refused = (address: string, reason: string) =>
      process.emitWarning(`a connection from ${address} was refused: ${oneLine(reason)}`, { code: 'BOSUN_W005' });
    this.#settings = {
      allowList: new AllowList(root, allowModules),
      places: { root: resolve(root), allowed: allowModules?.map((path) => resolve(root, path)) },
      contexts: new Contexts(maxWorkers),
      lifelines: new Map(),
      isFull: () => this.workers >= maxWorkers,
      refused,
      handshakeTimeout,
      suppressChildren,
      close: closeOnNone ? () => void this.terminate() : undefined,
      log,
      maxFrameBytes,
      grace: delay('grace', grace),
    };
    this.#token = listen.token;
    this.#leavesToken = token === undefined && isLoopback(listen.host ?? '');
    this.#listener = new Listener(
      listen,
      {
        admit: (socket, rest, role) => {
          if (role === ROLE.WORKER || (role === ROLE.MANAGER && this.workers >= maxWorkers)) {
            const why = role === ROLE.WORKER ? 'it looks for a manager, and this is none' : 'there are enough workers';
            refused(addressOf(socket), why);
            socket.destroy();
            return;
          }
          // A worker, its lifeline, and as many contexts.
          if (this.#guests.size >= 3 * maxWorkers || this.#end !== undefined) {
            if (this.#end === undefined) refused(addressOf(socket), 'there are too many connections already');
            socket.destroy();
            return;
          }
          if (rest.byteLength > 0) socket.unshift(rest);
          const guest = role === ROLE.MANAGER ? new Bridge(socket, this.#settings) : new Guest(socket, this.#settings);
          this.#guests.add(guest);
          const forget = () => void this.#guests.delete(guest);
          guest.gone.then(forget, forget);
        },
        refused,
      },
      handshakeTimeout,
    );
  }

  /** Starts to listen, and keeps this process up until `terminate`. @throws AddressInUseError (ERR_BOSUN_ADDRESS_IN_USE) */
  async listen(): Promise<ServerAddress> {
    if (this.#end !== undefined) throw new OutOfRangeError('the server has been terminated: make a new one');
    await this.#listener.open();
    if (this.#end !== undefined) throw new OutOfRangeError('the server was terminated before it could listen');
    const address = this.address as ServerAddress;
    if (this.#leavesToken) {
      try {
        leaveToken(address, this.#token);
      } catch (error) {
        await this.#listener.close(0);
        throw error;
      }
    }
    this.#keepAlive.set(true);
    return address;
  }

  /** Undefined before it listens. */
  get address(): ServerAddress | undefined {
    const { address } = this.#listener;
    return typeof address === 'object' ? address : undefined;
  }

  /** What clients have to know. */
  get token(): string {
    return this.#token;
  }

  /** Clients with a worker, or about to have one. */
  get workers(): number {
    return [...this.#guests].filter((guest) => guest instanceof Bridge || guest.isWorker).length;
  }

  /** Lets nobody in any more, and stops every worker: asks its target, and makes it end after `grace`. */
  terminate(): Promise<void> {
    this.#end ??= this.#terminate();
    void this.#end.then(this.#resolveEnded);
    return this.#end;
  }

  /** Resolves when it has been terminated, by its owner or a client. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  async #terminate(): Promise<void> {
    const guests = [...this.#guests];
    if (this.#leavesToken && this.address !== undefined) takeTokenAway(this.address, this.#token);
    await Promise.all([this.#listener.close(0), ...guests.map((guest) => guest.stop())]);
    await Promise.allSettled(guests.map(({ gone }) => gone));
    this.#keepAlive.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.terminate();
  }
}

/** A client that chooses the words of a reason must not write lines of a log. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ').trim();
}

/** Who wants to know how far a server is. */
export interface RunServerHooks {
  /** Ends it as a signal does. */
  readonly signal?: AbortSignal;
  readonly listening?: (server: RemoteServer) => void;
  readonly ending?: () => void;
}

/**
 * Runs a server until a signal tells this process to end; a second one ends it at once, and the workers with it.
 *
 * @returns the signal, when every worker is gone; undefined when it was the AbortSignal, or a client.
 * @throws what the RemoteServer and its `listen()` throw.
 */
export async function runServer(
  options: RemoteServerOptions = {},
  { listening, ending, signal: abort }: RunServerHooks = {},
): Promise<EndSignal | undefined> {
  const server = new RemoteServer(options);
  await server.listen();
  let onAbort: () => void = () => {};
  const aborted = new Promise<void>((resolve) => {
    onAbort = resolve;
    abort?.addEventListener('abort', onAbort);
    if (abort?.aborted === true) resolve();
  });
  const told = untilSignal([aborted, server.ended]);
  if (abort?.aborted !== true) listening?.(server);
  const { signal, forget } = await told;
  abort?.removeEventListener('abort', onAbort);
  if (signal !== undefined || abort?.aborted === true) ending?.();
  await server.terminate();
  forget();
  return signal;
}
