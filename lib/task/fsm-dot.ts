// The picture of a state machine.

import { InvalidArgumentError } from '../errors.js';
import { checkKnown, ownOptions } from '../own-options.js';
import { dotAttributes, dotId, dotLabel, dotString } from './dot.js';
import { isRecord, type Transition, type TransitionTable } from './transitions.js';

/** Options of a state machine's picture. */
export interface MachineDotOptions {
  /** Of the graph; none unless given. */
  readonly name?: string;
  /** Between the lines; a line end unless given. */
  readonly sep?: string;
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
  const { name, sep, style } = checkOptions(options);
  const trodden = new Set(history.map(({ oldState, event }) => JSON.stringify([oldState, event])));
  const lines = [name === undefined ? 'digraph {' : `digraph ${dotId(name)} {`];
  for (const [from, row] of table) {
    lines.push(`  ${dotId(from)}${dotAttributes({ label: dotLabel(from), ...(from === state && PRESENT) })};`);
    for (const [event, to] of [...row].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const isTrodden = trodden.has(JSON.stringify([from, event]));
      const attributes = dotAttributes({ label: dotLabel(event), ...(isTrodden && style) });
      lines.push(`  ${dotId(from)}->${dotId(to)}${attributes};`);
    }
  }
  return [...lines, '}'].join(sep);
}

function checkOptions(given: MachineDotOptions | undefined) {
  const options = ownOptions(given, 'the options of a picture');
  checkKnown(options, ['name', 'sep', 'historyStyle'], "a machine's picture");
  const { name, sep = '\n', historyStyle = {} } = options;
  if (name !== undefined && typeof name !== 'string') throw new InvalidArgumentError("a graph's name is a string");
  // Anything else would become a part of the graph.
  if (typeof sep !== 'string' || !/^\s*$/.test(sep)) throw new InvalidArgumentError('sep is white space');
  if (!isRecord(historyStyle) || !Object.values(historyStyle).every((value) => typeof value === 'string')) {
    throw new InvalidArgumentError('historyStyle is an object of strings');
  }
  const quoted = Object.entries(historyStyle).map(([key, value]) => [key, dotString(value)] as const);
  return { name, sep, style: Object.fromEntries(quoted) };
}
