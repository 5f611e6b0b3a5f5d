// Messages between a worker and its owner, in order: over a stream as frames, between threads as they are.

import type { Duplex } from 'node:stream';
import type { MessagePort, Worker as Thread, TransferListItem } from 'node:worker_threads';
import { DataCloneError } from '../errors.js';
import { decodeError, encodeError } from './error-codec.js';
import { decodeForeign, encodeForeign } from './foreign.js';
import { checkFrameSize, DEFAULT_MAX_FRAME_BYTES, encodeFrame, FrameDecoder } from './frame.js';
import { decodePayload, encodePayload } from './payload.js';
import { decodePlainError, encodePlainError } from './plain-error.js';
import { LONG_BYTES, Turn } from './turn.js';

/** What a worker and its owner say to each other; one value goes with each. */
export const SAY = {
  /** Owner to worker: what to run. */
  START: 0x68,
  /** To a server: a context, which workers may be in. To a worker: what lies under its arguments. */
  CONTEXT: 0x6e,
  /** To a server: this connection carries nothing, and tells by its loss that the host of a worker's client is gone. */
  LIFELINE: 0x6c,
  /** To a server: no worker, but its own end, if it lets clients say so. */
  NONE: 0x6f,
  /** Worker to owner: where it is. */
  STARTED: 0x68,
  /** Owner to worker: an input of a persistent one. */
  INPUT: 0x69,
  /** Owner to worker: what a persistent one may use before it ends by itself, behind an input. */
  LIMITS: 0x6d,
  /** Owner to worker: no more inputs. */
  CLOSE: 0x63,
  /** Owner to worker: stop what runs. */
  STOP: 0x78,
  /** Owner to worker: so many more values may be sent. */
  ROOM: 0x61,
  /** Worker to owner: a value that a generator has yielded. */
  VALUE: 0x76,
  /** Owner to worker: a message for the target. */
  LETTER: 0x64,
  /** Worker to owner: how far the target has come. */
  PROGRESS: 0x72,
  /** Worker to owner: what became of an input. */
  DONE: 0x74,
  /** Worker to owner: it is over; nothing follows. */
  END: 0x65,
  /** Owner to the server of a remote worker: by force. */
  KILL: 0x6b,
  /** The server of a remote worker to its owner: how its process ended. */
  EXIT: 0x71,
  /** The server to a client that it does not read from for a while; it means nothing. */
  PING: 0x70,
  /** Between threads: messages as frames, of which a stream needs no notice. */
  FRAMES: 0x66,
} as const;

/** A host that has lost its power closes nothing: the kernel asks after so long a silence, and gives up 10 s later. */
export const KEEP_ALIVE_MS = 5_000;

const VANISHED = new Set(['ETIMEDOUT', 'EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH']);

/** A connection ended because the other host is not there any more; an end or a reset comes from one that is. */
export function hasVanished(error: Error | undefined): boolean {
  return VANISHED.has((error as NodeJS.ErrnoException | undefined)?.code ?? '');
}

/** One end of a conversation. Set `onMessage` and `onEnd` in the turn in which it is made. */
export interface Line {
  onMessage: (type: number, value: unknown) => void;
  /** Called once, when nothing more can come; `error` when that is the other end's fault. */
  onEnd: (error?: Error) => void;
  /**
   * Sends a message, or nothing when the other end is gone.
   *
   * @param transfer moved instead of copied, between threads.
   * @throws DataCloneError (ERR_BOSUN_DATA_CLONE), FrameTooLargeError
   */
  send(type: number, value?: unknown, transfer?: readonly TransferListItem[]): void;
  /** The same at the end of this turn, in one piece with all that is sent so; for many short messages. */
  sendSoon(type: number, value: unknown): void;
  /** What was thrown, for a message. */
  encodeError(error: unknown): Uint8Array;
  decodeError(bytes: Uint8Array): unknown;
  /** Resolves when the other end has taken most of what was sent. */
  drained(): Promise<void>;
  /** Hangs up. */
  destroy(): void;
}

/** How values travel on a stream. */
interface Codec {
  encode(value: unknown): Uint8Array;
  decode(payload: Uint8Array): unknown;
  encodeError(error: unknown): Uint8Array;
  decodeError(bytes: Uint8Array): unknown;
}

/** Between processes of one user on one host. */
const OWN: Codec = {
  encode: encodePayload,
  decode: (payload) => decodePayload(payload),
  encodeError: (error) => Uint8Array.from(encodeError(error)),
  decodeError: (bytes) => decodeError(bytes),
};

/** Between hosts. */
const FOREIGN: Codec = {
  encode: encodeForeign,
  decode: (payload) => decodeForeign(payload, 0, payload.byteLength),
  encodeError: encodePlainError,
  decodeError: decodePlainError,
};

export interface StreamLineOptions {
  /** The other end is on another host: plain values only. */
  readonly isForeign?: boolean;
  readonly maxFrameBytes?: number;
  /** Somebody else reads from the stream. */
  readonly isWriteOnly?: boolean;
}

/** Over a socket. */
export class StreamLine implements Line {
  readonly #stream: Duplex;
  readonly #codec: Codec;
  readonly #decoder: FrameDecoder;
  readonly #maxFrameBytes: number;
  #drained: Promise<void> | undefined;
  readonly #turn = new Turn((frames) => {
    if (this.#isOpen) this.#stream.write(frames);
  });
  onMessage: (type: number, value: unknown) => void = () => {};
  onEnd: (error?: Error) => void = () => {};
  /** Sees every message first; true when it was meant for it. */
  filter: (type: number, value: unknown) => boolean = () => false;

  constructor(
    stream: Duplex,
    { isForeign = false, maxFrameBytes = DEFAULT_MAX_FRAME_BYTES, isWriteOnly = false }: StreamLineOptions = {},
  ) {
    this.#stream = stream;
    this.#codec = isForeign ? FOREIGN : OWN;
    this.#maxFrameBytes = maxFrameBytes;
    this.#decoder = new FrameDecoder({ maxFrameBytes });
    let failure: Error | undefined;
    if (!isWriteOnly) stream.on('data', (chunk: Buffer) => this.#read(chunk));
    stream.on('error', (error) => {
      failure = error;
    });
    stream.once('close', () => this.onEnd(failure));
  }

  #read(chunk: Buffer): void {
    try {
      for (const { type, payload } of this.#decoder.push(chunk)) {
        const value = payload.byteLength === 0 ? undefined : this.#codec.decode(payload);
        if (!this.filter(type, value)) this.onMessage(type, value);
      }
    } catch (error) {
      this.#stream.destroy(error as Error);
    }
  }

  send(type: number, value?: unknown): void {
    if (!this.#isOpen) return;
    const frame = this.#frameOf(type, value);
    this.#turn.flush();
    this.#stream.write(frame);
  }

  sendSoon(type: number, value: unknown): void {
    if (this.#isOpen) this.#turn.add(this.#frameOf(type, value));
  }

  /** A message of another line, as it came. False when it is to wait for `drained`. */
  sendEncoded(type: number, payload: Uint8Array): boolean {
    return !this.#isOpen || this.#stream.write(encodeFrame(type, payload));
  }

  get #isOpen(): boolean {
    return !this.#stream.destroyed && !this.#stream.writableEnded;
  }

  #frameOf(type: number, value: unknown): Uint8Array {
    const payload = value === undefined ? undefined : this.#codec.encode(value);
    checkFrameSize('the message', payload?.byteLength ?? 0, this.#maxFrameBytes);
    return encodeFrame(type, payload);
  }

  encodeError(error: unknown): Uint8Array {
    return this.#codec.encodeError(error);
  }

  decodeError(bytes: Uint8Array): unknown {
    return this.#codec.decodeError(bytes);
  }

  drained(): Promise<void> {
    const stream = this.#stream;
    if (!stream.writableNeedDrain || stream.destroyed) return Promise.resolve();
    // One for all who wait.
    this.#drained ??= new Promise((resolve) => {
      const settle = () => {
        stream.off('drain', settle);
        stream.off('close', settle);
        this.#drained = undefined;
        resolve();
      };
      stream.on('drain', settle);
      stream.on('close', settle);
    });
    return this.#drained;
  }

  /** Lets what was sent arrive, then hangs up. */
  end(): Promise<void> {
    this.#turn.flush();
    return new Promise((resolve) => {
      if (this.#stream.destroyed) resolve();
      else {
        this.#stream.once('close', resolve);
        this.#stream.end(resolve);
      }
    });
  }

  destroy(): void {
    this.#stream.destroy();
  }
}

/** A message that was encoded has bytes; others are structured clones. */
type Post = readonly [type: number, bytes: Uint8Array | undefined, value?: unknown];

/** Between a thread and its owner. */
export class PortLine implements Line {
  readonly #port: MessagePort | Thread;
  readonly #decoder = new FrameDecoder();
  readonly #turn = new Turn((frames) => this.#port.postMessage([SAY.FRAMES, frames], [frames.buffer as ArrayBuffer]));
  onMessage: (type: number, value: unknown) => void = () => {};
  onEnd: (error?: Error) => void = () => {};

  constructor(port: MessagePort | Thread) {
    this.#port = port;
    port.on('message', (post: Post) => this.#read(post));
    // A port is closed; a thread exits.
    port.once('close', () => this.onEnd());
    port.once('exit', () => this.onEnd());
  }

  #read([type, bytes, value]: Post): void {
    if (bytes === undefined) this.onMessage(type, value);
    else if (type !== SAY.FRAMES) this.onMessage(type, decodePayload(bytes, 0, bytes.byteLength, true));
    else for (const frame of this.#decoder.push(bytes)) this.onMessage(frame.type, decodePayload(frame.payload));
  }

  send(type: number, value?: unknown, transfer: readonly TransferListItem[] = []): void {
    this.#turn.flush();
    if (transfer.length > 0 || value === undefined) {
      this.#port.postMessage([type, undefined, value] satisfies Post, transfer);
      return;
    }
    try {
      // So that errors and Buffers arrive as they do in a process.
      const bytes = Uint8Array.from(encodePayload(value));
      this.#port.postMessage([type, bytes] satisfies Post, [bytes.buffer]);
    } catch (error) {
      if (!(error instanceof DataCloneError)) throw error;
      this.#sendClone(type, value, error);
    }
  }

  sendSoon(type: number, value: unknown): void {
    try {
      const payload = encodePayload(value);
      // Who owns the bytes of long Buffers need not copy them.
      if (payload.byteLength < LONG_BYTES) {
        this.#turn.add(encodeFrame(type, payload));
        return;
      }
    } catch {
      // Sent otherwise, or refused, below.
    }
    this.send(type, value);
  }

  /** Shared memory can only be sent so. */
  #sendClone(type: number, value: unknown, refusal: Error): void {
    try {
      this.#port.postMessage([type, undefined, value] satisfies Post);
    } catch {
      throw refusal;
    }
  }

  encodeError(error: unknown): Uint8Array {
    return OWN.encodeError(error);
  }

  decodeError(bytes: Uint8Array): unknown {
    return OWN.decodeError(bytes);
  }

  drained(): Promise<void> {
    return Promise.resolve();
  }

  destroy(): void {
    if ('close' in this.#port) this.#port.close();
  }
}
