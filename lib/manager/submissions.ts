// Tasks on their way from JavaScript to the dispatcher, and who waits for each.

import type { NativeDispatcher } from '../native.js';
import { encodeSpec } from '../task/encode.js';
import type { ProgressListener } from '../task/manager.js';
import type { Outcome } from '../task/outcome.js';
import type { TaskPolicy } from '../task/policy.js';
import type { TaskSpec } from '../task/spec.js';
import { checkFrameSize, TASK_FIELDS } from '../wire/frame.js';
import { PayloadWriter } from '../wire/payload-writer.js';
import { putU32 } from '../wire/u32.js';

/** Who waits for a task. One per task, so a caller of `run` is its promise's resolver and no object around it. */
export type Waiter = ((outcome: unknown) => void) | ScheduledWaiter;

/** The handle of a scheduled task. */
export interface ScheduledWaiter {
  readonly isWatched: boolean;
  /** Somebody wants to know how far it has come. */
  readonly isListened: boolean;
  progress(value: unknown): void;
  /** The task runs, for the first time or once more. */
  started(worker: number): void;
  settle(outcome: Outcome): void;
}

/** What the dispatcher is told of a task. */
export interface TaskFields {
  readonly level: number;
  readonly flags: number;
  readonly policy: TaskPolicy;
  /** Where alone it may run; 0 is anywhere. */
  readonly place: number;
}

/** A task to be run. */
export interface Submission extends TaskFields {
  readonly spec: TaskSpec;
  /** The bytes of its payload up to its last part, see Prefixes. */
  readonly prefix: Uint8Array | undefined;
  readonly waiter: Waiter;
  readonly name: string;
  /** Of a call. */
  readonly onProgress?: ProgressListener | undefined;
  /** The number of its arguments, when they are handed over. */
  readonly handover?: number | undefined;
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
  readonly #maxFrameBytes: number;
  readonly #writer: PayloadWriter;
  /** The fields of a task whose payload is handed over by itself. */
  readonly #fields = Buffer.allocUnsafeSlow(FIELDS);
  readonly #waiters: (Waiter | undefined)[] = [];
  readonly #names: (string | undefined)[] = [];
  #free: number[] = [];
  #pending = 0;
  #ids = 0;

  constructor(dispatcher: NativeDispatcher, maxFrameBytes: number) {
    this.#dispatcher = dispatcher;
    this.#maxFrameBytes = maxFrameBytes;
    this.#writer = new PayloadWriter(FIELDS, (records) => this.#submit(records));
  }

  /** Tasks that the dispatcher has not seen yet. */
  get pending(): number {
    return this.#pending;
  }

  /** The number of the task that was added last. */
  get lastId(): number {
    return this.#ids;
  }

  /**
   * Puts a task among those that the next `flush` hands over. Returns its ticket; its number is `lastId`.
   *
   * @throws DataCloneError, FrameTooLargeError; nothing has changed then.
   */
  add(submission: Submission): number {
    const { spec, prefix, waiter, name } = submission;
    const at = this.#append(spec, prefix);
    if (at !== -1) {
      const ticket = this.reserve(waiter, name);
      this.#putFields(this.#writer.buffer, at, this.#writer.length - at - FIELDS, ticket, this.#ids, submission);
      this.#pending += 1;
      return ticket;
    }
    const payload = this.encode(spec);
    const ticket = this.reserve(waiter, name);
    this.write(ticket, this.#ids, submission, payload);
    return ticket;
  }

  /** @throws FrameTooLargeError (ERR_BOSUN_FRAME_TOO_LARGE) */
  checkSize(what: string, bytes: number): void {
    checkFrameSize(what, bytes, this.#maxFrameBytes);
  }

  /** The payload of a task; valid until the next call. @throws DataCloneError, FrameTooLargeError */
  encode(spec: TaskSpec): Uint8Array {
    const payload = encodeSpec(spec);
    checkFrameSize('the task', TASK_FIELDS + payload.byteLength, this.#maxFrameBytes);
    return payload;
  }

  /** Gives a task its ticket and its number, `lastId`; `write` is to follow. */
  reserve(waiter: Waiter, name: string): number {
    const ticket = this.#free.pop() ?? this.#waiters.length;
    this.#waiters[ticket] = waiter;
    this.#names[ticket] = name;
    this.#ids += 1;
    return ticket;
  }

  /** As `add`, for a task that has its ticket and its payload; that is copied. */
  write(ticket: number, id: number, fields: TaskFields, payload: Uint8Array): void {
    const at = this.#writer.appendBytes(payload);
    if (at === -1) {
      this.flush();
      this.#putFields(this.#fields, 0, payload.byteLength, ticket, id, fields);
      this.#dispatcher.submitLong(this.#fields, payload);
      return;
    }
    this.#putFields(this.#writer.buffer, at, payload.byteLength, ticket, id, fields);
    this.#pending += 1;
  }

  /** Hands everything over. */
  flush(): void {
    if (this.#pending > 0) this.#submit(this.#writer.drain());
  }

  nameOf(ticket: number): string | undefined {
    return this.#names[ticket];
  }

  /** The handle of a task that was scheduled. */
  handleOf(ticket: number): ScheduledWaiter | undefined {
    const waiter = this.#waiters[ticket];
    return typeof waiter === 'object' ? waiter : undefined;
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

  #append(spec: TaskSpec, prefix: Uint8Array | undefined): number {
    const at = prefix === undefined ? this.#writer.append(spec) : this.#writer.append(spec[4], prefix);
    if (at === -1) return at;
    const length = TASK_FIELDS + this.#writer.length - at - FIELDS;
    if (length > this.#maxFrameBytes) {
      this.#writer.undo(at);
      checkFrameSize('the task', length, this.#maxFrameBytes);
    }
    return at;
  }

  #putFields(
    buffer: Buffer,
    at: number,
    length: number,
    ticket: number,
    id: number,
    { level, flags, policy, place }: TaskFields,
  ): void {
    putU32(buffer, at, length);
    putU32(buffer, at + 4, ticket);
    putU32(buffer, at + 8, id);
    putU32(buffer, at + 12, Math.floor(id / 2 ** 32));
    buffer[at + 16] = level;
    buffer[at + 17] = flags | policy.flags;
    buffer[at + 18] = policy.maxRetries;
    buffer[at + 19] = policy.maxRetries >>> 8;
    putU32(buffer, at + 20, policy.timeoutMs);
    putU32(buffer, at + 24, policy.deadlineMs);
    putU32(buffer, at + 28, policy.maxCrashes | (place << 16));
  }

  #submit(records: Buffer): void {
    this.#pending = 0;
    this.#dispatcher.submit(records);
  }
}
