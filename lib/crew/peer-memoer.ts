// Memos between processes of one host: as long as they like, in order, and none lost for want of room.

import { EventEmitter } from 'node:events';
import { BosunError, MemoerError } from '../errors.js';
import { checkKnown, ownOptions } from '../own-options.js';
import type { Grams } from './grams.js';
import type { Memo } from './memo.js';
import { type DropReason, MEMOER_OPTIONS, Memoer, type MemoerOptions } from './memoer.js';
import { SENT } from './outboxes.js';
import { type GramSource, PEER_OPTIONS, Peer, type PeerOptions } from './peer.js';

/** Options of a PeerMemoer: those of a Peer and those of a Memoer. */
export interface PeerMemoerOptions extends PeerOptions, Omit<MemoerOptions, 'onDrop'> {}

/** What was dropped, and who had sent it. */
export interface MemoDrop {
  readonly reason: DropReason;
  readonly source: GramSource;
}

export interface PeerMemoerEvents {
  memo: [Memo];
  /** A gram, or what there was of a memo; see DropReason. */
  drop: [MemoDrop];
}

/** More memos, or bytes of memos, than these are not read before somebody takes some. */
const MOST_UNREAD = 1_000;
const MOST_UNREAD_BYTES = 16 * 2 ** 20;

/** Grams of one memo that wait for room at once: a long memo is not copied as a whole. */
const GRAMS_AT_ONCE = 64;

/**
 * A Peer for memos of any length, up to `maxMemoBytes`. They travel in grams that the reference understands.
 *
 * A memo goes to the listeners of `memo`, and to who reads `memos()`. While there is neither, and while the reader is slow,
 * memos wait, at most 1 000 of them or 16 MiB; then nothing is read, and the senders have to wait.
 *
 * @example
 * await using one = new PeerMemoer({ name: 'one' });
 * await one.open();
 * one.on('memo', ({ text, source }) => one.memoit(`${text}, too`, source.path));
 */
export class PeerMemoer extends EventEmitter<PeerMemoerEvents> implements AsyncDisposable {
  readonly #peer: Peer;
  readonly #memoer: Memoer;
  /** For the gram that is being sent: the peer has sent it, or has its own copy, when `send` returns. */
  readonly #memory: Buffer;
  /** The last memo for each destination that has one in several parts: what comes later waits for it. */
  readonly #last = new Map<string, Promise<void>>();
  readonly #unread: Memo[] = [];
  #unreadBytes = 0;
  #isRead = false;
  #isPaused = false;
  /** Tells who reads that there is something, or nothing any more. */
  #wake: (() => void) | undefined;

  /** @throws InvalidArgumentError, OutOfRangeError, SizeError, as those of Peer and Memoer. */
  constructor(options?: PeerMemoerOptions) {
    super();
    const given = ownOptions(options, 'the options of a PeerMemoer');
    const { name, path, directory, bc, ...more } = given;
    checkKnown(given, [...PEER_OPTIONS, ...MEMOER_OPTIONS], 'a PeerMemoer');
    this.#peer = new Peer({ name, path, directory, bc } as PeerOptions);
    this.#memoer = new Memoer({ ...more, onDrop: (reason, source) => this.emit('drop', { reason, source }) });
    this.#memory = Buffer.allocUnsafeSlow(this.#memoer.size);
    this.#peer.on('gram', (gram, source) => this.#take(gram, source));
    // It is added behind this.
    this.on('newListener' as 'memo', () => queueMicrotask(() => this.#flow()));
  }

  get name(): string {
    return this.#peer.name;
  }

  /** Where others find it; see Peer. */
  get path(): string | undefined {
    return this.#peer.path;
  }

  get isOpen(): boolean {
    return this.#peer.isOpen;
  }

  /** How long a gram may be, in bytes. */
  get size(): number {
    return this.#memoer.size;
  }

  /** How many grams and memos were dropped, and not thrown; `drops` has them by reason. */
  get droppedMemos(): number {
    return Object.values(this.drops).reduce((sum, count) => sum + count, 0);
  }

  get drops(): Readonly<Record<DropReason, number>> {
    return this.#memoer.drops;
  }

  /** As that of Peer, with its errors. */
  open(): Promise<void> {
    return this.#peer.open();
  }

  /**
   * Sends a memo: in order for each destination; none waits for another's. Bytes may be changed when this has returned.
   *
   * @returns when the system has all of it; await it, to be slowed down to the pace of who reads.
   * @throws SizeError (ERR_BOSUN_SIZE) for more than `maxMemoBytes`.
   * @throws InvalidArgumentError for what is no memo, or no path.
   * @throws PeerAbsentError (ERR_BOSUN_PEER_ABSENT) when nobody is there, or nobody any more.
   * @throws MemoerError (ERR_BOSUN_MEMOER) when this is not open, is closed before all was sent, or the system refuses.
   */
  memoit(memo: string | Uint8Array, destination: string): Promise<void> {
    let sent: Promise<void>;
    try {
      const grams = this.#memoer.cut(memo);
      const last = this.#last.get(destination);
      if (last === undefined && grams.length === 1) sent = this.#peer.send(grams.at(0, this.#memory), destination);
      else sent = this.#sendBehind(last, grams, destination);
    } catch (error) {
      return Promise.reject(error);
    }
    if (sent === SENT) return sent;
    return sent.catch((error: unknown) => {
      throw this.#explain(error);
    });
  }

  /**
   * Memos, one after the other; ends when it is closed and all are read. What one that was left has not read, the next gets.
   *
   * @throws MemoerError (ERR_BOSUN_MEMOER) when somebody reads already, or it is not open and nothing is left.
   */
  async *memos(): AsyncGenerator<Memo, void, undefined> {
    if (this.#isRead) throw new MemoerError(`'${this.name}' has a reader: one at a time`);
    if (!this.isOpen && this.#unread.length === 0) throw this.#notOpen();
    this.#isRead = true;
    try {
      for (;;) {
        const memo = this.#next();
        if (memo !== undefined) yield memo;
        else if (!this.isOpen) return;
        else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } finally {
      this.#isRead = false;
      this.#flow();
    }
  }

  /** An open one keeps the process up, unless it is told not to. */
  ref(): this {
    this.#peer.ref();
    return this;
  }

  unref(): this {
    this.#peer.unref();
    return this;
  }

  /** What has not been sent is rejected; what is not read yet can be. */
  async close(): Promise<void> {
    await this.#peer.close();
    this.#memoer.clear();
    this.#wake?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #sendBehind(last: Promise<void> | undefined, grams: Grams, destination: string): Promise<void> {
    // Some of it is made later.
    if (last !== undefined || grams.length > GRAMS_AT_ONCE) grams.keep();
    const sending = this.#sendAll(last, grams, destination);
    this.#last.set(destination, sending);
    const forget = () => {
      if (this.#last.get(destination) === sending) this.#last.delete(destination);
    };
    sending.then(forget, forget);
    return sending;
  }

  async #sendAll(last: Promise<void> | undefined, grams: Grams, destination: string): Promise<void> {
    // At once, if it can: the memo is the caller's.
    if (last !== undefined) await last.catch(() => {});
    for (let i = 0; i < grams.length; ) {
      const sends: Promise<void>[] = [];
      for (const end = Math.min(i + GRAMS_AT_ONCE, grams.length); i < end; i++) {
        sends.push(this.#peer.send(grams.at(i, this.#memory), destination));
      }
      await Promise.all(sends);
    }
  }

  #explain(error: unknown): unknown {
    if (!this.isOpen) return this.#notOpen(error);
    if (!(error instanceof BosunError) || error.code !== 'ERR_BOSUN_PEER') return error;
    return new MemoerError(error.message, { cause: error });
  }

  #notOpen(cause?: unknown): MemoerError {
    return new MemoerError(`'${this.name}' is not open`, { cause });
  }

  #take(gram: Buffer, source: GramSource): void {
    const memo = this.#memoer.join(gram, source);
    if (memo === undefined) return;
    if (this.#isRead || this.listenerCount('memo') === 0) {
      this.#unread.push(memo);
      this.#unreadBytes += memo.bytes.length;
      this.#pace();
      this.#wake?.();
    }
    this.emit('memo', memo);
  }

  #next(): Memo | undefined {
    const memo = this.#unread.shift();
    if (memo === undefined) return undefined;
    this.#unreadBytes -= memo.bytes.length;
    this.#pace();
    return memo;
  }

  /** What waits goes to who listens, unless somebody reads. */
  #flow(): void {
    while (!this.#isRead && this.listenerCount('memo') > 0) {
      const memo = this.#next();
      if (memo === undefined) return;
      this.emit('memo', memo);
    }
  }

  /** Pauses at the mark, and resumes at half of it: each costs a call of the system. */
  #pace(): void {
    const share = this.#isPaused ? 0.5 : 1;
    const isTooMuch = this.#unread.length >= MOST_UNREAD * share || this.#unreadBytes >= MOST_UNREAD_BYTES * share;
    if (isTooMuch === this.#isPaused) return;
    this.#isPaused = isTooMuch;
    if (isTooMuch) {
      this.#peer.pause();
      this.#memoer.pause();
    } else {
      this.#memoer.resume();
      this.#peer.resume();
    }
  }
}
