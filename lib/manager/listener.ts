// The listening socket of a manager: who connects, and whether they are let in.

import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { chmod, lstat, mkdir, mkdtemp, rm, unlink } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { AddressInUseError, InvalidArgumentError } from '../errors.js';
import { FRAME, HEADER_BYTES } from '../wire/frame.js';
import type { ListenSettings } from './listen-options.js';

/** Where peers find it. */
export type ListenAddress = string | { readonly host: string; readonly port: number };

export interface ListenerOwner {
  /** The token was right; `rest` has arrived behind it. */
  admit(socket: Socket, rest: Buffer): void;
  refused(address: string, reason: string): void;
}

/** How long a peer may take to say who it is, TLS included. */
const HELLO_MS = 5_000;

/** Of its first frame; a token is shorter. */
const MAX_HELLO_BYTES = 1024;

/** Peers at a time that have not said who they are; more are sent away. */
const MAX_STRANGERS = 64;

export class Listener {
  readonly #settings: ListenSettings;
  readonly #owner: ListenerOwner;
  readonly #digest: Buffer;
  readonly #server: Server;
  readonly #strangers = new Set<Socket>();
  /** A directory that was made for the socket. */
  #directory: string | undefined;
  #address: ListenAddress | undefined;
  #closed = false;

  constructor(settings: ListenSettings, owner: ListenerOwner) {
    this.#settings = settings;
    this.#owner = owner;
    this.#digest = digestOf(Buffer.from(settings.token));
    const { tls } = settings;
    if (tls === undefined) {
      this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#greet(socket));
    } else {
      const options = { minVersion: 'TLSv1.3', handshakeTimeout: HELLO_MS, ...tls, allowHalfOpen: true } as const;
      const server = createTlsServer(options, (socket) => this.#greet(socket));
      server.on('tlsClientError', (error, socket) => {
        owner.refused(addressOf(socket), `the TLS handshake failed: ${error.message}`);
        socket.destroy();
      });
      this.#server = server;
    }
    // Errors of a server that listens concern one connection that could not be taken.
    this.#server.on('error', () => {});
    this.#server.unref();
  }

  /** Known once `open` has resolved. */
  get address(): ListenAddress | undefined {
    return this.#address;
  }

  /**
   * @throws AddressInUseError (ERR_BOSUN_ADDRESS_IN_USE) when somebody listens there.
   * @throws InvalidArgumentError when others could enter the directory; the system's error for all else.
   */
  async open(): Promise<void> {
    const { host, port } = this.#settings;
    if (host !== undefined) {
      await this.#listen({ host, port });
      const bound = this.#server.address() as { readonly address: string; readonly port: number };
      this.#address = { host: bound.address, port: bound.port };
      return;
    }
    const path = this.#settings.path ?? (await this.#newPath());
    if (this.#settings.path !== undefined) await prepare(path);
    await this.#listen({ path });
    await chmod(path, 0o600);
    this.#address = path;
  }

  async #newPath(): Promise<string> {
    // Only this user can enter what mkdtemp makes.
    this.#directory = await mkdtemp(join(process.env['XDG_RUNTIME_DIR'] ?? tmpdir(), 'bosun-'));
    return join(this.#directory, 'manager.sock');
  }

  async #listen(at: { path: string } | { host: string; port: number }): Promise<void> {
    this.#server.listen(at);
    try {
      await once(this.#server, 'listening');
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause;
      throw new AddressInUseError(`somebody listens at ${JSON.stringify(at)} already`, { cause });
    }
    // It was closed while it opened.
    if (this.#closed) this.#server.close();
  }

  /** Nobody is let in any more; what was let in is the owner's. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const socket of this.#strangers) socket.destroy();
    if (this.#server.listening) {
      this.#server.close();
      // Peers that were let in are waited for by their owner.
    }
    if (this.#directory !== undefined) await rm(this.#directory, { recursive: true, force: true });
  }

  #greet(socket: Socket): void {
    const address = addressOf(socket);
    let pending: Buffer = Buffer.alloc(0);
    socket.on('error', () => {});
    const refuse = (reason: string) => {
      leave();
      socket.destroy();
      if (!this.#closed) this.#owner.refused(address, reason);
    };
    const onData = (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      const hello = readHello(pending);
      if (hello === undefined) return;
      if (typeof hello === 'string') return refuse(hello);
      if (!timingSafeEqual(digestOf(hello.token), this.#digest)) return refuse('its token is wrong');
      leave();
      this.#owner.admit(socket, hello.rest);
    };
    const onEnd = () => refuse('it went away without a token');
    const timer = setTimeout(() => refuse(`it sent no token for ${HELLO_MS} ms`), HELLO_MS).unref();
    const leave = () => {
      clearTimeout(timer);
      this.#strangers.delete(socket);
      socket.off('data', onData).off('end', onEnd).off('close', onEnd);
    };
    if (this.#strangers.size >= MAX_STRANGERS) {
      refuse('too many others have yet to send their token');
      return;
    }
    this.#strangers.add(socket);
    socket.unref();
    socket.on('data', onData).on('end', onEnd).on('close', onEnd);
  }
}

/** What a peer must send first: undefined while it is not complete, text when it is something else. */
function readHello(bytes: Buffer): { readonly token: Buffer; readonly rest: Buffer } | string | undefined {
  if (bytes.byteLength > 0 && bytes[0] !== FRAME.HELLO) return 'its first frame is no hello';
  if (bytes.byteLength < HEADER_BYTES) return undefined;
  const length = bytes.readBigUInt64LE(1);
  if (length > MAX_HELLO_BYTES) return `its hello of ${length} bytes is too long`;
  const end = HEADER_BYTES + Number(length);
  if (bytes.byteLength < end) return undefined;
  return { token: bytes.subarray(HEADER_BYTES, end), rest: bytes.subarray(end) };
}

/** Of one length, whatever the token's is. */
function digestOf(token: Uint8Array): Buffer {
  return createHash('sha256').update(token).digest();
}

function addressOf(socket: Socket): string {
  return socket.remoteAddress === undefined ? 'a local socket' : `${socket.remoteAddress}:${socket.remotePort}`;
}

/** A directory that nobody else can enter, and no socket in it that is left over. */
async function prepare(path: string): Promise<void> {
  const directory = dirname(path);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { mode, uid } = await lstat(directory);
  if (process.getuid !== undefined && (uid !== process.getuid() || (mode & 0o077) !== 0)) {
    throw new InvalidArgumentError(
      `others can enter ${directory} (mode ${(mode & 0o777).toString(8)}): choose a directory of mode 700 for the socket`,
    );
  }
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) throw new AddressInUseError(`${path} exists and is no socket`);
  if (await isLive(path)) throw new AddressInUseError(`somebody listens at ${path} already`);
  await unlink(path);
}

async function isLive(path: string): Promise<boolean> {
  const probe = connect(path);
  try {
    await once(probe, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    probe.destroy();
  }
}
