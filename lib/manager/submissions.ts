// Tasks on their way from JavaScript to the dispatcher, and who waits for each.

import type { NativeDispatcher } from '../native.js';
import type { TaskPolicy } from '../task/policy.js';
import { ByteWriter, putU32 } from '../wire/byte-writer.js';

/** Who waits for a task. One per task, so a caller of `run` is its promise's resolver and no object around it. */
export type Waiter = ((outcome: unknown) => void) | ScheduledWaiter;

/** The handle of a scheduled task. */
export interface ScheduledWaiter {
  readonly isWatched: boolean;
  settle(outcome: Outcome): void;
}

/** How a task ended, for its waiter. An `error` may be anything: the reason of an AbortSignal is. */
export type Outcome =
  | { readonly value: unknown }
  | {
      readonly error: unknown;
      /** It was dropped or stopped, and has not failed. */
      readonly cancelled?: boolean;
    };

/** A task to be run. */
export interface Submission {
  readonly level: number;
  readonly flags: number;
  /** Copied at the call. */
  readonly payload: Uint8Array;
  readonly policy: TaskPolicy;
  readonly waiter: Waiter;
  readonly name: string;
}

/** As in native/dispatch/slab.h. */
export const FLAG_INBOX_ERRORS = 1;

const FIELDS = 32;

/** Its waiter knows how it ends; the dispatcher does not yet. */
const DECIDED: Waiter = () => {};

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

  /** Gives a task its ticket and its number, `lastId`; `write` is to follow. */
  add(waiter: Waiter, name: string): number {
    const ticket = this.#free.pop() ?? this.#waiters.length;
    this.#waiters[ticket] = waiter;
    this.#names[ticket] = name;
    this.#ids += 1;
    return ticket;
  }

  /** Puts a task with a ticket among those that the next `flush` hands over; the payload is copied. */
  write(ticket: number, id: number, { level, flags, payload, policy }: Submission): void {
    const at = this.#writer.reserve(FIELDS + payload.byteLength);
    const { buffer } = this.#writer;
    putU32(buffer, at, payload.byteLength);
    putU32(buffer, at + 4, ticket);
    putU32(buffer, at + 8, id);
    putU32(buffer, at + 12, Math.floor(id / 2 ** 32));
    buffer[at + 16] = level;
    buffer[at + 17] = flags | policy.flags;
    buffer[at + 18] = policy.maxRetries;
    buffer[at + 19] = policy.maxRetries >>> 8;
    putU32(buffer, at + 20, policy.timeoutMs);
    putU32(buffer, at + 24, policy.deadlineMs);
    putU32(buffer, at + 28, policy.maxCrashes);
    buffer.set(payload, at + FIELDS);
    this.#pending += 1;
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

  /** The waiter of a task whose end is certain; its ticket stays taken until the dispatcher has let go of it. */
  decide(ticket: number): Waiter | undefined {
    const waiter = this.#waiters[ticket];
    if (waiter === undefined || waiter === DECIDED) return undefined;
    this.#waiters[ticket] = DECIDED;
    return waiter;
  }

  /** The waiter of a task that has ended; its ticket is free afterwards. Undefined when it was decided before. */
  take(ticket: number): Waiter | undefined {
    const waiter = this.#waiters[ticket];
    if (waiter === undefined) return undefined;
    this.#waiters[ticket] = undefined;
    this.#names[ticket] = undefined;
    this.#free.push(ticket);
    return waiter === DECIDED ? undefined : waiter;
  }
}
