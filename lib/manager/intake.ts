// How tasks come in, and go before they have begun: the queue's bound, those who wait outside of it, and cancelling.

import { QueueFullError } from '../errors.js';
import type { NativeDispatcher } from '../native.js';
import type { Settlement } from './settlement.js';
import type { CountReader } from './stats.js';
import type { Submission, Submissions } from './submissions.js';
import { WaitingRoom } from './waiting-room.js';

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
  readonly #waitingRoom = new WaitingRoom();

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  /** Tasks that wait for room. */
  get outside(): number {
    return this.#waitingRoom.size;
  }

  /**
   * Takes a task; the payload is copied. Returns its ticket.
   *
   * @throws QueueFullError (ERR_BOSUN_QUEUE_FULL) when there is no room and tasks do not wait for it.
   * @throws the reason of a signal that is aborted already; nothing was taken then.
   */
  take(submission: Submission, signal: AbortSignal | undefined): number {
    signal?.throwIfAborted();
    const { submissions, settlement, waitsWhenFull } = this.#parts;
    const hasRoom = this.#hasRoom();
    if (!hasRoom && !waitsWhenFull) throw new QueueFullError();
    const { waiter, name, policy } = submission;
    const ticket = submissions.add(waiter, name);
    const id = submissions.lastId;
    if (hasRoom) submissions.write(ticket, id, submission);
    else this.#waitingRoom.enter({ ticket, id, submission });
    if (policy.backoff !== undefined) settlement.useBackoff(ticket, policy.backoff);
    if (signal !== undefined) settlement.signals.watch(signal, ticket);
    return ticket;
  }

  /** Resolves when a task would be accepted at once. */
  room(): Promise<void> {
    return this.#hasRoom() ? Promise.resolve() : this.#waitingRoom.room();
  }

  /** Lets in who waits outside, as far as there is room. To be called after each turn. */
  admit(): void {
    const { submissions, maxQueue, requestTurn } = this.#parts;
    if (maxQueue === Number.POSITIVE_INFINITY) return;
    this.#waitingRoom.admit(
      () => this.#fits(),
      ({ ticket, id, submission }) => {
        submissions.write(ticket, id, submission);
        requestTurn();
      },
    );
  }

  /** @param error what the task is to reject with. */
  cancel(ticket: number, error: unknown): void {
    const { dispatcher, submissions, settlement, requestTurn } = this.#parts;
    if (this.#waitingRoom.leave(ticket)) {
      settlement.dropOutside(ticket, error);
    } else {
      submissions.flush();
      // One that has ended already, though it has not been read yet, ends as it did.
      if (dispatcher.cancel(ticket) !== CANCEL_UNKNOWN) settlement.cancelled(ticket, error);
    }
    requestTurn();
  }

  /** Nothing waits any more, wherever it waited, nor will. */
  drop(reason: unknown): void {
    const { dispatcher, submissions, settlement, requestTurn } = this.#parts;
    submissions.flush();
    dispatcher.drop();
    for (const { ticket } of this.#waitingRoom.clear()) settlement.dropOutside(ticket, reason);
    requestTurn();
  }

  /** Nobody overtakes those who wait for room already. */
  #hasRoom(): boolean {
    if (this.#parts.maxQueue === Number.POSITIVE_INFINITY) return true;
    if (this.#waitingRoom.size > 0) return false;
    if (this.#fits()) return true;
    // What workers can take now is not waiting.
    this.#parts.turn();
    return this.#fits();
  }

  #fits(): boolean {
    const { counts, submissions, maxQueue } = this.#parts;
    return counts.refresh().get('waiting') + submissions.pending < maxQueue;
  }
}
