// A worker's end of the connection to its manager: frames in and out, in batches.

import { Socket } from 'node:net';
import { ManagerClosedError } from '../errors.js';
import { type NativeFrameDecoder, native } from '../native.js';
import { CloseRequest } from '../task/manager.js';
import type { TaskPolicy } from '../task/policy.js';
import { ByteWriter, getU32, putU32 } from '../wire/byte-writer.js';
import {
  checkFrameSize,
  DEFAULT_MAX_FRAME_BYTES,
  DONE_FIELDS,
  decodeChunk,
  FRAME,
  SCHEDULE_FIELDS,
  TASK_FIELDS,
  TASK_FOREIGN,
} from '../wire/frame.js';
import { Outbox } from './outbox.js';

/** A task as it arrived. */
export interface Job {
  readonly sequence: number;
  readonly attempt: number;
  readonly id: number;
  /** Its bytes come from a listening socket of the manager. */
  readonly foreign: boolean;
  /** The task's spec, encoded: `bytes` from `start` to `end`, a chunk of the socket that is never written to again. */
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** How a task ended, as in native/frame/frame.h. */
export const DONE_STATUS = { VALUE: 0, ERROR: 1, CANCELLED: 2 } as const;

/** Batches are written when they reach this size, even while tasks wait. */
const FLUSH_BYTES = 48 * 1024;

interface Receipt {
  readonly number: number;
  readonly resolve: () => void;
  readonly reject: (reason: Error) => void;
}

export class Link {
  readonly #socket: Socket;
  readonly #outbox: Outbox;
  // The manager has checked what it sends.
  readonly #decoder: NativeFrameDecoder = new native.FrameDecoder(Number.MAX_SAFE_INTEGER);
  readonly #out = new ByteWriter();
  #jobs: Job[] = [];
  #head = 0;
  #close: CloseRequest | undefined;
  #wake: (() => void) | undefined;
  #flushQueued = false;
  #messages = 0;
  #receipts: Receipt[] = [];

  /** The longest body that the manager accepts; known from its hello on. */
  maxFrameBytes = DEFAULT_MAX_FRAME_BYTES;
  /** Called with the sequence number of a task that is to stop, and why (see STOP_REASON). */
  onCancel: (sequence: number, reason: number) => void = () => {};
  /** Called once, as soon as the manager asks this worker to finish or is gone. */
  onClose: (request: CloseRequest) => void = () => {};
  /** Called with the manager's hello. */
  onHello: (configuration: Uint8Array) => void = () => {};

  constructor(descriptor: number) {
    const socket = new Socket({ fd: descriptor, readable: true, writable: true });
    this.#socket = socket;
    this.#outbox = new Outbox(descriptor, socket);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    // A manager that is gone says so by the end of the stream; the error before it, if any, adds nothing.
    socket.on('error', () => {});
    socket.on('close', () => this.#requestClose(new CloseRequest(true)));
  }

  get closing(): CloseRequest | undefined {
    return this.#close;
  }

  /** Bytes that wait for company. */
  get pending(): number {
    return this.#out.length;
  }

  /** The next task that has arrived, if any. */
  shift(): Job | undefined {
    const job = this.#jobs[this.#head];
    if (job === undefined) return undefined;
    this.#head += 1;
    if (this.#head === this.#jobs.length) {
      this.#jobs = [];
      this.#head = 0;
    }
    return job;
  }

  /** Resolves when `shift` may give a task, or when the worker is to close. */
  async arrival(): Promise<void> {
    if (this.#head < this.#jobs.length || this.#close !== undefined) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  hello(pid: number): void {
    const body = this.#out.frame(FRAME.HELLO, 8, new Uint8Array(0));
    putU32(this.#out.buffer, body, 1);
    putU32(this.#out.buffer, body + 4, pid);
    this.flush();
  }

  /** There was nothing to begin: the manager has taken it all back. */
  idle(): void {
    this.#out.frame(FRAME.NEXT, 0, new Uint8Array(0));
    this.flush();
  }

  startFailed(error: Uint8Array): void {
    this.#out.frame(FRAME.START_FAILED, 0, error);
    this.flush();
  }

  done(sequence: number, status: number, runUs: number, payload: Uint8Array): void {
    const body = this.#out.frame(FRAME.DONE, DONE_FIELDS, payload);
    const { buffer } = this.#out;
    putU32(buffer, body, sequence);
    buffer[body + 4] = status;
    putU32(buffer, body + 5, Math.min(runUs, 0xffffffff));
    if (this.#out.length >= FLUSH_BYTES) this.flush();
  }

  /** @throws FrameTooLargeError (ERR_BOSUN_FRAME_TOO_LARGE) */
  schedule(level: number, number: number, policy: TaskPolicy, payload: Uint8Array): void {
    checkFrameSize('the task', TASK_FIELDS + payload.byteLength, this.maxFrameBytes);
    const body = this.#out.frame(FRAME.SCHEDULE + level, SCHEDULE_FIELDS, payload);
    const { buffer } = this.#out;
    putU32(buffer, body, number);
    putU32(buffer, body + 4, policy.timeoutMs);
    putU32(buffer, body + 8, policy.deadlineMs);
    buffer[body + 12] = policy.maxRetries;
    buffer[body + 13] = policy.maxRetries >>> 8;
    buffer[body + 14] = policy.maxCrashes;
    buffer[body + 15] = policy.flags;
    this.#queueFlush();
  }

  /** Resolves when the manager has accepted it. @throws FrameTooLargeError (ERR_BOSUN_FRAME_TOO_LARGE) */
  message(payload: Uint8Array): Promise<void> {
    checkFrameSize('the message', payload.byteLength, this.maxFrameBytes);
    if (this.#socket.destroyed) return Promise.reject(new ManagerClosedError('the manager is gone'));
    this.#out.frame(FRAME.MESSAGE, 0, payload);
    this.#queueFlush();
    this.#messages = (this.#messages + 1) >>> 0;
    const number = this.#messages;
    const accepted = new Promise<void>((resolve, reject) => {
      this.#receipts.push({ number, resolve, reject });
    });
    // Not every sender waits; a manager that goes away is no unhandled rejection of theirs.
    accepted.catch(() => {});
    return accepted;
  }

  /** Writes what has been collected. */
  flush(): void {
    if (this.#out.length > 0) this.#outbox.write(this.#out.take());
  }

  /** The last chance of a process that is about to exit: what tasks have finished and sent must not go with it. */
  flushSync(): void {
    this.#outbox.writeSync(this.#out.take());
  }

  /** Writes everything and ends the stream; resolves when the system has taken the last byte. */
  end(): Promise<void> {
    this.flush();
    return this.#outbox.end();
  }

  #receive(chunk: Buffer): void {
    decodeChunk(this.#decoder, chunk, this.#onFrame);
    const wake = this.#wake;
    if (wake !== undefined && (this.#head < this.#jobs.length || this.#close !== undefined)) {
      this.#wake = undefined;
      wake();
    }
  }

  readonly #onFrame = (type: number, bytes: Uint8Array, start: number, end: number): void => {
    switch (type) {
      case FRAME.TASK:
        this.#jobs.push({
          sequence: getU32(bytes, start),
          attempt: getU32(bytes, start + 4) & 0xffff,
          foreign: ((bytes[start + 6] as number) & TASK_FOREIGN) !== 0,
          id: getU32(bytes, start + 8) + getU32(bytes, start + 12) * 2 ** 32,
          bytes,
          start: start + TASK_FIELDS,
          end,
        });
        break;
      case FRAME.ACCEPTED:
        this.#accept(getU32(bytes, start));
        break;
      case FRAME.CANCEL:
        this.onCancel(getU32(bytes, start), bytes[start + 4] as number);
        break;
      case FRAME.CLOSE:
        this.#requestClose(new CloseRequest(bytes[start] === 1));
        break;
      case FRAME.HELLO:
        this.onHello(bytes.subarray(start, end));
        break;
      default:
        // A newer manager may say more than this worker understands; nothing of it concerns a task.
        break;
    }
  };

  #accept(upTo: number): void {
    let count = 0;
    // The numbers wrap at 2^32; a difference does not.
    while (count < this.#receipts.length && ((upTo - (this.#receipts[count] as Receipt).number) | 0) >= 0) count++;
    for (const receipt of this.#receipts.splice(0, count)) receipt.resolve();
  }

  #requestClose(request: CloseRequest): void {
    const first = this.#close === undefined;
    if (first || (request.abort && this.#close?.abort === false)) {
      this.#close = request;
      this.onClose(request);
    }
    if (this.#socket.destroyed) {
      const gone = new ManagerClosedError('the manager is gone');
      for (const receipt of this.#receipts.splice(0)) receipt.reject(gone);
    }
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Messages and schedules of a task that awaits something leave in the next microtask, not at its end. */
  #queueFlush(): void {
    if (this.#out.length >= FLUSH_BYTES) this.flush();
    if (this.#flushQueued) return;
    this.#flushQueued = true;
    queueMicrotask(() => {
      this.#flushQueued = false;
      this.flush();
    });
  }
}
