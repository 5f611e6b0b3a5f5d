// Runs workers for clients on other hosts: each in a process of its own, behind a token, from modules that are allowed.

import { resolve } from 'node:path';
import { InvalidArgumentError, OutOfRangeError } from '../errors.js';
import { KeepAlive } from '../manager/keep-alive.js';
import { checkListen, type ListenOptions } from '../manager/listen-options.js';
import { addressOf, Listener } from '../manager/listener.js';
import { checkKnown, delay, integer, ownOptions } from '../own-options.js';
import { AllowList } from '../task/allow-list.js';
import { isLoopback } from '../wire/address.js';
import { ROLE } from '../wire/first-frame.js';
import { DEFAULT_MAX_FRAME_BYTES } from '../wire/frame.js';
import { Bridge, type BridgeSettings } from './bridge.js';
import { Guest, type GuestSettings } from './guest.js';
import { leaveToken, takeTokenAway } from './left-token.js';
import { type EndSignal, untilSignal } from './until-signal.js';

/** Options of a RemoteServer. */
export interface RemoteServerOptions extends Pick<ListenOptions, 'host' | 'port' | 'tls' | 'token'> {
  /** Folders and files that modules are loaded from. Everything on loopback unless given; needed off loopback. */
  readonly allowModules?: readonly string[];
  /** What relative paths of clients are relative to; the current directory unless given. */
  readonly root?: string;
  /** Clients, and so processes, at a time; 64 unless given. */
  readonly maxWorkers?: number;
  /** Milliseconds that a target may take to stop when its client is gone, or the server ends; 5 000 unless given. */
  readonly grace?: number;
  readonly maxFrameBytes?: number;
}

function refused(address: string, reason: string): void {
  process.emitWarning(`a connection from ${address} was refused: ${reason}`, { code: 'BOSUN_W005' });
}

/** Where a server is. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

const KNOWN = ['host', 'port', 'tls', 'token', 'allowModules', 'root', 'maxWorkers', 'grace', 'maxFrameBytes'];

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

  /** @throws InvalidArgumentError, OutOfRangeError for bad options, and off loopback without TLS or `allowModules`. */
  constructor(given: RemoteServerOptions = {}) {
    const options = ownOptions(given, 'the options of a RemoteServer');
    checkKnown(options, KNOWN, 'a RemoteServer');
    const { host, port, tls, token, allowModules, root = '.', maxWorkers = 64, grace = 5_000 } = options;
    const { maxFrameBytes = DEFAULT_MAX_FRAME_BYTES } = options;
    if (typeof root !== 'string') throw new InvalidArgumentError('root is the path of a folder');
    integer('maxWorkers', maxWorkers, 1, 1_024);
    integer('maxFrameBytes', maxFrameBytes, 1_024, Number.MAX_SAFE_INTEGER);
    const listen = checkListen({
      ...(host !== undefined && { host }),
      ...(port !== undefined && { port }),
      ...(tls !== undefined && { tls }),
      ...(token !== undefined && { token }),
    });
    if (allowModules === undefined && !isLoopback(listen.host ?? '')) {
      throw new InvalidArgumentError(
        `${listen.host} can be reached from other hosts: say with allowModules what it may load`,
      );
    }
    const allowList = new AllowList(root, allowModules);
    const places = { root: resolve(root), allowed: allowModules?.map((path) => resolve(root, path)) };
    this.#settings = { allowList, places, maxFrameBytes, grace: delay('grace', grace) };
    this.#token = listen.token;
    this.#leavesToken = token === undefined && isLoopback(listen.host ?? '');
    this.#listener = new Listener(listen, {
      admit: (socket, rest, role) => {
        if (this.#guests.size >= maxWorkers || this.#end !== undefined || role === ROLE.WORKER) {
          if (role === ROLE.WORKER) refused(addressOf(socket), 'it looks for a manager, and this is none');
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
    });
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
    return this.#listener.address as ServerAddress | undefined;
  }

  /** What clients have to know. */
  get token(): string {
    return this.#token;
  }

  /** Clients that are there. */
  get workers(): number {
    return this.#guests.size;
  }

  /** Lets nobody in any more, and stops every worker: asks its target, and makes it end after `grace`. */
  terminate(): Promise<void> {
    this.#end ??= this.#terminate();
    return this.#end;
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

/** Who wants to know how far a server is. */
export interface RunServerHooks {
  readonly listening?: (server: RemoteServer) => void;
  readonly ending?: () => void;
}

/**
 * Runs a server until a signal tells this process to end; a second one ends it at once, and the workers with it.
 *
 * @returns the signal, when every worker is gone.
 * @throws what the RemoteServer and its `listen()` throw.
 */
export async function runServer(
  options: RemoteServerOptions = {},
  { listening, ending }: RunServerHooks = {},
): Promise<EndSignal> {
  const server = new RemoteServer(options);
  await server.listen();
  const told = untilSignal();
  listening?.(server);
  const { signal, forget } = await told;
  ending?.();
  await server.terminate();
  forget();
  return signal;
}
