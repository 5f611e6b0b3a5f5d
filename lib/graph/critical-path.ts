// The chain of tasks that decided how long it all took.

import { dependentsOf, runTime } from '../task/graph-nodes.js';
import type { GraphNode } from '../task/graph-snapshot.js';

/** A chain of tasks, each of which requires the one before it. */
export interface CriticalPath {
  readonly nodes: readonly GraphNode[];
  /** How long they ran, in all. */
  readonly ms: number;
}

/**
 * The longest chain of run times through what tasks require, by one pass in the order of the requirements (the critical
 * path method of Kelley and Walker, 1959). Of chains that are equally long, the one that comes first. Empty when nothing has run.
 */
export function criticalPathOf(nodes: readonly GraphNode[]): CriticalPath {
  const ends = new Map<
    string,
    { readonly node: GraphNode; readonly ms: number; readonly before: string | undefined }
  >();
  const msOf = (id: string | undefined) => (id === undefined ? 0 : (ends.get(id)?.ms ?? 0));
  let last: string | undefined;
  for (const node of inOrder(nodes)) {
    let before: string | undefined;
    for (const id of node.requires) if (msOf(id) > msOf(before)) before = id;
    const ms = msOf(before) + (runTime(node) ?? 0);
    ends.set(node.id, { node, ms, before });
    if (ms > msOf(last)) last = node.id;
  }
  const path: GraphNode[] = [];
  for (let end = ends.get(last ?? ''); end !== undefined; end = ends.get(end.before ?? '')) path.push(end.node);
  return { nodes: path.reverse(), ms: msOf(last) };
}

/** What is required before what requires it; tasks that require each other are left out. */
function inOrder(nodes: readonly GraphNode[]): GraphNode[] {
  const dependents = dependentsOf(nodes);
  const ids = new Set(nodes.map(({ id }) => id));
  const missing = new Map(nodes.map((node) => [node.id, new Set(node.requires.filter((id) => ids.has(id))).size]));
  const order = nodes.filter(({ id }) => missing.get(id) === 0);
  // What becomes ready meanwhile is appended, and comes in its turn.
  for (const { id } of order) {
    for (const node of dependents.get(id) ?? []) {
      const left = (missing.get(node.id) as number) - 1;
      missing.set(node.id, left);
      if (left === 0) order.push(node);
    }
  }
  return order;
}
