// A finite state machine: what tasks and runs are.

import { describe } from '../describe.js';
import { FSMError, InvalidArgumentError } from '../errors.js';
import { checkKnown, ownOptions } from '../own-options.js';
import { type MachineDotOptions, machineAsDot } from './fsm-dot.js';
import {
  isRecord,
  type Transition,
  type TransitionExtra,
  type Transitions,
  type TransitionTable,
  transitionTable,
} from './transitions.js';

/** Options of a state machine. */
export interface FSMOptions<S extends string, E extends string> {
  /** At least one state. It is copied. */
  readonly transitions: Transitions<S, E>;
  /** The first state; that of the table unless given. Null is none yet: see `store`. */
  readonly state?: S | null;
  /** Whether transitions are kept, all of them; false unless given. */
  readonly history?: boolean;
}

interface Listener<S extends string, E extends string> {
  readonly state: S | 'any';
  readonly callback: (transition: Transition<S, E>) => unknown;
}

/**
 * A finite state machine. Events move it from state to state as its table says; an event that the table does not have
 * for the present state is an error, and changes nothing.
 *
 * @example
 * const door = new FSM<'OPEN' | 'SHUT', 'open' | 'shut'>({
 *   transitions: { SHUT: { open: 'OPEN' }, OPEN: { shut: 'SHUT' } },
 * });
 * door.on('OPEN', ({ oldState, extra }) => console.log(oldState, extra.by));
 * door.fire('open', { by: 'me' });
 */
export class FSM<S extends string = string, E extends string = string> {
  readonly #table: TransitionTable<S, E>;
  readonly #history: Transition<S, E>[] | undefined;
  #state: S | undefined;
  // Most machines are never listened to.
  #listeners: Set<Listener<S, E>> | undefined;
  #undelivered: { transition: Transition<S, E>; listeners: Listener<S, E>[] }[] | undefined;

  /**
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for a table without a state, a row that is no object, a
   * state that is not in the table, a state that is called `any`, and the name `__proto__`.
   */
  constructor(options: FSMOptions<S, E>) {
    const given = ownOptions(options, 'the options of a state machine');
    checkKnown(given, ['transitions', 'state', 'history'], 'a state machine');
    const { transitions, state, history = false } = given;
    if (typeof history !== 'boolean') throw new InvalidArgumentError('history is true or false');
    this.#table = transitionTable(transitions);
    if (state === undefined) [this.#state] = this.#table.keys();
    else if (state !== null) this.#state = this.#checkState(state);
    if (history) this.#history = [];
  }

  /** Undefined when there is none yet. */
  get state(): S | undefined {
    return this.#state;
  }

  /** A copy of what has happened, the oldest first; undefined unless the machine keeps it (option `history`). */
  get history(): readonly Transition<S, E>[] | undefined {
    return this.#history?.slice();
  }

  /** The events that are allowed now, in the order of the table. */
  events(): E[] {
    return [...(this.#row()?.keys() ?? [])];
  }

  /** Whether `fire` would take it now. */
  isAllowed(event: E): boolean {
    return this.#row()?.has(event) ?? false;
  }

  /**
   * Moves to the next state, then calls back those who listen. What they throw, or reject with, is a process warning
   * (BOSUN_W003) and stops nothing.
   *
   * A callback may fire too. That moves the machine at once, but is told when everybody has been told of what came
   * before: so each hears of all transitions in their order, and `state` may be ahead of what a callback is told.
   *
   * @param extra named values for the callbacks and the history; copied.
   * @returns where the event has led to.
   * @throws FSMError (ERR_BOSUN_FSM) when the event is not allowed now.
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) when `extra` is no plain object. Neither changes anything.
   */
  fire(event: E, extra: TransitionExtra = {}): S {
    if (!isRecord(extra)) throw new InvalidArgumentError('extra is an object of named values');
    // Before the state is looked at: an accessor in there may do anything.
    const values = Object.freeze({ ...extra });
    const oldState = this.state;
    const newState = this.#row()?.get(event);
    if (oldState === undefined || newState === undefined) throw this.#refusal(event);
    const when = performance.timeOrigin + performance.now();
    const transition = Object.freeze({ oldState, newState, event, when, extra: values });
    this.store(newState);
    this.#history?.push(transition);
    // By a callback, or by what `moved` calls: it is told when its turn comes.
    const isNested = this.#undelivered !== undefined;
    this.#undelivered ??= [];
    this.#undelivered.push({ transition, listeners: this.#listenersOf(newState) });
    try {
      this.moved(transition);
    } finally {
      if (!isNested) this.#deliver();
    }
    return newState;
  }

  /**
   * Calls back after each transition into a state, or after every one: first those for any state, then those for this
   * one, each in the order in which they came. From a state to itself is a transition too.
   *
   * @returns takes the callback away: it is not called again, not even for a transition that others are being told of.
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for a state that the table does not have.
   */
  on(state: S | 'any', callback: (transition: Transition<S, E>) => unknown): () => void {
    if (state !== 'any') this.#checkState(state);
    if (typeof callback !== 'function') {
      throw new InvalidArgumentError(`a callback of a state machine is a function, not ${typeof callback}`);
    }
    const listener = { state, callback };
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
    return () => {
      this.#listeners?.delete(listener);
    };
  }

  /**
   * The machine as a directed graph in the DOT language: its states in the order of the table, its present state filled,
   * an edge for each event.
   *
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT)
   */
  asDot(options?: MachineDotOptions): string {
    return machineAsDot(this.#table, this.state, this.#history, options);
  }

  /**
   * Takes the new state over. Who has the state elsewhere, as in a row of a database, overrides both this and `state`;
   * what it throws is what `fire` throws, and then nothing has changed.
   */
  protected store(state: S): void {
    this.#state = state;
  }

  /** For what belongs to a transition: called when it has happened, and before anybody is told. It must not throw. */
  protected moved(_transition: Transition<S, E>): void {}

  #row(): ReadonlyMap<E, S> | undefined {
    const { state } = this;
    return state === undefined ? undefined : this.#table.get(state);
  }

  #checkState(state: S): S {
    if (this.#table.has(state)) return state;
    throw new InvalidArgumentError(`there is no state ${quote(state)}; there are ${quoteAll(this.#table.keys())}`);
  }

  #refusal(event: E): FSMError {
    const { state } = this;
    const allowed = this.events();
    const where = state === undefined ? 'where there is no state yet' : `in state ${quote(state)}`;
    const rest = allowed.length === 0 ? 'no event is' : `allowed: ${quoteAll(allowed)}`;
    return new FSMError(`event ${quote(event)} is not allowed ${where}; ${rest}`, { state, event, allowed });
  }

  #listenersOf(state: S): Listener<S, E>[] {
    if (this.#listeners === undefined) return [];
    const all = [...this.#listeners];
    return [...all.filter((one) => one.state === 'any'), ...all.filter((one) => one.state === state)];
  }

  #deliver(): void {
    // What callbacks fire meanwhile is appended, and comes in its turn.
    for (const { transition, listeners } of this.#undelivered ?? []) {
      for (const listener of listeners) if (this.#listeners?.has(listener)) callBack(listener.callback, transition);
    }
    this.#undelivered = undefined;
  }
}

function callBack<T extends Transition>(callback: (transition: T) => unknown, transition: T): void {
  const warn = (error: unknown): void => {
    const { oldState, event, newState } = transition;
    process.emitWarning(`a callback of ${oldState}->${event}->${newState} threw ${describe(error)}`, {
      code: 'BOSUN_W003',
    });
  };
  try {
    const result = callback(transition);
    if (result instanceof Promise) result.catch(warn);
  } catch (error) {
    warn(error);
  }
}

const quote = (name: unknown): string => `'${describe(name)}'`;
const quoteAll = (names: Iterable<string>): string => Array.from(names, quote).join(', ');
