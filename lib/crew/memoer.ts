// Memos in parts that a datagram can carry, and whole again.

import { InvalidArgumentError, SizeError } from '../errors.js';
import { MAX_DATAGRAM } from '../native.js';
import { checkKnown, flag, integer, MAX_DELAY_MS, ownOptions } from '../own-options.js';
import { type GramHeader, MAX_GRAMS, readHeader, TEXT_HEADER_BYTES } from './gram.js';
import { Grams } from './grams.js';
import { Memo } from './memo.js';
import { PartialMemo } from './partial-memo.js';
import type { GramSource } from './peer.js';
import { RecentIds } from './recent-ids.js';

/**
 * Why something was dropped: a gram that is none, or does not go with the others of its memo (`malformed`); one that somebody
 * else has sent who uses the id of a memo (`foreign`); a memo that is longer than `maxMemoBytes` (`long`), that had to make
 * room for others (`crowded`), or of which grams did not come (`incomplete`).
 */
export type DropReason = 'malformed' | 'foreign' | 'long' | 'crowded' | 'incomplete';

/** Options of a Memoer. */
export interface MemoerOptions {
  /**
   * How long a gram may be, header included, in bytes: 33 to 65 535, 16 384 unless given. Longer ones to a peer that reads
   * nothing hold up those to others, see Peer.
   */
  readonly size?: number;
  /** Whether headers are 24 bytes instead of 32 characters; false unless given. Both are understood. */
  readonly curt?: boolean;
  /** Longer memos are neither cut nor joined; bytes, 64 MiB unless given, up to 4 294 967 295. */
  readonly maxMemoBytes?: number;
  /**
   * What all memos may take together that are not whole yet: bytes, and 512 more for each gram. `maxMemoBytes` and 64 MiB
   * unless given. The oldest ones make room.
   */
  readonly maxPartialBytes?: number;
  /** A memo of which nothing comes for so long is dropped; at twice that at the latest. Milliseconds, 30 000 unless given. */
  readonly expiry?: number;
  /** Is told what was dropped, and who had sent it. */
  readonly onDrop?: (reason: DropReason, source: GramSource) => void;
}

export const MEMOER_OPTIONS = ['size', 'curt', 'maxMemoBytes', 'maxPartialBytes', 'expiry'] as const;

const MIB = 2 ** 20;
const MOST_MEMO_BYTES = 2 ** 32 - 1;

/**
 * Cuts memos into grams, and joins grams to memos; it sends and receives nothing. Grams may come in any order, and more than
 * once. Their form is that of the reference's unsigned ones.
 *
 * @example
 * const memoer = new Memoer({ size: 38 });
 * for (const gram of memoer.cut('Hello there.')) {
 *   const memo = memoer.join(gram, { path: '', pid: undefined, uid: undefined });
 *   if (memo !== undefined) console.log(memo.text);
 * }
 */
export class Memoer {
  readonly size: number;
  readonly curt: boolean;
  readonly maxMemoBytes: number;
  readonly #maxPartialBytes: number;
  readonly #expiry: number;
  readonly #onDrop: MemoerOptions['onDrop'];
  /** By the ids of the memos; the oldest is the first. */
  readonly #partials = new Map<string, PartialMemo>();
  #partialBytes = 0;
  readonly #recent = new RecentIds();
  readonly #drops = { malformed: 0, foreign: 0, long: 0, crowded: 0, incomplete: 0 };
  #timer: NodeJS.Timeout | undefined;
  /** How often the timer has rung: time that a program does not spend on reading is none. */
  #rings = 0;
  #isPaused = false;

  /** @throws InvalidArgumentError, OutOfRangeError */
  constructor(options?: MemoerOptions) {
    const given = ownOptions(options, 'the options of a Memoer');
    checkKnown(given, [...MEMOER_OPTIONS, 'onDrop'], 'a Memoer');
    const { size = 16_384, curt = false, maxMemoBytes = 64 * MIB, expiry = 30_000, onDrop } = given;
    this.size = integer('size', size, TEXT_HEADER_BYTES + 1, MAX_DATAGRAM);
    this.curt = flag('curt', curt);
    this.maxMemoBytes = integer('maxMemoBytes', maxMemoBytes, 1, MOST_MEMO_BYTES);
    const { maxPartialBytes = maxMemoBytes + 64 * MIB } = given;
    this.#maxPartialBytes = integer('maxPartialBytes', maxPartialBytes, 1, Number.MAX_SAFE_INTEGER);
    this.#expiry = integer('expiry', expiry, 1, MAX_DELAY_MS);
    if (onDrop !== undefined && typeof onDrop !== 'function') throw new InvalidArgumentError('onDrop is a function');
    this.#onDrop = onDrop;
  }

  /** How many grams and memos were dropped, by reason. */
  get drops(): Readonly<Record<DropReason, number>> {
    return { ...this.#drops };
  }

  /** How many memos are not whole yet. */
  get partialCount(): number {
    return this.#partials.size;
  }

  /**
   * The grams of a memo. Bytes must not be changed until the last one is made, or `keep()` is called.
   *
   * @throws SizeError (ERR_BOSUN_SIZE) for a memo of more than `maxMemoBytes`, or of more than 13 631 487 grams.
   * @throws InvalidArgumentError for what is neither string nor bytes.
   */
  cut(memo: string | Uint8Array): Grams {
    if (typeof memo !== 'string' && !(memo instanceof Uint8Array)) {
      throw new InvalidArgumentError('a memo is a string or bytes');
    }
    // A string has at least as many bytes as characters.
    const least = memo.length;
    const bytes = typeof memo === 'string' && least <= this.maxMemoBytes ? Buffer.byteLength(memo) : least;
    if (bytes > this.maxMemoBytes) {
      throw new SizeError(`a memo of ${bytes} bytes or more is too long: ${this.maxMemoBytes} at most (maxMemoBytes)`);
    }
    const grams = new Grams(memo, bytes, this.size, !this.curt);
    if (grams.length > MAX_GRAMS) {
      throw new SizeError(
        `a memo of ${grams.length} grams is too long: ${MAX_GRAMS} at most; longer grams (size) help`,
      );
    }
    return grams;
  }

  /**
   * The memo that this gram makes whole, if it does. A gram of another memo, one that came before, and what is no gram, makes
   * none; it throws nothing. The gram is kept, and so must not be changed.
   *
   * @param source who has sent it: whoever sends the first gram of a memo sends all of it.
   */
  join(gram: Uint8Array, source: GramSource): Memo | undefined {
    const bytes = Buffer.isBuffer(gram) ? gram : Buffer.from(gram.buffer, gram.byteOffset, gram.byteLength);
    const header = readHeader(bytes);
    if (header === undefined) return this.#drop('malformed', source);
    const { id } = header;
    const partial = this.#partials.get(id);
    const former = partial?.source ?? this.#recent.get(id);
    if (former !== undefined && (former.path !== source.path || former.pid !== source.pid)) {
      return this.#drop('foreign', source);
    }
    if (partial === undefined ? former !== undefined : partial.has(header)) return undefined;
    const body = bytes.subarray(header.length);
    const isOnly = header.isFirst && header.number === 1;
    // Each of several has a body: so a memo has no more of them than bytes.
    if (isOnly ? partial !== undefined : body.length === 0 || partial?.fits(header) === false) {
      return this.#drop('malformed', source);
    }
    if (!isOnly) return this.#add(id, partial ?? this.#begin(id, source), header, body);
    this.#recent.add(id, source);
    return body.length > this.maxMemoBytes ? this.#drop('long', source) : new Memo(body, source);
  }

  /** Time stands still for memos that are not whole: for who reads no grams for now. */
  pause(): void {
    this.#isPaused = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  resume(): void {
    this.#isPaused = false;
    this.#watch();
  }

  /** Drops what is not whole. */
  clear(): void {
    for (const id of [...this.#partials.keys()]) this.#giveUp(id, 'incomplete');
  }

  #begin(id: string, source: GramSource): PartialMemo {
    const partial = new PartialMemo(source);
    this.#partials.set(id, partial);
    return partial;
  }

  #add(id: string, partial: PartialMemo, header: GramHeader, body: Buffer): Memo | undefined {
    this.#partialBytes -= partial.cost;
    partial.add(header, body);
    partial.heard = this.#rings;
    this.#partialBytes += partial.cost;
    if (partial.bytes > this.maxMemoBytes || (header.isFirst && header.number > this.maxMemoBytes)) {
      return this.#giveUp(id, 'long');
    }
    if (partial.isComplete) {
      this.#end(id, partial);
      return new Memo(partial.join(), partial.source);
    }
    for (const oldest of this.#partials.keys()) {
      if (this.#partialBytes <= this.#maxPartialBytes) break;
      this.#giveUp(oldest, 'crowded');
    }
    this.#watch();
    return undefined;
  }

  #giveUp(id: string, reason: DropReason): undefined {
    const partial = this.#partials.get(id) as PartialMemo;
    this.#end(id, partial);
    return this.#drop(reason, partial.source);
  }

  #end(id: string, partial: PartialMemo): void {
    this.#partials.delete(id);
    this.#partialBytes -= partial.cost;
    this.#recent.add(id, partial.source);
    if (this.#partials.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #drop(reason: DropReason, source: GramSource): undefined {
    this.#drops[reason] += 1;
    this.#onDrop?.(reason, source);
    return undefined;
  }

  #watch(): void {
    if (this.#timer !== undefined || this.#isPaused || this.#partials.size === 0) return;
    this.#timer = setTimeout(() => this.#ring(), this.#expiry).unref();
  }

  /** A program that was busy for long has its grams read before the timer rings again. */
  #ring(): void {
    this.#timer = undefined;
    this.#rings += 1;
    for (const [id, { heard }] of [...this.#partials]) {
      if (heard < this.#rings - 1) this.#giveUp(id, 'incomplete');
    }
    this.#watch();
  }
}
