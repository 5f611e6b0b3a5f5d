// The AbortSignals that tasks are cancelled by: one listener each, however many tasks share one, and none left behind.

import { setMaxListeners } from 'node:events';

/** Numbers the tasks by their tickets. */
export class AbortSignals {
  readonly #cancel: (ticket: number, reason: unknown) => void;
  readonly #tickets = new Map<AbortSignal, Set<number>>();
  readonly #signals = new Map<number, AbortSignal>();

  /** @param cancel is called for each task of a signal that is aborted, with the signal's reason. */
  constructor(cancel: (ticket: number, reason: unknown) => void) {
    this.#cancel = cancel;
  }

  watch(signal: AbortSignal, ticket: number): void {
    let tickets = this.#tickets.get(signal);
    if (tickets === undefined) {
      tickets = new Set();
      this.#tickets.set(signal, tickets);
      // Other managers may have one there too.
      setMaxListeners(0, signal);
      signal.addEventListener('abort', this.#onAbort);
    }
    tickets.add(ticket);
    this.#signals.set(ticket, signal);
  }

  /** To be called when a task has ended; does nothing for one without a signal. */
  unwatch(ticket: number): void {
    // Most managers have none at all.
    if (this.#signals.size === 0) return;
    const signal = this.#signals.get(ticket);
    if (signal === undefined) return;
    this.#signals.delete(ticket);
    const tickets = this.#tickets.get(signal);
    tickets?.delete(ticket);
    if (tickets?.size === 0) this.#forget(signal);
  }

  #forget(signal: AbortSignal): void {
    this.#tickets.delete(signal);
    signal.removeEventListener('abort', this.#onAbort);
  }

  readonly #onAbort = (event: Event): void => {
    const signal = event.target as AbortSignal;
    const tickets = this.#tickets.get(signal);
    this.#forget(signal);
    for (const ticket of tickets ?? []) {
      this.#signals.delete(ticket);
      this.#cancel(ticket, signal.reason);
    }
  };
}
