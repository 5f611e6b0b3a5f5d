// A growing buffer that many small records are appended to and that leaves as one.

import { HEADER_BYTES, putHeader } from './frame.js';

const FIRST_BYTES = 64 * 1024;
const MAX_SPARE_BYTES = 64 * 1024 * 1024;

/** Appends records; the caller writes at `reserve()`'s offset into `buffer`, at once: both may change with the next call. */
export class ByteWriter {
  buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #start = 0;
  #end = 0;

  /** Bytes appended and not taken. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Room for `bytes` more; the offset where they begin in `buffer`. */
  reserve(bytes: number): number {
    const offset = this.#end;
    if (offset + bytes <= this.buffer.byteLength) {
      this.#end += bytes;
      return offset;
    }
    const pending = this.buffer.subarray(this.#start, offset);
    const needed = pending.byteLength + bytes;
    // Doubled while that is little: twice a huge one would be more than a Buffer can be.
    const grown = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, Math.min(2 * needed, needed + MAX_SPARE_BYTES)));
    grown.set(pending);
    this.buffer = grown;
    this.#start = 0;
    this.#end = needed;
    return pending.byteLength;
  }

  /** Appends a frame: its header, `fields` bytes for the caller to fill, and the payload. Returns the fields' offset. */
  frame(type: number, fields: number, payload: Uint8Array): number {
    const length = fields + payload.byteLength;
    const offset = this.reserve(HEADER_BYTES + length);
    const body = putHeader(this.buffer, offset, type, length);
    this.buffer.set(payload, body + fields);
    return body;
  }

  /** What was appended; it is never written to again, so it may wait in a socket. */
  take(): Buffer {
    const taken = this.buffer.subarray(this.#start, this.#end);
    this.#start = this.#end;
    return taken;
  }

  /** What was appended, for a reader that is done with it before the next call; the memory is used again. */
  drain(): Buffer {
    const drained = this.buffer.subarray(this.#start, this.#end);
    this.#start = 0;
    this.#end = 0;
    if (this.buffer.byteLength > 16 * FIRST_BYTES) this.buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
    return drained;
  }
}

/** Stores an unsigned 32-bit integer, little-endian, without the checks of Buffer's own methods. */
export function putU32(target: Uint8Array, offset: number, value: number): void {
  target[offset] = value;
  target[offset + 1] = value >>> 8;
  target[offset + 2] = value >>> 16;
  target[offset + 3] = value >>> 24;
}

/** Loads an unsigned 32-bit integer, little-endian. */
export function getU32(source: Uint8Array, offset: number): number {
  return (
    ((source[offset] as number) |
      ((source[offset + 1] as number) << 8) |
      ((source[offset + 2] as number) << 16) |
      ((source[offset + 3] as number) << 24)) >>>
    0
  );
}
