// The picture of a graph of tasks in the DOT language.

import { describe } from '../describe.js';
import { duration } from '../duration.js';
import { InvalidArgumentError } from '../errors.js';
import { checkKnown, ownOptions } from '../own-options.js';
import { type DotOptions, dotAttributes, dotGraph, dotId, dotLabel } from './dot.js';
import type { GraphNode, GraphSnapshot } from './graph-snapshot.js';
import { TASK_TRANSITIONS, type TaskState } from './task-states.js';

/** Options of a graph's picture as DOT. */
export interface GraphDotOptions extends DotOptions {
  /** Whether a task that has ended shows how long it ran; false unless given. */
  readonly timings?: boolean;
}

/** States that are not here are white. */
const FILL: { readonly [state in TaskState]?: string } = {
  RUNNING: 'yellow',
  DONE: 'green',
  FAILED: 'red',
  CANCELLED: 'gray',
  ABORT: 'darkred',
};

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
  node(node: GraphNode): Readonly<Record<string, string>>;
  edge(from: string, to: string): Readonly<Record<string, string>>;
}

/** The same with options that were checked, and more attributes. */
export function decoratedDot(
  snapshot: GraphSnapshot,
  { timings = false, ...graph }: GraphDotOptions,
  decoration?: Decoration,
): string {
  if (typeof timings !== 'boolean') throw new InvalidArgumentError('timings is true or false');
  const nodes = checkSnapshot(snapshot);
  const dependents = dependentsOf(nodes);
  const lines: string[] = [];
  const addEdges = (from: string): void => {
    for (const { id } of dependents.get(from) ?? []) {
      const attributes = Object.entries(decoration?.edge(from, id) ?? {});
      const text = attributes.length === 0 ? '' : dotAttributes(Object.fromEntries(attributes));
      lines.push(`${dotId(from)}->${dotId(id)}${text};`);
    }
    dependents.delete(from);
  };
  for (const node of nodes) {
    const { id, state } = node;
    const label = dotLabel(labelOf(node, timings));
    const attributes = { style: 'filled', fillcolor: FILL[state] ?? 'white', label, ...decoration?.node(node) };
    lines.push(`${dotId(id)}${dotAttributes(attributes)};`);
    addEdges(id);
  }
  for (const id of [...dependents.keys()]) addEdges(id);
  return dotGraph(lines, graph);
}

/** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for what is no snapshot, as one that was read from a file may be. */
export function checkSnapshot(snapshot: GraphSnapshot): readonly GraphNode[] {
  const nodes: unknown = (snapshot as GraphSnapshot | null | undefined)?.nodes;
  if (!Array.isArray(nodes)) throw new InvalidArgumentError('a snapshot of a graph is an object with a list of nodes');
  const ids = new Set<string>();
  for (const node of nodes as GraphNode[]) {
    const { id, name, state, requires } = node;
    const isNode =
      typeof id === 'string' &&
      typeof name === 'string' &&
      Object.hasOwn(TASK_TRANSITIONS, state) &&
      Array.isArray(requires) &&
      requires.every((other) => typeof other === 'string');
    if (!isNode)
      throw new InvalidArgumentError(`node ${describe(id)} of the graph lacks a name, a state or what it requires`);
    if (ids.has(id)) throw new InvalidArgumentError(`the graph has two nodes ${id}`);
    ids.add(id);
  }
  return nodes as GraphNode[];
}

/** Milliseconds between start and end; undefined for a task that has not been run to its end. */
export function runTime({ startedAt, endedAt }: GraphNode): number | undefined {
  return startedAt === undefined || endedAt === undefined ? undefined : Math.max(0, endedAt - startedAt);
}

function labelOf(node: GraphNode, timings: boolean): string {
  const ms = timings ? runTime(node) : undefined;
  return `${node.name}\n${node.state}${ms === undefined ? '' : `\n${duration(ms)}`}`;
}

/** Who requires a task, by name; those of one name in their order. */
function dependentsOf(nodes: readonly GraphNode[]): Map<string, GraphNode[]> {
  const dependents = new Map<string, GraphNode[]>();
  for (const node of nodes) {
    for (const id of new Set(node.requires)) {
      const known = dependents.get(id);
      if (known === undefined) dependents.set(id, [node]);
      else known.push(node);
    }
  }
  for (const list of dependents.values()) list.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  return dependents;
}
