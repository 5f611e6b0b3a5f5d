// The messages and failures of all tasks, for one reader.

import type { BosunError } from '../errors.js';
import type { NativeDispatcher } from '../native.js';
import type { WorkerId } from '../task/context.js';
import { decodeForeign } from '../wire/foreign.js';
import { decodePayload } from '../wire/payload.js';
import { failureOf } from './failures.js';
import { MessageReader, refuseSecondReader } from './message-reader.js';
import { type DispatchRecord, RECORD, RecordReader } from './records.js';

/** What the inbox asks its manager. */
export interface InboxOwner {
  readonly throwOnError: boolean;
  /** True when nobody will ever read it. */
  readonly discards: boolean;
  /** True when no task is left, and nothing is unread. */
  idle(): boolean;
  /** Called after messages were read: senders may be waiting for room. */
  read(): void;
  /** Settles every task that has ended by now: what is here of their failures is known from then on. */
  settle(): void;
  pidOf(worker: WorkerId): number | undefined;
}

const KEPT_ERRORS = 10;

function noAttachments(): never {
  throw new TypeError('messages have nothing attached');
}

export class Inbox {
  readonly #owner: InboxOwner;
  readonly #records: RecordReader;
  /** Failures whose error is made already, by the task's id: that of its handle, or one with an exit code. */
  readonly #known = new Map<number, BosunError>();
  #reader: MessageReader | undefined;
  #wasRead = false;
  #hasRead = false;
  #discarded = 0;
  readonly #errors: Error[] = [];
  #unseen: Error | undefined;

  constructor(dispatcher: NativeDispatcher, owner: InboxOwner) {
    this.#owner = owner;
    this.#records = new RecordReader((target) => {
      const written = dispatcher.drainInbox(target);
      if (written > 0) owner.settle();
      return written;
    }, noAttachments);
  }

  get hasReader(): boolean {
    return this.#reader !== undefined;
  }

  /** True when `messages()` was ever called. */
  get wasRead(): boolean {
    return this.#wasRead;
  }

  /** Messages that were thrown away. */
  get discarded(): number {
    return this.#discarded;
  }

  /** The first failures among what was thrown away. */
  get errors(): readonly Error[] {
    return this.#errors;
  }

  /** The first of them that has no handle either: nobody can have seen it. */
  get unseen(): Error | undefined {
    return this.#unseen;
  }

  open(): MessageReader {
    if (this.#reader !== undefined) refuseSecondReader();
    this.#wasRead = true;
    const reader: MessageReader = new MessageReader({
      take: () => this.#take(),
      finished: () => !this.#records.isFilling && this.#owner.idle(),
      release: () => {
        this.#reader = undefined;
      },
    });
    this.#reader = reader;
    return reader;
  }

  /** The record in the inbox of this task's failure stands for `error`. */
  know(id: number, error: BosunError): void {
    if (!this.#owner.discards) this.#known.set(id, error);
    // There will be no record of it.
    else if (this.#errors.length < KEPT_ERRORS) this.#errors.push(error);
  }

  wake(): void {
    this.#reader?.wake();
  }

  /** Ends the iteration, whatever is left to read; it throws `error` if there is one. */
  end(error?: Error): void {
    this.#reader?.end(error);
  }

  /** Throws away what is there, but keeps the first failures. */
  discard(): void {
    for (let record = this.#records.next(); record !== undefined; record = this.#records.next()) {
      if (record.kind === RECORD.MESSAGE || record.kind === RECORD.FOREIGN_MESSAGE) {
        this.#discarded += 1;
      } else if (this.#errors.length < KEPT_ERRORS) {
        const hasHandle = this.#known.has(record.id);
        const failure = this.#failure(record);
        this.#errors.push(failure);
        if (!hasHandle) this.#unseen ??= failure;
      }
    }
  }

  #take(): { readonly message: unknown } | undefined {
    const record = this.#records.next();
    if (record === undefined) {
      // Only if something was taken: this is asked in every turn.
      if (this.#hasRead) this.#owner.read();
      this.#hasRead = false;
      return undefined;
    }
    this.#hasRead = true;
    if (record.kind === RECORD.MESSAGE) return { message: decodePayload(record.bytes, record.start, record.end) };
    if (record.kind === RECORD.FOREIGN_MESSAGE) return { message: foreignMessage(record) };
    const failure = this.#failure(record);
    if (this.#owner.throwOnError) throw failure;
    return { message: failure };
  }

  #failure(record: DispatchRecord): BosunError {
    const known = this.#known.get(record.id);
    this.#known.delete(record.id);
    return known ?? failureOf(record, undefined, this.#owner.pidOf(record.worker));
  }
}

/** What a peer has sent; a ProtocolError in its place when it cannot be read. */
function foreignMessage({ bytes, start, end }: DispatchRecord): unknown {
  try {
    return decodeForeign(bytes, start, end);
  } catch (error) {
    return error;
  }
}
