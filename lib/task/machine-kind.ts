// What state machines of one kind have in common.

import { describe } from '../describe.js';
import { InvalidArgumentError } from '../errors.js';
import { checkKnown, flag, ownOptions } from '../own-options.js';
import { type Transitions, type TransitionTable, transitionTable } from './transitions.js';

/** Options of a state machine. */
export interface FSMOptions<S extends string, E extends string> {
  /** At least one state. It is copied. */
  readonly transitions: Transitions<S, E>;
  /** The first state; that of the table unless given. Null is none yet: see `store`. */
  readonly state?: S | null;
  /** Whether transitions are kept, all of them; false unless given. */
  readonly history?: boolean;
}

/** The options of a state machine, checked: once for all machines that are made of it. */
export class MachineKind<S extends string, E extends string> {
  readonly table: TransitionTable<S, E>;
  /** The first; undefined for none yet. */
  readonly state: S | undefined;
  readonly hasHistory: boolean;

  /** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) */
  constructor(options: FSMOptions<S, E>) {
    const given = ownOptions(options, 'the options of a state machine');
    checkKnown(given, ['transitions', 'state', 'history'], 'a state machine');
    const { transitions, state, history = false } = given;
    this.hasHistory = flag('history', history);
    this.table = transitionTable(transitions);
    if (state === undefined) [this.state] = this.table.keys();
    else if (state !== null) this.state = this.checkState(state);
  }

  /** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for a state that the table does not have. */
  checkState(state: S): S {
    if (this.table.has(state)) return state;
    throw new InvalidArgumentError(`there is no state ${quote(state)}; there are ${quoteAll(this.table.keys())}`);
  }
}

/** The name of a state or an event, in a message. */
export const quote = (name: unknown): string => `'${describe(name)}'`;
export const quoteAll = (names: Iterable<string>): string => Array.from(names, quote).join(', ');
