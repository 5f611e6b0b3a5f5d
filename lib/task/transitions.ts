// The table of a state machine, as users give it and as it is used.

import { describe } from '../describe.js';
import { InvalidArgumentError } from '../errors.js';

/** Named values for whoever hears of a transition. */
export type TransitionExtra = Readonly<Record<string, unknown>>;

/** One step of a state machine. Frozen. */
export interface Transition<S extends string = string, E extends string = string> {
  readonly oldState: S;
  readonly newState: S;
  readonly event: E;
  /** Milliseconds since the epoch, with a fraction; never less than in the transition before. */
  readonly when: number;
  /** A frozen copy of what `fire` was given; empty when that was nothing. */
  readonly extra: TransitionExtra;
}

/**
 * From each state by each event that is allowed there to the next state. A state without a row is final. The compiler
 * cannot find out the names of states that nothing leads to: name them, `new FSM<'A' | 'B', 'go'>(...)`.
 */
export type Transitions<S extends string, E extends string> = {
  readonly [state in S]?: { readonly [event in E]?: S };
};

/** The same, checked and copied. Every state has a row: those of the table first, final ones behind them. */
export type TransitionTable<S extends string, E extends string> = ReadonlyMap<S, ReadonlyMap<E, S>>;

/** What cannot change is checked once, however many machines share it. */
const checked = new WeakMap<object, TransitionTable<string, string>>();

/** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for what is no table, or has a name that cannot be one. */
export function transitionTable<S extends string, E extends string>(
  transitions: Transitions<S, E>,
): TransitionTable<S, E> {
  const known = checked.get(transitions);
  if (known !== undefined) return known as TransitionTable<S, E>;
  const table = readTable(transitions as Transitions<string, string>);
  if ([transitions, ...Object.values(transitions)].every(Object.isFrozen)) checked.set(transitions, table);
  return table as TransitionTable<S, E>;
}

function readTable(transitions: Transitions<string, string>): TransitionTable<string, string> {
  if (!isRecord(transitions)) throw new InvalidArgumentError('transitions are an object: state -> event -> state');
  const table = new Map<string, Map<string, string>>();
  for (const [state, row] of Object.entries(transitions)) {
    if (!isRecord(row)) throw new InvalidArgumentError(`the transitions of state '${state}' are an object`);
    table.set(checkState(state), new Map(Object.entries(row) as [string, string][]));
  }
  if (table.size === 0) throw new InvalidArgumentError('transitions have at least one state');
  // The rows of final states go behind the others, so these are what the loop is about.
  for (const [state, row] of [...table]) {
    for (const [event, next] of row) {
      if (typeof next !== 'string') {
        throw new InvalidArgumentError(`'${event}' leads from '${state}' to a state, not to ${describe(next)}`);
      }
      checkName(event);
      if (!table.has(next)) table.set(checkState(next), new Map());
    }
  }
  return table;
}

/** In a literal '__proto__' is no key, but says what the object inherits from. */
function checkName(name: string): string {
  if (name === '__proto__') throw new InvalidArgumentError(`'${name}' can be the name of no state and no event`);
  return name;
}

function checkState(name: string): string {
  if (name === 'any') throw new InvalidArgumentError("no state is called 'any': callbacks mean all states by it");
  return checkName(name);
}

/** An object of named values: no array, and no instance of a class, whose fields are not all that it is. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  // That of another realm has no prototype either.
  return (
    prototype === null || (Object.hasOwn(prototype, 'hasOwnProperty') && Object.getPrototypeOf(prototype) === null)
  );
}
