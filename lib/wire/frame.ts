// The wire format's public face: a frame is a 9-byte header (type u8, body length u64 little-endian) and the body.

import { ConnectionResetError, FrameTooLargeError, InvalidArgumentError, OutOfRangeError } from '../errors.js';
import { ASSEMBLED, type NativeFrameDecoder, native } from '../native.js';
import { integer, ownOptions } from '../own-options.js';

/** The types of frames. A type of `SCHEDULE + p` schedules a task at priority `p`, 0 to 127. */
export const FRAME = {
  /** Both ways: who is speaking, and how the worker is to be set up. */
  HELLO: 0x68,
  /** Worker to manager: idle, next please. */
  NEXT: 0x6e,
  /** Manager to worker: a task. */
  TASK: 0x74,
  /** Worker to manager: done, next please. */
  DONE: 0x74,
  /** Worker to manager: a message for the inbox. Manager to worker: that message is accepted. */
  MESSAGE: 0x6d,
  /** Manager to worker: the scheduled task is accepted. */
  SCHEDULED: 0x73,
  /** Manager to worker: messages accepted so far. */
  ACCEPTED: 0x6b,
  /** Manager to worker: stop this task. Worker to manager: one that it has scheduled. */
  CANCEL: 0x78,
  /** Worker to manager: the result of a task that it has scheduled is wanted. */
  AWAIT: 0x77,
  /** Worker to manager: how far a task has come. Manager to worker: the same of one that was scheduled there. */
  PROGRESS: 0x70,
  /** Manager to worker: something that was sent to a task. Worker to manager: the same, to one that it has scheduled. */
  LETTER: 0x64,
  /** Manager to worker: how that task ended. */
  RESULT: 0x72,
  /** Manager to worker: finish. */
  CLOSE: 0x63,
  /** First frame between a manager and a worker on another host, see wire/first-frame.ts. */
  JOIN: 0x77,
  /** Of a remote worker only. Manager to its host: send it this signal. */
  SIGNAL: 0x7a,
  /** Its host to the manager: how its process has ended. */
  EXIT: 0x71,
  /** Its host to the manager: it wants to leave, and gets a CLOSE. */
  LEAVE: 0x63,
  /** Worker to manager: it could not be set up. */
  START_FAILED: 0x65,
  /** Worker to manager, plus the priority. */
  SCHEDULE: 0x80,
} as const;

/** Type and length. */
export const HEADER_BYTES = 9;

/** Frames declared larger than this are refused unless a manager is told otherwise: 256 MiB. */
export const DEFAULT_MAX_FRAME_BYTES = 256 * 1024 * 1024;

/** The fixed fields at the beginning of bodies between a manager and its own workers, see native/frame/frame.h. */
export const TASK_FIELDS = 16;
export const DONE_FIELDS = 9;
export const SCHEDULE_FIELDS = 20;
export const RESULT_FIELDS = 12;
export const NUMBER_FIELDS = 4;
/** To a worker: the number, and 1 for a payload that comes from another host. */
export const LETTER_FIELDS = 5;

/** How a scheduled task ended. */
export const RESULT_STATUS = {
  VALUE: 0,
  ERROR: 1,
  CANCELLED: 2,
  LOST: 3,
  TIMEOUT: 4,
  DEADLINE: 5,
  DEADLOCK: 6,
  UNKNOWN: 7,
} as const;

/** A flag of a task's frame: its bytes come from a listening socket. */
export const TASK_FOREIGN = 1;

/** A flag of a frame that schedules a task, beside those of its policy: the task that says so waits for its result. */
export const SCHEDULE_AWAITED = 2;

/** @throws FrameTooLargeError (ERR_BOSUN_FRAME_TOO_LARGE) before anything of `what` is sent. */
export function checkFrameSize(what: string, bytes: number, maxFrameBytes: number): void {
  if (bytes <= maxFrameBytes) return;
  throw new FrameTooLargeError(
    `${what} is ${bytes} bytes long and maxFrameBytes is ${maxFrameBytes}: raise it, or send a path instead of the data`,
  );
}

/** One frame, decoded. */
export interface Frame {
  readonly type: number;
  /** A view on the chunk that was pushed when the frame lay whole in it; copy it to keep it apart. */
  readonly payload: Uint8Array;
}

/** Writes a header at `offset` of `target` and returns the offset behind it. */
export function putHeader(target: Uint8Array, offset: number, type: number, length: number): number {
  target[offset] = type;
  // Number arithmetic, not bits: a length may be beyond 32 bits.
  let rest = length;
  for (let i = 1; i < HEADER_BYTES; i++) {
    target[offset + i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return offset + HEADER_BYTES;
}

/**
 * One frame as bytes.
 *
 * @param type 0 to 255, see FRAME.
 * @throws OutOfRangeError (ERR_BOSUN_OUT_OF_RANGE) for any other type.
 */
export function encodeFrame(type: number, payload: Uint8Array = new Uint8Array(0)): Uint8Array {
  if (!Number.isInteger(type) || type < 0 || type > 0xff) {
    throw new OutOfRangeError(`a frame's type is an integer from 0 to 255, not ${String(type)}`);
  }
  if (!(payload instanceof Uint8Array)) throw new InvalidArgumentError('a payload is a Uint8Array');
  const frame = new Uint8Array(HEADER_BYTES + payload.byteLength);
  frame.set(payload, putHeader(frame, 0, type, payload.byteLength));
  return frame;
}

/** Bytes that one call of the native decoder takes; net gives no larger chunks. */
const SLICE_BYTES = 64 * 1024;

/** Room for every frame of a slice, were all of them empty. Shared: it is read before the next call. */
const table = new Uint32Array(3 * (Math.ceil(SLICE_BYTES / HEADER_BYTES) + 1));

/**
 * Calls `take` for each frame that `chunk` completes; the body is `bytes` from `start` to `end`. A range costs less than a
 * view.
 */
function decodeChunk(
  decoder: NativeFrameDecoder,
  chunk: Uint8Array,
  take: (type: number, bytes: Uint8Array, start: number, end: number) => void,
): void {
  for (let start = 0; start < chunk.byteLength; start += SLICE_BYTES) {
    const slice = chunk.byteLength <= SLICE_BYTES ? chunk : chunk.subarray(start, start + SLICE_BYTES);
    const count = decoder.push(slice, table);
    if (count < 0) {
      throw new FrameTooLargeError(
        `a frame of ${decoder.declared()} bytes was declared, which is above maxFrameBytes; close this connection`,
      );
    }
    // Copied out first: `take` may decode other bytes.
    const entries = table.slice(0, 3 * count);
    for (let i = 0; i < entries.length; i += 3) {
      const type = entries[i] as number;
      const offset = entries[i + 1] as number;
      const length = entries[i + 2] as number;
      if (offset === ASSEMBLED) take(type, decoder.takeAssembled(), 0, length);
      else take(type, slice, offset, offset + length);
    }
  }
}

/**
 * An incremental decoder: takes bytes cut anywhere, yields whole frames.
 *
 * @example
 * const decoder = new FrameDecoder();
 * for await (const chunk of socket) for (const { type, payload } of decoder.push(chunk)) handle(type, payload);
 * decoder.end();
 */
export class FrameDecoder {
  readonly #native: NativeFrameDecoder;

  /** @param options.maxFrameBytes the longest body that is accepted; 256 MiB unless given. */
  constructor(options: { readonly maxFrameBytes?: number } = {}) {
    const { maxFrameBytes = DEFAULT_MAX_FRAME_BYTES } = ownOptions(options, 'the options of a FrameDecoder');
    integer('maxFrameBytes', maxFrameBytes, 0, Number.MAX_SAFE_INTEGER);
    this.#native = new native.FrameDecoder(maxFrameBytes);
  }

  /**
   * The frames that this chunk completes, in order.
   *
   * @throws FrameTooLargeError (ERR_BOSUN_FRAME_TOO_LARGE) as soon as a header declares too much; nothing was allocated
   * for it. The decoder is of no more use then.
   */
  push(chunk: Uint8Array): Frame[] {
    if (!(chunk instanceof Uint8Array)) throw new InvalidArgumentError('a chunk is a Uint8Array');
    const frames: Frame[] = [];
    decodeChunk(this.#native, chunk, (type, bytes, start, end) => {
      frames.push({ type, payload: bytes.subarray(start, end) });
    });
    return frames;
  }

  /**
   * To be called at the end of the stream.
   *
   * @throws ConnectionResetError (ERR_BOSUN_CONNECTION_RESET) inside a header or a body.
   */
  end(): void {
    if (!this.#native.atBoundary()) {
      throw new ConnectionResetError('the stream ended inside a frame: the peer closed the connection or died');
    }
  }
}
