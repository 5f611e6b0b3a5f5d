// Payloads of many values in one buffer, each behind fixed fields, encoded where they lie: no view, no copy.

import { RESERVE_START_SPACE, REUSE_BUFFER_MODE } from 'msgpackr/pack';
import { isPlainPayload, newCodec, PLAIN } from './payload.js';

const BUFFER_BYTES = 64 * 1024;

/** What msgpackr can leave free before a value. */
const MAX_RESERVED = 255;

/** It starts each value at a multiple of this. */
const ALIGNMENT = 8;

/** As msgpackr gives it back: the buffer itself, and where in it the value lies. */
type Packed = Buffer<ArrayBuffer> & { readonly start: number; readonly end: number };

export class PayloadWriter {
  readonly #fields: number;
  readonly #full: (records: Buffer) => void;
  readonly #codec = newCodec();
  #end = 0;

  /** Where the caller writes the fields of what was appended last, at once: it may change with the next call. */
  buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);

  /**
   * @param fields bytes before each payload, that the caller writes.
   * @param full takes all records before the one that does not fit any more; the memory is used again.
   */
  constructor(fields: number, full: (records: Buffer) => void) {
    this.#fields = fields;
    this.#full = full;
    this.#codec.useBuffer(this.buffer);
  }

  /** Bytes appended and not taken; records begin at multiples of 8. */
  get length(): number {
    return this.#end;
  }

  /**
   * Appends a value.
   *
   * @param prefix bytes of a payload that `value` goes on with.
   * @returns the offset of its fields; -1 when the value has to be encoded in another way, or by itself.
   */
  append(value: unknown, prefix: Uint8Array = PLAIN_PREFIX): number {
    const reserved = this.#fields + prefix.byteLength;
    if (reserved > MAX_RESERVED || !isPlainPayload(value)) return -1;
    let packed: Packed;
    try {
      packed = this.#codec.pack(value, REUSE_BUFFER_MODE | RESERVE_START_SPACE | reserved) as Packed;
    } catch {
      // A getter that threw when it was read again: it is met once more, and explained, elsewhere.
      this.#reset(this.#end);
      return -1;
    }
    const { start, end } = packed;
    if (packed !== this.buffer) {
      // It did not fit: msgpackr has begun another buffer with it.
      if (this.#end > 0) this.#full(this.buffer.subarray(0, this.#end));
      this.buffer = packed;
    }
    packed.set(prefix, start + this.#fields);
    this.#end = end;
    return start;
  }

  /** Appends a payload that has been encoded; likewise. */
  appendBytes(payload: Uint8Array): number {
    const length = this.#fields + payload.byteLength;
    let start = align(this.#end);
    if (start + length > this.buffer.byteLength) {
      if (length > BUFFER_BYTES) return -1;
      if (this.#end > 0) this.#full(this.drain());
      start = 0;
    }
    this.buffer.set(payload, start + this.#fields);
    this.#reset(start + length);
    return start;
  }

  /** Forgets what was appended last, at this offset. */
  undo(start: number): void {
    this.#reset(start);
  }

  /** What was appended, for a reader that is done with it before the next call; the memory is used again. */
  drain(): Buffer {
    const records = this.buffer.subarray(0, this.#end);
    // One that had to grow is not kept.
    if (this.buffer.byteLength > BUFFER_BYTES) this.buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
    this.#reset(0);
    return records;
  }

  #reset(end: number): void {
    this.#end = end;
    this.#codec.useBuffer(this.buffer);
    this.#codec.position = end;
  }
}

const PLAIN_PREFIX = Uint8Array.of(PLAIN);

function align(offset: number): number {
  return (offset + ALIGNMENT - 1) & -ALIGNMENT;
}
