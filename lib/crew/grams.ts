// A memo, cut.

import { BINARY_HEADER_BYTES, makeHeader, TEXT_HEADER_BYTES, writeHeader } from './gram.js';

/** The grams of a memo, each made when it is asked for: a long memo is not there twice. */
export class Grams implements Iterable<Buffer> {
  /** How many there are; one of an empty memo. */
  readonly length: number;
  readonly #header = makeHeader();
  readonly #headerBytes: number;
  readonly #bodyBytes: number;
  readonly #bytes: number;
  readonly #isText: boolean;
  /** A string goes straight into the only gram. */
  #memo: string | Uint8Array;
  /** Nobody else can change it. */
  #isOwn: boolean;

  /** @param bytes how many the memo has. */
  constructor(memo: string | Uint8Array, bytes: number, size: number, isText: boolean) {
    this.#isText = isText;
    this.#headerBytes = isText ? TEXT_HEADER_BYTES : BINARY_HEADER_BYTES;
    this.#bodyBytes = size - this.#headerBytes;
    this.#bytes = bytes;
    this.length = Math.max(1, Math.ceil(bytes / this.#bodyBytes));
    this.#isOwn = typeof memo === 'string';
    this.#memo = typeof memo === 'string' && this.length > 1 ? Buffer.from(memo) : memo;
  }

  /**
   * @param index from 0 to `length` - 1.
   * @param memory where it is made, of at least as many bytes as a gram may have; new memory unless given.
   */
  at(index: number, memory?: Buffer): Buffer {
    const start = index * this.#bodyBytes;
    const end = Math.min(start + this.#bodyBytes, this.#bytes);
    const bytes = this.#headerBytes + end - start;
    const gram = memory?.subarray(0, bytes) ?? Buffer.allocUnsafe(bytes);
    writeHeader(this.#header, index, this.length, this.#isText, gram);
    if (typeof this.#memo === 'string') gram.write(this.#memo, this.#headerBytes);
    else gram.set(this.#memo.subarray(start, end), this.#headerBytes);
    return gram;
  }

  /** From here on the memo may be changed. */
  keep(): void {
    if (this.#isOwn) return;
    this.#isOwn = true;
    this.#memo = Uint8Array.from(this.#memo as Uint8Array);
  }

  *[Symbol.iterator](): Iterator<Buffer> {
    for (let i = 0; i < this.length; i++) yield this.at(i);
  }
}
