// How tasks come in, and go before they have begun: the queue's bound, those who wait outside of it, and cancelling.

import { QueueFullError } from '../errors.js';
import type { NativeDispatcher } from '../native.js';
import { deadlineMissed } from '../task/failures.js';
import { LETTER_FIELDS } from '../wire/frame.js';
import { encodePayload } from '../wire/payload.js';
import type { Settlement } from './settlement.js';
import type { CountReader } from './stats.js';
import type { Submission, Submissions } from './submissions.js';
import { type Visitor, WaitingRoom } from './waiting-room.js';

export interface IntakeParts {
  readonly dispatcher: NativeDispatcher;
  readonly submissions: Submissions;
  readonly settlement: Settlement;
  readonly counts: CountReader;
  readonly maxQueue: number;
  readonly waitsWhenFull: boolean;
  /** Sends what can be sent, now. */
  turn(): void;
  /** The same, soon. */
  requestTurn(): void;
}

/** As in native/dispatch/dispatcher.h: no such task, or it has ended. */
const CANCEL_UNKNOWN = 0;

export class Intake {
  readonly #parts: IntakeParts;
  readonly #waitingRoom: WaitingRoom;

  constructor(parts: IntakeParts) {
    this.#parts = parts;
    this.#waitingRoom = new WaitingRoom(() => this.admit());
  }

  /** Tasks that wait for room. */
  get outside(): number {
    return this.#waitingRoom.size;
  }

  /**
   * To be called first: it may take a turn.
   *
   * @throws QueueFullError (ERR_BOSUN_QUEUE_FULL) when there is no room and tasks do not wait for it.
   * @throws the reason of a signal that is aborted already.
   */
  prepare(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    if (!this.#hasRoom() && !this.#parts.waitsWhenFull) throw new QueueFullError();
  }

  /**
   * Takes a task. Returns its ticket.
   *
   * @throws QueueFullError (ERR_BOSUN_QUEUE_FULL) as `prepare`; DataCloneError, FrameTooLargeError. Nothing has changed then.
   */
  take(submission: Submission, signal: AbortSignal | undefined): number {
    const { submissions, settlement, waitsWhenFull } = this.#parts;
    const hasRoom = this.#hasPlace();
    if (!hasRoom && !waitsWhenFull) throw new QueueFullError();
    const { policy, onProgress, handover } = submission;
    const ticket = hasRoom ? submissions.add(submission) : this.#enterOutside(submission);
    this.#waitingRoom.taken();
    if (handover !== undefined) settlement.useHandover(ticket, handover);
    if (onProgress !== undefined) settlement.useListener(ticket, onProgress);
    if (policy.backoff !== undefined) settlement.useBackoff(ticket, policy.backoff);
    if (signal !== undefined) settlement.signals.watch(signal, ticket);
    return ticket;
  }

  /** Resolves when a task would be accepted at once, for each caller in turn. */
  room(): Promise<void> {
    if (this.#parts.maxQueue === Number.POSITIVE_INFINITY) return Promise.resolve();
    this.#hasRoom();
    return this.#waitingRoom.room(this.#places());
  }

  /** Lets in who waits outside, as far as there is room. To be called after each turn. */
  admit(): void {
    if (this.#parts.maxQueue === Number.POSITIVE_INFINITY) return;
    this.#waitingRoom.admit(this.#places(), (visitor) => {
      this.#enter(visitor);
      this.#parts.requestTurn();
    });
  }

  /** @param error what the task is to reject with. */
  cancel(ticket: number, error: unknown): void {
    const { dispatcher, submissions, settlement, requestTurn } = this.#parts;
    const visitor = this.#waitingRoom.leave(ticket);
    // So that it is counted, and told of, as every other.
    if (visitor !== undefined) this.#enter(visitor);
    submissions.flush();
    // One that has ended already, though it has not been read yet, ends as it did.
    if (dispatcher.cancel(ticket) !== CANCEL_UNKNOWN) settlement.cancelled(ticket, error);
    requestTurn();
  }

  /** Cancels every task of this place. */
  cancelAt(place: number, error: () => Error): void {
    const { dispatcher, submissions } = this.#parts;
    submissions.flush();
    const tickets = [...this.#waitingRoom.ticketsAt(place), ...dispatcher.ticketsAt(place)];
    for (const ticket of tickets) this.cancel(ticket, error());
  }

  /**
   * For a task, when it runs.
   *
   * @throws DataCloneError, FrameTooLargeError
   */
  send(ticket: number, message: unknown): void {
    const { dispatcher, submissions, requestTurn } = this.#parts;
    const letter = encodePayload(message, 'message');
    submissions.checkSize('the message', LETTER_FIELDS + letter.byteLength);
    const visitor = this.#waitingRoom.find(ticket);
    if (visitor !== undefined) {
      visitor.letters.push(Uint8Array.from(letter));
      return;
    }
    // The task first; the letter lies in memory that this may use.
    const copy = submissions.pending > 0 ? Uint8Array.from(letter) : letter;
    submissions.flush();
    dispatcher.sendTo(ticket, copy);
    requestTurn();
  }

  /** Nothing waits any more, wherever it waited, nor will. */
  drop(): void {
    const { dispatcher, submissions, requestTurn } = this.#parts;
    for (const visitor of this.#waitingRoom.clear()) this.#enter(visitor);
    submissions.flush();
    dispatcher.drop();
    requestTurn();
  }

  #enterOutside(submission: Submission): number {
    const { submissions } = this.#parts;
    const { spec, waiter, name, level, flags, policy, place } = submission;
    const { deadlineMs } = policy;
    const payload = Uint8Array.from(submissions.encode(spec));
    const ticket = submissions.reserve(waiter, name);
    const id = submissions.lastId;
    const expire = () => this.cancel(ticket, deadlineMissed(id, name));
    const deadline =
      deadlineMs === 0
        ? undefined
        : { at: performance.now() + deadlineMs, timer: setTimeout(expire, deadlineMs).unref() };
    this.#waitingRoom.enter({ ticket, id, fields: { level, flags, policy, place }, payload, deadline, letters: [] });
    return ticket;
  }

  #enter({ ticket, id, fields, payload, deadline, letters }: Visitor): void {
    const { submissions, dispatcher } = this.#parts;
    clearTimeout(deadline?.timer);
    // What is left of it.
    const deadlineMs = deadline === undefined ? 0 : Math.max(1, Math.ceil(deadline.at - performance.now()));
    submissions.write(ticket, id, { ...fields, policy: { ...fields.policy, deadlineMs } }, payload);
    if (letters.length > 0) submissions.flush();
    for (const letter of letters) dispatcher.sendTo(ticket, letter);
  }

  #hasRoom(): boolean {
    if (this.#hasPlace()) return true;
    // What workers can take now is not waiting.
    if (this.#waitingRoom.size === 0) this.#parts.turn();
    return this.#hasPlace();
  }

  /** Nobody overtakes those who wait for room already. */
  #hasPlace(): boolean {
    if (this.#parts.maxQueue === Number.POSITIVE_INFINITY) return true;
    return this.#waitingRoom.size === 0 && this.#places() > 0;
  }

  /** Tasks that come back from workers, or that tasks schedule, take none: nobody could wait for them. */
  #places(): number {
    const { counts, submissions, maxQueue } = this.#parts;
    return maxQueue - counts.refresh().get('fresh') - submissions.pending;
  }
}
