// What a worker has to say, on its way to the manager: in order, and to the last byte even if the process exits.

import type { Socket } from 'node:net';
import { native } from '../native.js';

/** A reader that takes nothing for so long, while this process exits, gets no more. */
const PATIENCE_MS = 1_000;

/** How much of the chunk that was handed over last has not been taken by the system; net.Socket itself asks for it. */
interface StreamHandle {
  readonly writeQueueSize?: number;
}

export class Outbox {
  readonly #descriptor: number;
  readonly #socket: Socket;
  /** Handed to the socket and not confirmed: one chunk at a time, so that it is known what is left of it. */
  #inFlight: Buffer | undefined;
  #waiting: Buffer[] = [];

  constructor(descriptor: number, socket: Socket) {
    this.#descriptor = descriptor;
    this.#socket = socket;
  }

  /**
   * Writes a chunk that nobody changes any more: at once, as far as the system has room. The next task may never let the
   * event loop turn, and the socket itself takes one write a turn.
   */
  write(chunk: Buffer): void {
    if (this.#inFlight !== undefined) {
      this.#waiting.push(chunk);
      return;
    }
    const written = native.writeSome(this.#descriptor, chunk);
    if (written < chunk.byteLength) this.#send(chunk.subarray(written));
  }

  #send(chunk: Buffer): void {
    if (this.#socket.destroyed) return;
    this.#inFlight = chunk;
    this.#socket.write(chunk, () => {
      this.#inFlight = undefined;
      if (this.#waiting.length > 0) this.#send(Buffer.concat(this.#waiting.splice(0)));
    });
  }

  /** Resolves when the system has taken everything, or the manager is gone. */
  end(): Promise<void> {
    if (this.#socket.destroyed) return Promise.resolve();
    if (this.#waiting.length > 0) this.#socket.write(Buffer.concat(this.#waiting.splice(0)));
    return new Promise((resolve) => {
      this.#socket.once('close', () => resolve());
      this.#socket.end(() => resolve());
    });
  }

  /** For a process that is about to exit, whose event loop will not turn again. */
  writeSync(chunk: Buffer): void {
    if (this.#socket.destroyed) return;
    const rest = [...this.#waiting.splice(0), chunk];
    if (this.#inFlight !== undefined) {
      const { _handle: handle } = this.#socket as unknown as { readonly _handle: StreamHandle | null };
      const left = Math.min(handle?.writeQueueSize ?? 0, this.#inFlight.byteLength);
      rest.unshift(this.#inFlight.subarray(this.#inFlight.byteLength - left));
    }
    native.writeFully(this.#descriptor, Buffer.concat(rest), PATIENCE_MS);
  }
}
