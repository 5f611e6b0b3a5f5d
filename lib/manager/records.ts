// Reads what the dispatcher tells: the layout of `Record` in native/dispatch/records.h.

import { getU32 } from '../wire/u32.js';

/** As in native/dispatch/records.h. */
export const RECORD = {
  VALUE: 1,
  ERROR: 2,
  CANCELLED: 3,
  LOST: 4,
  MESSAGE: 5,
  READY: 6,
  START_FAILED: 7,
  FULL: 8,
  RETRY: 9,
  TIMEOUT: 10,
  STOPPING: 11,
  DEADLINE: 12,
  LOST_RESULT: 13,
  UNRESPONSIVE: 14,
  FOREIGN_MESSAGE: 15,
  CLOSED: 16,
  WORKER_EXIT: 17,
  PROGRESS: 18,
} as const;

/** A bit of the kind: the payload comes from a remote worker. */
const FOREIGN_PAYLOAD = 0x40;

/** A bit of the kind: the payload is not in the record, but attached to it. */
const ATTACHED = 0x80;

/** The ticket of a task that a worker scheduled. */
export const NO_TICKET = 0xffffffff;

const HEADER_BYTES = 32;
const BUFFER_BYTES = 256 * 1024;

/** One record. Its payload is `bytes` from `start` to `end`, valid until the next one is read. */
export interface DispatchRecord {
  readonly kind: number;
  readonly ticket: number;
  readonly slot: number;
  readonly worker: number;
  readonly runUs: number;
  readonly level: number;
  /** The task's bytes come from a listening socket. */
  readonly foreign: boolean;
  /** The payload comes from a worker on another host, and is a plain one. */
  readonly isRemote: boolean;
  readonly attempt: number;
  readonly id: number;
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** The bytes are nobody else's, and may be kept. */
  readonly isOwned: boolean;
}

/** Drains a queue of records through one buffer that is used again and again. */
export class RecordReader {
  readonly #drain: (target: Uint8Array) => number;
  readonly #takeAttached: () => Buffer;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #isFilling = false;
  #bytes: Buffer = this.#buffer;
  #at = 0;
  #end = 0;

  /**
   * @param drain writes whole records into its argument; 0 when there are none, -n when the next one needs n bytes. There
   * are none for who asks again inside of it.
   * @param takeAttached gives what is attached to the records, in their order.
   */
  constructor(drain: (target: Uint8Array) => number, takeAttached: () => Buffer) {
    this.#drain = drain;
    this.#takeAttached = takeAttached;
  }

  /** True while it asks for more: what `next` does not give now may come yet. */
  get isFilling(): boolean {
    return this.#isFilling;
  }

  /** The next record, or undefined when there is none now. */
  next(): DispatchRecord | undefined {
    if (this.#at === this.#end && !this.#fill()) return undefined;
    const bytes = this.#bytes;
    const at = this.#at;
    const length = getU32(bytes, at);
    this.#at = at + HEADER_BYTES + length;
    const kind = bytes[at + 20] as number;
    const isOwned = kind >= ATTACHED;
    const attached = isOwned ? this.#takeAttached() : undefined;
    return {
      ticket: getU32(bytes, at + 4),
      slot: getU32(bytes, at + 8),
      worker: getU32(bytes, at + 12),
      runUs: getU32(bytes, at + 16),
      kind: kind & ~(ATTACHED | FOREIGN_PAYLOAD),
      isRemote: (kind & FOREIGN_PAYLOAD) !== 0,
      level: (bytes[at + 21] as number) & 0x7f,
      foreign: (bytes[at + 21] as number) > 0x7f,
      attempt: getU32(bytes, at + 20) >>> 16,
      id: getU32(bytes, at + 24) + getU32(bytes, at + 28) * 2 ** 32,
      bytes: attached ?? bytes,
      start: attached === undefined ? at + HEADER_BYTES : 0,
      end: attached === undefined ? this.#at : attached.byteLength,
      isOwned,
    };
  }

  #fill(): boolean {
    if (this.#isFilling) return false;
    this.#isFilling = true;
    this.#at = 0;
    this.#end = 0;
    try {
      let bytes = this.#buffer;
      let written = this.#drain(bytes);
      if (written < 0) {
        // A record larger than the buffer gets one of its own, once.
        bytes = Buffer.allocUnsafeSlow(-written);
        written = this.#drain(bytes);
      }
      this.#bytes = bytes;
      this.#end = written;
      return written > 0;
    } finally {
      this.#isFilling = false;
    }
  }
}
