// The listening socket of a manager: who connects, and whether they are let in.

import { once } from 'node:events';
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TlsOptions, Server as TlsServer } from 'node:tls';
import { builtin } from '../builtin.js';
import { AddressInUseError } from '../errors.js';
import { type Role, readFirstFrame } from '../wire/first-frame.js';
import { type ListenSettings, TLS_DEFAULTS } from './listen-options.js';
import { keepAtExit, makeSocketDirectory, prepareSocketPath, removeAtExit, SOCKET_NAME } from './socket-path.js';

/** Where peers find it. */
export type ListenAddress = string | { readonly host: string; readonly port: number };

export interface ListenerOwner {
  /** The token was right; `rest` has arrived behind it. */
  admit(socket: Socket, rest: Buffer, role: Role | undefined): void;
  refused(address: string, reason: string): void;
}

/** How long a peer may take to say who it is, TLS included. */
const HELLO_MS = 5_000;

/** Peers at a time that have not said who they are; for one more the oldest is sent away. */
const MAX_STRANGERS = 64;

/** Somebody who has connected and has yet to say who it is. */
interface Stranger {
  readonly address: string;
  /** The connection; under TLS what carries it. */
  readonly socket: Socket;
  /** Sends it away, once. */
  refuse(reason: string): void;
  /** It is none any more: it was let in, or is gone. */
  leave(): void;
}

export class Listener {
  readonly #settings: ListenSettings;
  readonly #owner: ListenerOwner;
  readonly #patience: number;
  readonly #digest: Buffer;
  readonly #server: Server;
  readonly #strangers = new Set<Stranger>();
  /** A directory that was made for the socket. */
  #directory: string | undefined;
  /** What is removed if the process ends before `close`. */
  #made: string | undefined;
  #address: ListenAddress | undefined;
  #opening: Promise<void> | undefined;
  #closed = false;

  /** @param patience milliseconds that a peer may take to say who it is. */
  constructor(settings: ListenSettings, owner: ListenerOwner, patience = HELLO_MS) {
    this.#patience = patience;
    this.#settings = settings;
    this.#owner = owner;
    this.#digest = digestOf(Buffer.from(settings.token));
    const tlsServer = settings.tls === undefined ? undefined : this.#createTlsServer(settings.tls);
    // The end of a connection inside its handshake is not seen on one that may be half open.
    this.#server = createServer({ allowHalfOpen: tlsServer === undefined }, (socket) => {
      const stranger = this.#meet(socket);
      if (stranger === undefined) return;
      if (tlsServer === undefined) this.#greet(stranger, socket);
      else tlsServer.emit('connection', socket);
    });
    // Errors of a server that listens concern one connection that could not be taken.
    this.#server.on('error', () => {});
    // The lookup of a name may end after `close`.
    this.#server.on('listening', () => {
      if (this.#closed) this.#server.close();
    });
    this.#server.unref();
  }

  /** It never listens: it is handed the connections of a server that counts them before their handshake. */
  #createTlsServer(tls: TlsOptions): TlsServer {
    const find = (socket: Socket) => {
      const address = addressOf(socket);
      return [...this.#strangers].find((stranger) => stranger.address === address);
    };
    const server = builtin('node:tls').createServer({ ...TLS_DEFAULTS, ...tls }, (socket) => {
      const stranger = find(socket);
      if (stranger === undefined) socket.destroy();
      else this.#greet(stranger, socket);
    });
    // One that is gone is told of by the end of its connection.
    server.on('tlsClientError', (error, socket) => find(socket)?.refuse(`the TLS handshake failed: ${error.message}`));
    return server;
  }

  /** Known once `open` has resolved. */
  get address(): ListenAddress | undefined {
    return this.#address;
  }

  /**
   * To be called once.
   *
   * @throws AddressInUseError (ERR_BOSUN_ADDRESS_IN_USE) when somebody listens there.
   * @throws InvalidArgumentError when others could enter the directory; the system's error for all else.
   */
  open(): Promise<void> {
    this.#opening = this.#open();
    return this.#opening;
  }

  async #open(): Promise<void> {
    const { host, port, path: given } = this.#settings;
    if (host !== undefined) {
      await this.#listen({ host, port });
      const bound = this.#server.address() as { readonly address: string; readonly port: number } | null;
      // It was closed meanwhile.
      if (bound === null) return;
      this.#address = { host: bound.address, port: bound.port };
      return;
    }
    const path = given ?? (await this.#newPath());
    if (given !== undefined) await prepareSocketPath(given);
    if (this.#closed) return;
    await this.#listen({ path });
    this.#made ??= removeAtExit(path);
    await chmod(path, 0o600);
    this.#address = path;
  }

  async #newPath(): Promise<string> {
    this.#directory = await makeSocketDirectory();
    this.#made = removeAtExit(this.#directory);
    return join(this.#directory, SOCKET_NAME);
  }

  async #listen(at: { path: string } | { host: string; port: number }): Promise<void> {
    // Exclusive: the workers of a cluster must not share one port, and so each other's peers.
    this.#server.listen({ ...at, exclusive: true });
    try {
      await once(this.#server, 'listening');
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause;
      throw new AddressInUseError(`somebody listens at ${JSON.stringify(at)} already`, { cause });
    }
  }

  /**
   * Nobody is let in any more; what was let in is the owner's.
   *
   * @param patience milliseconds that a file system may take that still opens the socket; some never answer.
   */
  async close(patience: number): Promise<void> {
    this.#closed = true;
    for (const { socket, leave } of [...this.#strangers]) {
      leave();
      socket.destroy();
    }
    // What is being made in the file system would be left there. The lookup of a name may take long and leaves nothing.
    if (this.#settings.host === undefined) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, patience);
      });
      await Promise.race([this.#opening?.catch(() => {}), late]);
      clearTimeout(timer);
    }
    // This removes the socket. Peers that were let in are waited for by their owner.
    if (this.#server.listening) this.#server.close();
    if (this.#directory !== undefined) await rm(this.#directory, { recursive: true, force: true });
    if (this.#made !== undefined) keepAtExit(this.#made);
  }

  #meet(socket: Socket): Stranger | undefined {
    const address = addressOf(socket);
    socket.on('error', () => {});
    if (this.#closed) {
      socket.destroy();
      return undefined;
    }
    if (this.#strangers.size >= MAX_STRANGERS) {
      // Who means it has said the token long ago: silent ones keep nobody out.
      const [oldest] = this.#strangers;
      oldest?.refuse('too many others have yet to send their token');
    }
    socket.unref();
    const leave = () => {
      clearTimeout(timer);
      this.#strangers.delete(stranger);
      socket.off('close', onClose);
    };
    const refuse = (reason: string) => {
      if (!this.#strangers.has(stranger)) return;
      leave();
      socket.destroy();
      this.#owner.refused(address, reason);
    };
    const onClose = () => refuse('it went away without a token');
    const timer = setTimeout(() => refuse(`it sent no token for ${this.#patience} ms`), this.#patience).unref();
    const stranger = { address, socket, refuse, leave };
    this.#strangers.add(stranger);
    socket.once('close', onClose);
    return stranger;
  }

  /** @param socket of the stranger, or what TLS has made of it. */
  #greet(stranger: Stranger, socket: Socket): void {
    let pending: Buffer = Buffer.alloc(0);
    // Under TLS it has errors of its own.
    socket.on('error', () => {});
    const onData = (chunk: Buffer) => {
      pending = pending.byteLength === 0 ? chunk : Buffer.concat([pending, chunk]);
      const hello = readFirstFrame(pending);
      if (hello === undefined) return;
      socket.off('data', onData).off('end', onEnd);
      if (typeof hello === 'string') return stranger.refuse(hello);
      if (!builtin('node:crypto').timingSafeEqual(digestOf(hello.token), this.#digest))
        return stranger.refuse('its token is wrong');
      stranger.leave();
      this.#owner.admit(socket, hello.rest, hello.role);
    };
    const onEnd = () => stranger.refuse('it went away without a token');
    socket.on('data', onData).on('end', onEnd);
  }
}

/** Of one length, whatever the token's is. */
function digestOf(token: Uint8Array): Buffer {
  return builtin('node:crypto').createHash('sha256').update(token).digest();
}

/** For people. */
export function addressOf(socket: Socket): string {
  return socket.remoteAddress === undefined ? 'a local socket' : `${socket.remoteAddress}:${socket.remotePort}`;
}
