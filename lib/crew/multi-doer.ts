// A doer with a peer: what a boss and its hands have in common.

import { EventEmitter } from 'node:events';
import { MemoerError, NamerError } from '../errors.js';
import { flag, integer, ownOptions } from '../own-options.js';
import type { Logger } from '../task/context.js';
import { createLogger } from '../task/log.js';
import { within } from '../within.js';
import { AddressBook } from './address-book.js';
import { checkName } from './crew-name.js';
import { Doer, type DoerOptions } from './doer.js';
import type { Memo } from './memo.js';
import { type ControlMemo, parseMemo } from './memos.js';
import { SENT } from './outboxes.js';
import { PeerMemoer } from './peer-memoer.js';

export interface MultiDoerOptions extends DoerOptions {
  /** Its name among the others, and that of its socket. */
  readonly name?: string;
  /** Whether `enter` opens its peer anew that was opened before; false unless given. */
  readonly reopen?: boolean;
  /** How many of the longest grams the system is asked to keep, each way; 4 unless given. */
  readonly bc?: number;
}

/** How long memos that wait for room hold up the end. */
const LAST_MEMOS_MS = 1_000;

/** A memo that somebody else in the crew has sent. */
export interface CrewMemo {
  /** Who. */
  readonly name: string;
  readonly memo: Memo;
}

export interface MultiDoerEvents {
  /** Of somebody else in the crew; no control memo. */
  memo: CrewMemo;
}

/**
 * Memos come to `serviceRxMemos` as they arrive, between the cycles of the Doist; it rests until something else is to be done.
 * A subclass overrides `recur` (and calls it), or `onMemo`; or listens to `memo`. What those throw ends the Doist.
 */
export abstract class MultiDoerBase<Events extends MultiDoerEvents> extends Doer {
  readonly reopen: boolean;
  readonly bc: number;
  /** Who is where. */
  readonly book = new AddressBook();
  /** Set when it was told to end: by a signal, or by a memo. */
  graceful = false;
  /** Of this process: a hand's goes into its log file. */
  logger: Logger = createLogger(false);
  /** Memos that were no memos of ours, or not from whom they should be. */
  #dropped = 0;
  readonly #received: Memo[] = [];
  /** What a listener has thrown. */
  #failure: { readonly error: unknown } | undefined;
  /** Memos that wait for room. */
  readonly #sending = new Set<Promise<void>>();
  #name: string;
  #memoer: PeerMemoer | undefined;
  /** As an EventEmitter: a class has one base. */
  readonly #events = new EventEmitter();

  /** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT), OutOfRangeError (ERR_BOSUN_OUT_OF_RANGE) */
  constructor(options: MultiDoerOptions, name: string) {
    const { name: given = name, reopen = false, bc = 4, ...others } = ownOptions(options, 'the options of a crew');
    super({ tock: Number.POSITIVE_INFINITY, ...others });
    this.#name = checkName(given, 'a boss or a hand');
    this.reopen = flag('reopen', reopen);
    this.bc = integer('bc', bc, 1, 1_024);
  }

  get name(): string {
    return this.#name;
  }

  /** Where others reach it; undefined until it was entered. */
  get path(): string | undefined {
    return this.#memoer?.path;
  }

  /** What came and was not taken for a memo: see `Memoer.droppedMemos`; and what came from somebody who may not say it. */
  get droppedMemos(): number {
    return this.#dropped + (this.#memoer?.droppedMemos ?? 0);
  }

  /** Compact JSON. */
  static toJson(value: unknown): string {
    return JSON.stringify(value);
  }

  /**
   * Sends a memo to one that is in the book, without anybody in between.
   *
   * @returns when the system has all of it; await it, to be slowed down to the pace of who reads.
   * @throws NamerError (ERR_BOSUN_NAMER) for a name that is not in the book.
   * @throws PeerAbsentError (ERR_BOSUN_PEER_ABSENT) when nobody is there now: a hand that is being started again.
   * @throws MemoerError (ERR_BOSUN_MEMOER), SizeError (ERR_BOSUN_SIZE)
   */
  send(name: string, memo: string | Uint8Array): Promise<void> {
    const address = this.book.getAddr(name);
    if (address !== undefined) return this.memoit(memo, address);
    return Promise.reject(new NamerError(`${this.name} knows nobody of the name '${name}' yet`));
  }

  /** The same to an address. */
  memoit(memo: string | Uint8Array, address: string): Promise<void> {
    if (this.#memoer === undefined) {
      return Promise.reject(new MemoerError(`${this.name} has no peer: it is not entered, or has ended`));
    }
    const sent = this.#memoer.memoit(memo, address);
    if (sent === SENT) return sent;
    this.#sending.add(sent);
    const forget = () => void this.#sending.delete(sent);
    sent.then(forget, forget);
    return sent;
  }

  on<E extends keyof Events & string>(event: E, listener: (value: Events[E]) => void): this {
    this.#events.on(event, listener);
    return this;
  }

  once<E extends keyof Events & string>(event: E, listener: (value: Events[E]) => void): this {
    this.#events.once(event, listener);
    return this;
  }

  off<E extends keyof Events & string>(event: E, listener: (value: Events[E]) => void): this {
    this.#events.off(event, listener);
    return this;
  }

  /** For `events.once`. */
  removeListener(event: string, listener: (...values: unknown[]) => void): this {
    this.#events.off(event, listener);
    return this;
  }

  override recur(_tyme: number): boolean | Promise<boolean> {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure.error;
    return false;
  }

  /** At once: a cycle of the Doist costs more than a memo. What it throws is the doer's failure all the same. */
  #service(): void {
    try {
      this.serviceRxMemos();
    } catch (error) {
      this.fail(error);
    }
  }

  /** Ends the Doist with it. */
  protected fail(error: unknown): void {
    this.#failure ??= { error };
    this.wake();
  }

  /** Hands on all memos that have come; called when one has. */
  serviceRxMemos(): void {
    for (const memo of this.#received.splice(0)) this.receive(memo);
  }

  /** Looks at one memo. */
  protected abstract receive(memo: Memo): void;

  /** A memo of somebody else in the crew that is no control memo: emits `memo`. */
  protected onMemo(memo: CrewMemo): void {
    this.emit('memo', memo as Events['memo']);
  }

  protected emit<E extends keyof Events & string>(event: E, value: Events[E]): void {
    try {
      this.#events.emit(event, value);
    } catch (error) {
      this.fail(error);
    }
  }

  protected drop(): void {
    this.#dropped += 1;
  }

  protected rename(name: string): void {
    this.#name = checkName(name, 'a hand');
  }

  /** Opens its peer. @param directory that nobody else can enter. */
  protected async open(directory: string): Promise<void> {
    // Of a run before this one nobody hears any more.
    this.#failure = undefined;
    if (this.reopen) await this.shut();
    if (this.#memoer !== undefined) return;
    const memoer = new PeerMemoer({ name: this.name, directory, bc: this.bc });
    memoer.on('memo', (memo) => {
      this.#received.push(memo);
      this.#service();
    });
    this.#memoer = memoer;
    await memoer.open();
  }

  /** Closes its peer, behind what is on its way, unless somebody reads nothing. */
  protected async shut(): Promise<void> {
    if (this.#sending.size > 0) await within(LAST_MEMOS_MS, Promise.allSettled(this.#sending));
    const memoer = this.#memoer;
    this.#memoer = undefined;
    await memoer?.close();
  }
}

/** What begins like this is between a boss and its hands, whatever follows. */
const CONTROL = /^\s*\{\s*"tag"\s*:\s*"(?:REG|ACK|END|BOK)"/;

/** Undefined for what is a memo of users; `none` for what should be one between a boss and its hands, and is not. */
export function controlMemo({ text }: Memo): ControlMemo | 'none' | undefined {
  return CONTROL.test(text) ? (parseMemo(text).memo ?? 'none') : undefined;
}
