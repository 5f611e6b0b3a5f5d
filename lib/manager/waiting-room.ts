// Who waits for room in the queue: tasks (`whenFull: 'wait'`), in order of arrival, and callers of `room()`.

import type { TaskFields } from './submissions.js';

/** A task. */
export interface Visitor {
  readonly ticket: number;
  readonly id: number;
  readonly fields: TaskFields;
  /** Its own. */
  readonly payload: Uint8Array;
  /** What was sent to it meanwhile. */
  readonly letters: Uint8Array[];
  /** By when it must have begun, if it must, and what sees to that while it is here. */
  readonly deadline?: { readonly at: number; readonly timer: NodeJS.Timeout } | undefined;
}

export class WaitingRoom {
  readonly #visitors = new Map<number, Visitor>();
  #callers: (() => void)[] = [];
  /** Callers that were told that there is room, and may be about to use it. */
  #promised = 0;
  readonly #forget: () => void;
  #immediate: NodeJS.Immediate | undefined;

  /** @param forgotten is called when places were promised and may not have been taken. */
  constructor(forgotten: () => void) {
    this.#forget = () => {
      this.#immediate = undefined;
      this.#promised = 0;
      forgotten();
    };
  }

  get size(): number {
    return this.#visitors.size;
  }

  enter(visitor: Visitor): void {
    this.#visitors.set(visitor.ticket, visitor);
  }

  /** The task with this ticket, if it is here. */
  find(ticket: number): Visitor | undefined {
    return this.#visitors.get(ticket);
  }

  /** Of the tasks that may run only there. */
  ticketsAt(place: number): number[] {
    return [...this.#visitors.values()].filter(({ fields }) => fields.place === place).map(({ ticket }) => ticket);
  }

  /** The task with this ticket, if it was here; it is not any more. */
  leave(ticket: number): Visitor | undefined {
    const visitor = this.#visitors.get(ticket);
    this.#visitors.delete(ticket);
    return visitor;
  }

  /** Resolves when there is a place for one more, behind all who wait already. @param places that are free now. */
  room(places: number): Promise<void> {
    return new Promise((resolve) => {
      this.#callers.push(resolve);
      if (this.size === 0) this.#tellCallers(places);
    });
  }

  /** A place was taken. */
  taken(): void {
    if (this.#promised > 0) this.#promised -= 1;
  }

  /** Fills the places that are free now. */
  admit(places: number, take: (visitor: Visitor) => void): void {
    let left = places;
    for (const visitor of this.#visitors.values()) {
      if (left <= 0) return;
      this.#visitors.delete(visitor.ticket);
      take(visitor);
      left -= 1;
    }
    this.#tellCallers(left);
  }

  /** Each is promised a place of its own, until the event loop turns: who does not use it by then loses it. */
  #tellCallers(places: number): void {
    while (this.#callers.length > 0 && this.#promised < places) {
      this.#promised += 1;
      this.#callers.shift()?.();
    }
    if (this.#promised > 0) this.#immediate ??= setImmediate(this.#forget);
  }

  /** Everybody leaves; nobody waits for room any more. */
  clear(): Visitor[] {
    const visitors = [...this.#visitors.values()];
    this.#visitors.clear();
    for (const resolve of this.#callers.splice(0)) resolve();
    return visitors;
  }
}
