// A connection whose bytes are moved by Node's own sockets: TLS, and whatever else the native driver does not carry.

import { Socket } from 'node:net';
import { type NativeDispatcher, native } from '../native.js';

export class NetLine {
  readonly connection: number;
  readonly #reader: Socket;
  readonly #writer: Socket;
  readonly #isPaced: boolean;

  /**
   * The end of the connection is a record of the dispatcher, as everything else.
   *
   * @param turn is called when there may be something to read.
   * @param isPaced it is not read from while it does not read what it is sent.
   */
  constructor(
    dispatcher: NativeDispatcher,
    connection: number,
    reader: Socket,
    writer: Socket,
    turn: () => void,
    isPaced = false,
  ) {
    this.connection = connection;
    this.#reader = reader;
    this.#writer = writer;
    this.#isPaced = isPaced;
    for (const socket of new Set([reader, writer])) {
      socket.unref();
      // A dead peer is the end of the stream, however the system puts it.
      socket.on('error', () => {});
    }
    reader.on('data', (chunk: Buffer) => {
      dispatcher.receive(connection, chunk);
      turn();
    });
    reader.once('close', () => {
      writer.destroy();
      dispatcher.detach(connection);
      turn();
    });
  }

  /** @param descriptor of a stream socket; it is taken over. */
  static over(dispatcher: NativeDispatcher, connection: number, descriptor: number, turn: () => void): NetLine {
    // Two sockets over one connection: a worker that is gone makes writing fail, and what it had sent is still to be read.
    const writer = new Socket({ fd: native.duplicate(descriptor), readable: false, writable: true });
    const reader = new Socket({ fd: descriptor, readable: true, writable: false });
    return new NetLine(dispatcher, connection, reader, writer, turn);
  }

  write(bytes: Uint8Array): void {
    const writer = this.#writer;
    // It may have gone between the dispatch and this; its tasks are accounted for at its end.
    if (!writer.writable || writer.write(bytes) || !this.#isPaced || writer.isPaused()) return;
    // A peer that does not read its answers gets no more of them.
    writer.pause();
    writer.once('drain', () => writer.resume());
  }

  /** Ends it at once, whatever is left to read. */
  destroy(): void {
    this.#reader.destroy();
    this.#writer.destroy();
  }
}
