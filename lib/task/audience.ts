// Who is told of the transitions of a state machine, and what is remembered of them.

import type { Transition } from './transitions.js';
import { warnThrown } from './warn.js';

interface Listener<T extends Transition> {
  readonly state: T['newState'] | 'any';
  readonly callback: (transition: T) => unknown;
}

export class Audience<T extends Transition> {
  readonly #history: T[] | undefined;
  readonly #listeners = new Set<Listener<T>>();
  #undelivered: { transition: T; listeners: Listener<T>[] }[] | undefined;

  constructor(hasHistory: boolean) {
    if (hasHistory) this.#history = [];
  }

  get history(): readonly T[] | undefined {
    return this.#history;
  }

  /** Nobody listens, and nothing is kept. */
  get isEmpty(): boolean {
    return this.#history === undefined && this.#listeners.size === 0;
  }

  /** Returns what takes it away. */
  add(state: T['newState'] | 'any', callback: (transition: T) => unknown): () => void {
    const listener = { state, callback };
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** A transition has happened; `then` is what belongs to it, before anybody is told. */
  tell(transition: T, then: () => void): void {
    this.#history?.push(transition);
    // By a callback, or by what `then` calls: it is told when its turn comes.
    const isNested = this.#undelivered !== undefined;
    this.#undelivered ??= [];
    this.#undelivered.push({ transition, listeners: this.#listenersOf(transition.newState) });
    try {
      then();
    } finally {
      if (!isNested) this.#deliver();
    }
  }

  #listenersOf(state: T['newState']): Listener<T>[] {
    const all = [...this.#listeners];
    return [...all.filter((one) => one.state === 'any'), ...all.filter((one) => one.state === state)];
  }

  #deliver(): void {
    // What callbacks fire meanwhile is appended, and comes in its turn.
    for (const { transition, listeners } of this.#undelivered ?? []) {
      for (const listener of listeners) if (this.#listeners.has(listener)) callBack(listener.callback, transition);
    }
    this.#undelivered = undefined;
  }
}

function callBack<T extends Transition>(callback: (transition: T) => unknown, transition: T): void {
  const warn = (error: unknown): void => {
    const { oldState, event, newState } = transition;
    warnThrown(`a callback of ${oldState}->${event}->${newState}`, error);
  };
  try {
    const result = callback(transition);
    if (result instanceof Promise) result.catch(warn);
  } catch (error) {
    warn(error);
  }
}
