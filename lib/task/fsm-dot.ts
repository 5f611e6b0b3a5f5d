// The picture of a state machine.

import { InvalidArgumentError } from '../errors.js';
import { checkKnown, ownOptions } from '../own-options.js';
import { type DotOptions, dotAttributes, dotGraph, dotId, dotLabel, dotString } from './dot.js';
import { isRecord, type Transition, type TransitionTable } from './transitions.js';

/** Options of a state machine's picture. */
export interface MachineDotOptions extends DotOptions {
  /** DOT attributes of the edges that the machine's `history` has gone along, such as `{ color: 'red' }`; none unless given. */
  readonly historyStyle?: Readonly<Record<string, string>>;
}

const PRESENT = { style: 'filled', fillcolor: 'lightgray' };

/** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) */
export function machineAsDot(
  table: TransitionTable<string, string>,
  state: string | undefined,
  history: readonly Transition[] = [],
  options?: MachineDotOptions,
): string {
  const given = ownOptions(options, 'the options of a picture');
  checkKnown(given, ['name', 'sep', 'historyStyle'], "a machine's picture");
  const style = checkStyle(given.historyStyle);
  const trodden = new Set(history.map(({ oldState, event }) => JSON.stringify([oldState, event])));
  const lines: string[] = [];
  for (const [from, row] of table) {
    lines.push(`${dotId(from)}${dotAttributes({ label: dotLabel(from), ...(from === state && PRESENT) })};`);
    for (const [event, to] of [...row].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const isTrodden = trodden.has(JSON.stringify([from, event]));
      const attributes = dotAttributes({ label: dotLabel(event), ...(isTrodden && style) });
      lines.push(`${dotId(from)}->${dotId(to)}${attributes};`);
    }
  }
  return dotGraph(lines, given);
}

function checkStyle(style: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  if (!isRecord(style) || !Object.values(style).every((value) => typeof value === 'string')) {
    throw new InvalidArgumentError('historyStyle is an object of strings');
  }
  return Object.fromEntries(Object.entries(style).map(([key, value]) => [key, dotString(value)]));
}
