// Payloads of many values in one buffer, each behind fixed fields.

import { encodePlain, PLAIN } from './payload.js';

const BUFFER_BYTES = 64 * 1024;

/** Records begin at multiples of it. */
const ALIGNMENT = 8;

/** Up to so many bytes a loop is cheaper than a view to copy from. */
const FEW_BYTES = 48;

const PLAIN_PREFIX = Uint8Array.of(PLAIN);

export class PayloadWriter {
  readonly #fields: number;
  readonly #full: (records: Buffer) => void;
  #end = 0;

  /** Where the caller writes the fields of what was appended last. */
  readonly buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);

  /**
   * @param fields bytes before each payload, that the caller writes.
   * @param full takes all records before one that does not fit any more; the memory is used again.
   */
  constructor(fields: number, full: (records: Buffer) => void) {
    this.#fields = fields;
    this.#full = full;
  }

  /** Where the last record ends. */
  get length(): number {
    return this.#end;
  }

  /**
   * Appends a value, if it takes the first tier of encoding and is short.
   *
   * @param prefix bytes of a payload that `value` goes on with.
   * @returns the offset of its fields; -1 when it has to be encoded in another way.
   */
  append(value: unknown, prefix: Uint8Array = PLAIN_PREFIX): number {
    const encoded = encodePlain(value);
    if (encoded === undefined) return -1;
    const { start: from, end: to } = encoded;
    const at = this.#reserve(prefix.byteLength + to - from);
    if (at === -1) return -1;
    const { buffer } = this;
    let put = at + this.#fields;
    buffer.set(prefix, put);
    put += prefix.byteLength;
    if (to - from > FEW_BYTES) buffer.set(encoded.subarray(from, to), put);
    else for (let i = from; i < to; i++) buffer[put++] = encoded[i] as number;
    return at;
  }

  /** Appends a payload that has been encoded; likewise. */
  appendBytes(payload: Uint8Array): number {
    const at = this.#reserve(payload.byteLength);
    if (at !== -1) this.buffer.set(payload, at + this.#fields);
    return at;
  }

  /** Forgets what was appended last, at this offset. */
  undo(at: number): void {
    this.#end = at;
  }

  /** What was appended, for a reader that is done with it before the next call; the memory is used again. */
  drain(): Buffer {
    const records = this.buffer.subarray(0, this.#end);
    this.#end = 0;
    return records;
  }

  #reserve(bytes: number): number {
    const length = this.#fields + bytes;
    if (length > BUFFER_BYTES) return -1;
    const next = (this.#end + ALIGNMENT - 1) & -ALIGNMENT;
    const fits = next + length <= BUFFER_BYTES;
    if (!fits) this.#full(this.drain());
    const at = fits ? next : 0;
    this.#end = at + length;
    return at;
  }
}
