// The nodes of a graph: whether they are any, and what can be told from them.

import { look } from '../describe.js';
import { InvalidArgumentError } from '../errors.js';
import type { GraphNode, GraphSnapshot } from './graph-snapshot.js';
import { TASK_TRANSITIONS } from './task-states.js';

/** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for what is no snapshot, as one that was read from a file may be. */
export function checkSnapshot(snapshot: GraphSnapshot): readonly GraphNode[] {
  const nodes: unknown = (snapshot as GraphSnapshot | null | undefined)?.nodes;
  if (!Array.isArray(nodes)) throw new InvalidArgumentError('a snapshot of a graph is an object with a list of nodes');
  const ids = new Set<string>();
  for (const node of nodes as GraphNode[]) {
    if (!isNode(node)) {
      throw new InvalidArgumentError(`a node of the graph lacks something, or has it of the wrong kind: ${look(node)}`);
    }
    const { id } = node;
    if (ids.has(id)) throw new InvalidArgumentError(`the graph has two nodes ${id}`);
    ids.add(id);
  }
  return nodes as GraphNode[];
}

/** Of a Date, in milliseconds. */
const LATEST = 8.64e15;

function isNode(node: GraphNode | null | undefined): boolean {
  const { id, name, state, requires, queuedAt, startedAt, endedAt, key, worker, error } =
    node ?? ({} as Partial<GraphNode>);
  return (
    typeof id === 'string' &&
    id !== '' &&
    typeof name === 'string' &&
    state !== undefined &&
    Object.hasOwn(TASK_TRANSITIONS, state) &&
    Array.isArray(requires) &&
    requires.every((other) => typeof other === 'string') &&
    [queuedAt, startedAt, endedAt].every((time) => time === undefined || Math.abs(time) <= LATEST) &&
    [key, worker, error].every((text) => text === undefined || typeof text === 'string')
  );
}

/** Milliseconds between start and end; undefined for a task that has not been run to its end. */
export function runTime({ startedAt, endedAt }: GraphNode): number | undefined {
  return startedAt === undefined || endedAt === undefined ? undefined : Math.max(0, endedAt - startedAt);
}

/** By the ids of tasks those that require them, in the order of the nodes. */
export function dependentsOf(nodes: readonly GraphNode[]): Map<string, GraphNode[]> {
  const dependents = new Map<string, GraphNode[]>();
  for (const node of nodes) {
    for (const id of new Set(node.requires)) {
      const known = dependents.get(id);
      if (known === undefined) dependents.set(id, [node]);
      else known.push(node);
    }
  }
  return dependents;
}
