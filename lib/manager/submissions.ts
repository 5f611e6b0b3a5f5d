// Tasks on their way from JavaScript to the dispatcher, and who waits for each.

import type { NativeDispatcher } from '../native.js';
import { ByteWriter, putU32 } from '../wire/byte-writer.js';

/** Who waits for a task. One per task, so a caller of `run` is its promise's resolver and no object around it. */
export type Waiter = ((outcome: unknown) => void) | ScheduledWaiter;

/** The handle of a scheduled task. */
export interface ScheduledWaiter {
  readonly isWatched: boolean;
  settle(outcome: Outcome): void;
}

/** How a task ended, for its waiter. */
export interface Outcome {
  readonly error?: Error;
  readonly value?: unknown;
}

/** As in native/dispatch/slab.h. */
export const FLAG_INBOX_ERRORS = 1;

const FIELDS = 20;

/**
 * Collects the tasks of one turn of the event loop and hands them over by one crossing. A ticket is an index into an
 * array of waiters: a million waiting tasks cost no map and no objects.
 */
export class Submissions {
  readonly #dispatcher: NativeDispatcher;
  readonly #writer = new ByteWriter();
  readonly #waiters: (Waiter | undefined)[] = [];
  readonly #names: (string | undefined)[] = [];
  #free: number[] = [];
  #pending = 0;
  #ids = 0;

  constructor(dispatcher: NativeDispatcher) {
    this.#dispatcher = dispatcher;
  }

  /** Tasks that the dispatcher has not seen yet. */
  get pending(): number {
    return this.#pending;
  }

  get pendingBytes(): number {
    return this.#writer.length;
  }

  /** The number of the task that was added last. */
  get lastId(): number {
    return this.#ids;
  }

  /** Appends a task; the payload is copied. Returns its ticket. */
  add(level: number, flags: number, payload: Uint8Array, waiter: Waiter, name: string): number {
    // First: it is the only thing here that can fail.
    const at = this.#writer.reserve(FIELDS + payload.byteLength);
    const ticket = this.#free.pop() ?? this.#waiters.length;
    this.#waiters[ticket] = waiter;
    this.#names[ticket] = name;
    this.#ids += 1;
    const { buffer } = this.#writer;
    putU32(buffer, at, payload.byteLength);
    putU32(buffer, at + 4, ticket);
    putU32(buffer, at + 8, this.#ids);
    putU32(buffer, at + 12, Math.floor(this.#ids / 2 ** 32));
    buffer[at + 16] = level;
    buffer[at + 17] = flags;
    buffer.set(payload, at + FIELDS);
    this.#pending += 1;
    return ticket;
  }

  /** Hands everything over. */
  flush(): void {
    if (this.#pending === 0) return;
    this.#pending = 0;
    this.#dispatcher.submit(this.#writer.drain());
  }

  nameOf(ticket: number): string | undefined {
    return this.#names[ticket];
  }

  /** The waiter of a task that has ended; its ticket is free afterwards. */
  take(ticket: number): Waiter | undefined {
    const waiter = this.#waiters[ticket];
    if (waiter === undefined) return undefined;
    this.#waiters[ticket] = undefined;
    this.#names[ticket] = undefined;
    this.#free.push(ticket);
    return waiter;
  }
}
