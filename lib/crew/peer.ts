// Datagrams between processes of one host, each of which has a path for an address. Node.js has none of its own.

import { EventEmitter } from 'node:events';
import { rm } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { getSystemErrorName } from 'node:util';
import { BosunError, InvalidArgumentError, PeerAbsentError, SizeError } from '../errors.js';
import {
  assertSocketPaths,
  keepAtExit,
  MAX_PATH_BYTES,
  makeSocketDirectory,
  prepareSocketPath,
  removeAtExit,
} from '../manager/socket-path.js';
import { MAX_DATAGRAM, type NativeWatch, native, SOCKET_READY } from '../native.js';
import { checkKnown, integer, ownOptions } from '../own-options.js';
import { Outboxes } from './outboxes.js';

/** Options of a Peer. */
export interface PeerOptions {
  /** For people, and the name of its socket; `peer` unless given. Letters, digits and `._-`. */
  readonly name?: string;
  /** Where others find it: absolute, at most 107 bytes (103 on macOS), in a directory of mode 700 that is made if need be. */
  readonly path?: string;
  /** As `path`, which is `<directory>/<name>.uxd` then. A new directory, which goes with the peer, unless either is given. */
  readonly directory?: string;
  /** How many of the longest grams the system is asked to keep, each way; 4 unless given. It allows what it allows. */
  readonly bc?: number;
}

export const PEER_OPTIONS = ['name', 'path', 'directory', 'bc'] as const;

/** Who has sent a gram. */
export interface GramSource {
  /** Its path; empty for one that nobody can answer. */
  readonly path: string;
  /** As the system says, which cannot be forged; undefined where it does not (all but Linux). */
  readonly pid: number | undefined;
  readonly uid: number | undefined;
}

export interface PeerEvents {
  /** What came, and from whom. */
  gram: [Buffer, GramSource];
}

/** Grams that are read before the event loop gets its turn. */
const READ_AT_ONCE = 64;

const memory = Buffer.allocUnsafeSlow(MAX_DATAGRAM);

/**
 * A socket for datagrams (grams) at a path. A gram of up to 65 535 bytes arrives whole, once, and behind those that the same
 * peer has sent before; one that is sent to a peer that ends before it has read it is lost with that.
 *
 * Linux keeps eleven grams for one that does not read, unless `net.unix.max_dgram_qlen` says otherwise, and some 200 KiB of
 * all that a peer has sent. So grams of 16 KiB and less to one that is stuck hold up nobody else; longer ones may.
 *
 * @example
 * const peer = new Peer({ name: 'one' });
 * peer.on('gram', (data, { path }) => peer.send(data, path));
 * await peer.open();
 */
export class Peer extends EventEmitter<PeerEvents> implements AsyncDisposable {
  readonly name: string;
  readonly #directory: string | undefined;
  readonly #given: string | undefined;
  readonly #buffer: number;
  #path: string | undefined;
  /** It goes with this. */
  #ownDirectory: string | undefined;
  #descriptor = -1;
  #watch: NativeWatch | undefined;
  #outboxes: Outboxes | undefined;
  #opening: Promise<void> | undefined;
  #isPaused = false;
  #isHeld = true;

  /** @throws InvalidArgumentError, OutOfRangeError, SizeError (ERR_BOSUN_SIZE) for a path that is too long. */
  constructor(options: PeerOptions = {}) {
    super();
    const given = ownOptions(options, 'the options of a peer');
    checkKnown(given, PEER_OPTIONS, 'a peer');
    const { name = 'peer', path, directory, bc = 4 } = given;
    if (typeof name !== 'string' || !/^[\w.-]+$/.test(name)) {
      throw new InvalidArgumentError('the name of a peer is of letters, digits and ._-');
    }
    if (path !== undefined && directory !== undefined) throw new InvalidArgumentError('give a path or a directory');
    this.name = name;
    this.#directory = directory === undefined ? undefined : checkAbsolute(directory);
    this.#given = path ?? (this.#directory === undefined ? undefined : join(this.#directory, `${name}.uxd`));
    if (this.#given !== undefined) checkPath(this.#given);
    this.#buffer = integer('bc', bc, 1, 1_024) * MAX_DATAGRAM;
  }

  /** Where others find it; known from `open` on, and before if it was given. Of a closed one, where it was. */
  get path(): string | undefined {
    return this.#path ?? this.#given;
  }

  get isOpen(): boolean {
    return this.#descriptor !== -1;
  }

  /**
   * Binds it; does nothing when it is open. A socket at its path that nobody reads is replaced.
   *
   * @throws AddressInUseError (ERR_BOSUN_ADDRESS_IN_USE) when somebody reads there, or what is there is no socket.
   * @throws InvalidArgumentError when others can enter the directory.
   * @throws UnsupportedError (ERR_BOSUN_UNSUPPORTED) on Windows, BosunError (ERR_BOSUN_PEER) when the system refuses.
   */
  open(): Promise<void> {
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #open(): Promise<void> {
    if (this.isOpen) return;
    assertSocketPaths('a peer is a datagram socket of the Unix domain');
    if (this.#given === undefined) {
      this.#ownDirectory = removeAtExit(await makeSocketDirectory(`${this.name}.uxd`));
      this.#path = join(this.#ownDirectory, `${this.name}.uxd`);
    } else {
      await prepareSocketPath(this.#given);
      this.#path = this.#given;
    }
    const descriptor = native.bindDatagram(this.#path, this.#buffer);
    if (descriptor < 0) {
      const why = getSystemErrorName(descriptor);
      await this.#clear();
      throw new BosunError('ERR_BOSUN_PEER', `no peer can be made at ${this.path}: ${why}`);
    }
    if (this.#ownDirectory === undefined) removeAtExit(this.#path);
    this.#descriptor = descriptor;
    this.#outboxes = new Outboxes(descriptor);
    this.#listen();
  }

  /**
   * Sends a gram. What goes to a peer that has no room waits, in order, and what goes to others does not wait for it.
   *
   * @returns when the system has it; await it, to be slowed down to the pace of who reads.
   * @throws SizeError (ERR_BOSUN_SIZE) for more than 65 535 bytes, InvalidArgumentError for what is no path.
   * @throws PeerAbsentError (ERR_BOSUN_PEER_ABSENT) when nobody is there, or nobody any more; also when this peer is closed
   * before there was room.
   * @throws BosunError (ERR_BOSUN_PEER) when this peer is not open, or the system refuses.
   */
  send(data: Uint8Array | string, destination: string): Promise<void> {
    try {
      return this.#send(data, destination);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #send(data: Uint8Array | string, destination: string): Promise<void> {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    if (!(bytes instanceof Uint8Array)) throw new InvalidArgumentError('a gram is a string or bytes');
    if (bytes.byteLength > MAX_DATAGRAM) {
      throw new SizeError(`a gram of ${bytes.byteLength} bytes is too long: ${MAX_DATAGRAM} at most`);
    }
    checkPath(destination);
    if (this.#outboxes === undefined) throw new BosunError('ERR_BOSUN_PEER', `peer '${this.name}' is not open`);
    return this.#outboxes.send(bytes, destination);
  }

  /** Nothing is read for now: who sends to this peer has to wait when the system's buffer is full. */
  pause(): void {
    this.#isPaused = true;
    this.#watch?.close();
    this.#watch = undefined;
  }

  resume(): void {
    this.#isPaused = false;
    this.#listen();
  }

  /** An open peer keeps the process up, unless it is told not to. */
  ref(): this {
    this.#isHeld = true;
    this.#watch?.hold(true);
    return this;
  }

  unref(): this {
    this.#isHeld = false;
    this.#watch?.hold(false);
    return this;
  }

  /** Removes the socket, and the directory that was made for it. What has not been sent is rejected. */
  async close(): Promise<void> {
    await this.#opening?.catch(() => {});
    if (!this.isOpen) return;
    this.#watch?.close();
    this.#watch = undefined;
    this.#outboxes?.close(new PeerAbsentError(`peer '${this.name}' is closed`));
    this.#outboxes = undefined;
    native.closeDescriptor(this.#descriptor);
    this.#descriptor = -1;
    await this.#clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #clear(): Promise<void> {
    const made = this.#ownDirectory ?? this.#path;
    this.#ownDirectory = undefined;
    if (made === undefined) return;
    await rm(made, { recursive: true, force: true });
    keepAtExit(made);
  }

  #listen(): void {
    if (!this.isOpen || this.#isPaused || this.#watch !== undefined) return;
    this.#watch = native.watchSocket(this.#descriptor, SOCKET_READY.DATA, () => this.#read());
    this.#watch?.hold(this.#isHeld);
  }

  #read(): void {
    for (let i = 0; i < READ_AT_ONCE && this.isOpen && !this.#isPaused; i++) {
      const gram = native.receiveDatagram(this.#descriptor, memory);
      // Nothing more, or one that was too long: the system says so again if there is another.
      if (typeof gram === 'number') return;
      const [data, path, pid, uid] = gram;
      const source: GramSource = {
        path,
        pid: pid === -1 ? undefined : pid,
        uid: uid === -1 ? undefined : uid,
      };
      this.emit('gram', data, source);
    }
  }
}

/** An address of a peer. @throws InvalidArgumentError, SizeError */
export function checkPath(path: unknown): string {
  const text = checkAbsolute(path);
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_PATH_BYTES) {
    throw new SizeError(`the path of a socket has ${MAX_PATH_BYTES} bytes at most: ${text} has ${bytes}`);
  }
  return text;
}

function checkAbsolute(path: unknown): string {
  if (typeof path !== 'string' || !isAbsolute(path) || path.includes('\0')) {
    throw new InvalidArgumentError('the address of a peer is an absolute path');
  }
  return path;
}
