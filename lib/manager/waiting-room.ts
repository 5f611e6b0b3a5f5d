// Tasks that find the queue full and wait for room, in order of arrival (`whenFull: 'wait'`).

import type { Submission } from './submissions.js';

/** One of them; its payload is a copy. */
export interface Visitor {
  readonly ticket: number;
  readonly id: number;
  readonly submission: Submission;
}

export class WaitingRoom {
  readonly #visitors = new Map<number, Visitor>();
  #callers: (() => void)[] = [];

  get size(): number {
    return this.#visitors.size;
  }

  enter(visitor: Visitor): void {
    const { submission } = visitor;
    const payload = Uint8Array.from(submission.payload);
    this.#visitors.set(visitor.ticket, { ...visitor, submission: { ...submission, payload } });
  }

  /** True when this task was here; it is not any more. */
  leave(ticket: number): boolean {
    return this.#visitors.delete(ticket);
  }

  /** Resolves when `admit` finds room behind all who are here. */
  room(): Promise<void> {
    return new Promise((resolve) => {
      this.#callers.push(resolve);
    });
  }

  /** Calls `take` while there is room, then wakes those who wait for some. */
  admit(hasRoom: () => boolean, take: (visitor: Visitor) => void): void {
    for (const visitor of this.#visitors.values()) {
      if (!hasRoom()) return;
      this.#visitors.delete(visitor.ticket);
      take(visitor);
    }
    if (this.#callers.length > 0 && hasRoom()) for (const resolve of this.#callers.splice(0)) resolve();
  }

  /** Everybody leaves; nobody waits for room any more. */
  clear(): Visitor[] {
    const visitors = [...this.#visitors.values()];
    this.#visitors.clear();
    for (const resolve of this.#callers.splice(0)) resolve();
    return visitors;
  }
}
