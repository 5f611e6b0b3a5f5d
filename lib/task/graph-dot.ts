// The picture of a graph of tasks in the DOT language.

import { duration } from '../figures.js';
import { checkKnown, flag, ownOptions } from '../own-options.js';
import { type DotOptions, dotAttributes, dotGraph, dotId, dotLabel } from './dot.js';
import { FILL } from './fill-colors.js';
import { checkSnapshot, dependentsOf, runTime } from './graph-nodes.js';
import type { GraphNode, GraphSnapshot } from './graph-snapshot.js';

/** Options of a graph's picture as DOT. */
export interface GraphDotOptions extends DotOptions {
  /** Whether a task that has ended shows how long it ran; false unless given. */
  readonly timings?: boolean;
}

/**
 * A graph of tasks as a directed graph in the DOT language: each task with its name and state, coloured by state, in the
 * order of the snapshot, and below it an edge to each task that requires it, by the names of those. The same snapshot gives
 * the same text. Edges from tasks that are not drawn come last.
 *
 * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT)
 */
export function graphAsDot(snapshot: GraphSnapshot, options?: GraphDotOptions): string {
  const given = ownOptions(options, 'the options of a picture');
  checkKnown(given, ['name', 'sep', 'timings'], "a graph's picture");
  return decoratedDot(snapshot, given);
}

/** More attributes of nodes and edges, for pictures that show more than the states. */
export interface Decoration {
  /** In place of its name and state. */
  label?(node: GraphNode): string;
  node(node: GraphNode): Readonly<Record<string, string>>;
  edge(from: string, to: string): Readonly<Record<string, string>>;
}

/**
 * The same with options that were checked, and more attributes.
 *
 * @param drawn how many nodes have lines, their own and their edges, also those to nodes behind them. Unless given, all have, and
 * so do those that are not there but are required.
 */
export function decoratedDot(
  snapshot: GraphSnapshot,
  { timings = false, ...graph }: GraphDotOptions,
  decoration?: Decoration,
  drawn?: number,
): string {
  flag('timings', timings);
  const nodes = checkSnapshot(snapshot);
  const dependents = dependentsOf(nodes);
  for (const list of dependents.values()) list.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const lines: string[] = [];
  const addEdges = (from: string): void => {
    for (const { id } of dependents.get(from) ?? []) {
      const attributes = Object.entries(decoration?.edge(from, id) ?? {});
      const text = attributes.length === 0 ? '' : dotAttributes(Object.fromEntries(attributes));
      lines.push(`${dotId(from)}->${dotId(id)}${text};`);
    }
    dependents.delete(from);
  };
  for (const node of nodes.slice(0, drawn)) {
    const { id, state } = node;
    const label = dotLabel(labelOf(node, timings, decoration));
    const attributes = { style: 'filled', fillcolor: FILL[state] ?? 'white', label, ...decoration?.node(node) };
    lines.push(`${dotId(id)}${dotAttributes(attributes)};`);
    addEdges(id);
  }
  if (drawn === undefined) for (const id of [...dependents.keys()]) addEdges(id);
  return dotGraph(lines, graph);
}

function labelOf(node: GraphNode, timings: boolean, decoration: Decoration | undefined): string {
  const ms = timings ? runTime(node) : undefined;
  const text = decoration?.label?.(node) ?? `${node.name}\n${node.state}`;
  return ms === undefined ? text : `${text}\n${duration(ms)}`;
}
