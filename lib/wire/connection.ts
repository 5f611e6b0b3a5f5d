// A stream over a connected socket that the addon has opened, or that this process has inherited.

import { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { type NativeWatch, native, SOCKET_READY } from '../native.js';

/** What both kinds have. */
export interface Connection extends Duplex {
  /** Keeps the process up while it is open, as it does from the beginning on. */
  ref(): this;
  unref(): this;
}

/** @param socket becomes the stream's own. */
export function connectionOver(socket: number): Connection {
  return process.platform === 'win32'
    ? new SocketStream(socket)
    : new Socket({ fd: socket, readable: true, writable: true });
}

/** @param descriptor was inherited; it becomes the stream's own. */
export function inheritedConnection(descriptor: number): Connection {
  return connectionOver(native.toSocket(descriptor));
}

/** Read at once. */
const READ_BYTES = 64 * 1024;

/** Node's own class takes over pipes only, on Windows. */
class SocketStream extends Duplex implements Connection {
  readonly #socket: number;
  readonly #watch: NativeWatch;
  readonly #memory = Buffer.allocUnsafeSlow(READ_BYTES);
  #awaited = 0;
  #unsent: Buffer | undefined;
  #sent: (error?: Error) => void = () => {};

  constructor(socket: number) {
    // The end of what comes is the end of it, as of any socket unless it is told otherwise.
    super({ allowHalfOpen: false });
    this.#socket = socket;
    const watch = native.watchSocket(socket, 0, (ready) => this.#onReady(ready));
    if (watch === undefined) throw new Error('the socket cannot be watched');
    this.#watch = watch;
  }

  ref(): this {
    this.#watch.hold(true);
    return this;
  }

  unref(): this {
    this.#watch.hold(false);
    return this;
  }

  #await(events: number): void {
    if (events === this.#awaited) return;
    this.#awaited = events;
    this.#watch.await(events);
  }

  #onReady(ready: number): void {
    if ((ready & SOCKET_READY.ROOM) !== 0) this.#flush();
    if ((ready & SOCKET_READY.DATA) !== 0 && !this.destroyed) this.#receive();
  }

  #receive(): void {
    const got = native.receiveSome(this.#socket, this.#memory);
    if (got === 0) return;
    const chunk = got < 0 ? null : Buffer.from(this.#memory.subarray(0, got));
    // There may be more: the loop says so, as long as it is wanted.
    if (!this.push(chunk)) this.#await(this.#awaited & ~SOCKET_READY.DATA);
  }

  #flush(): void {
    while (this.#unsent !== undefined) {
      const sent = native.sendSome(this.#socket, this.#unsent);
      if (sent === 0) {
        this.#await(this.#awaited | SOCKET_READY.ROOM);
        return;
      }
      const isAll = sent < 0 || sent === this.#unsent.byteLength;
      this.#unsent = isAll ? undefined : this.#unsent.subarray(sent);
      if (!isAll) continue;
      this.#await(this.#awaited & ~SOCKET_READY.ROOM);
      this.#sent(sent < 0 ? Object.assign(new Error('nobody reads any more'), { code: 'EPIPE' }) : undefined);
    }
  }

  override _read(): void {
    this.#await(this.#awaited | SOCKET_READY.DATA);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    if (chunk.byteLength === 0) {
      callback();
      return;
    }
    this.#unsent = chunk;
    this.#sent = callback;
    this.#flush();
  }

  override _final(callback: (error?: Error | null) => void): void {
    native.endSocket(this.#socket);
    callback();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#watch.close();
    native.closeSocket(this.#socket);
    callback(error);
  }
}
