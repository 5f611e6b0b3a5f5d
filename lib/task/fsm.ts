// A finite state machine: what tasks and runs are.

import { FSMError, InvalidArgumentError } from '../errors.js';
import { Audience } from './audience.js';
import { type MachineDotOptions, machineAsDot } from './fsm-dot.js';
import { type FSMOptions, MachineKind, quote, quoteAll } from './machine-kind.js';
import { isRecord, type Transition, type TransitionExtra } from './transitions.js';

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
  readonly #kind: MachineKind<S, E>;
  #state: S | undefined;
  // Most machines are never listened to.
  #audience: Audience<Transition<S, E>> | undefined;

  /**
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for a table without a state, a row that is no object, a
   * state that is not in the table, a state that is called `any`, and the name `__proto__`.
   */
  constructor(options: FSMOptions<S, E> | MachineKind<S, E>) {
    this.#kind = options instanceof MachineKind ? options : new MachineKind(options);
    this.#state = this.#kind.state;
    if (this.#kind.hasHistory) this.#audience = new Audience(true);
  }

  /** Undefined when there is none yet. */
  get state(): S | undefined {
    return this.#state;
  }

  /** A copy of what has happened, the oldest first; undefined unless the machine keeps it (option `history`). */
  get history(): readonly Transition<S, E>[] | undefined {
    return this.#audience?.history?.slice();
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
  fire(event: E, extra: TransitionExtra = NOTHING): S {
    // Before the state is looked at: an accessor in there may do anything.
    const values = extra === NOTHING ? extra : copyOf(extra);
    const oldState = this.state;
    const newState = oldState === undefined ? undefined : this.#kind.table.get(oldState)?.get(event);
    if (oldState === undefined || newState === undefined) throw this.#refusal(event);
    if (!this.isFollowed) {
      this.store(newState);
      this.moved(event, values);
      return newState;
    }
    const when = performance.timeOrigin + performance.now();
    const transition = Object.freeze({ oldState, newState, event, when, extra: values });
    this.store(newState);
    this.#audience?.tell(transition, () => this.moved(event, values));
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
    if (state !== 'any') this.#kind.checkState(state);
    if (typeof callback !== 'function') {
      throw new InvalidArgumentError(`a callback of a state machine is a function, not ${typeof callback}`);
    }
    this.#audience ??= new Audience(false);
    return this.#audience.add(state, callback);
  }

  /**
   * The machine as a directed graph in the DOT language: its states in the order of the table, its present state filled,
   * an edge for each event.
   *
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT)
   */
  asDot(options?: MachineDotOptions): string {
    return machineAsDot(this.#kind.table, this.state, this.#audience?.history, options);
  }

  /**
   * Takes the new state over. Who has the state elsewhere, as in a row of a database, overrides both this and `state`;
   * what it throws is what `fire` throws, and then nothing has changed.
   */
  protected store(state: S): void {
    this.#state = state;
  }

  /** For what belongs to a transition: called when it has happened, and before anybody is told. It must not throw. */
  protected moved(_event: E, _extra: TransitionExtra): void {}

  /** Whether somebody listens, or the history is kept. */
  protected get isFollowed(): boolean {
    return this.#audience?.isEmpty === false;
  }

  #row(): ReadonlyMap<E, S> | undefined {
    const { state } = this;
    return state === undefined ? undefined : this.#kind.table.get(state);
  }

  #refusal(event: E): FSMError {
    const { state } = this;
    const allowed = this.events();
    const where = state === undefined ? 'where there is no state yet' : `in state ${quote(state)}`;
    const rest = allowed.length === 0 ? 'no event is' : `allowed: ${quoteAll(allowed)}`;
    return new FSMError(`event ${quote(event)} is not allowed ${where}; ${rest}`, { state, event, allowed });
  }
}

/** In place of no extra. */
const NOTHING: TransitionExtra = Object.freeze({});

function copyOf(extra: TransitionExtra): TransitionExtra {
  if (!isRecord(extra)) throw new InvalidArgumentError('extra is an object of named values');
  return Object.freeze({ ...extra });
}
