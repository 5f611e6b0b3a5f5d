// What a graph's run comes to.

import { runTime } from '../task/graph-nodes.js';
import type { GraphNode } from '../task/graph-snapshot.js';
import type { TaskState } from '../task/task-states.js';
import { countStates } from './state-counts.js';

export interface GraphFigures {
  /** Only states that there are. */
  readonly states: ReadonlyMap<TaskState, number>;
  /** Milliseconds since the epoch of the first start; undefined when nothing has begun. */
  readonly begin: number | undefined;
  /** Milliseconds from the first start to the last thing that is known. */
  readonly wallMs: number;
  /** Milliseconds that tasks ran, in all. */
  readonly workMs: number;
  /** How many tasks ran at a time, on average. */
  readonly parallelism: number;
  /** Where tasks ran, in the order of the numbers in the names. */
  readonly workers: readonly string[];
}

/** A task that is not known to have run on a worker ran here. */
export const HERE = 'here';

export function figuresOf(nodes: readonly GraphNode[]): GraphFigures {
  const workers = new Set<string>();
  let begin = Number.POSITIVE_INFINITY;
  let end = Number.NEGATIVE_INFINITY;
  let workMs = 0;
  for (const node of nodes) {
    const { startedAt, endedAt, worker = HERE } = node;
    if (startedAt === undefined) continue;
    begin = Math.min(begin, startedAt);
    end = Math.max(end, endedAt ?? startedAt);
    workMs += runTime(node) ?? 0;
    workers.add(worker);
  }
  const wallMs = Math.max(0, end - begin);
  return {
    states: countStates(nodes),
    begin: Number.isFinite(begin) ? begin : undefined,
    wallMs,
    workMs,
    parallelism: wallMs > 0 ? workMs / wallMs : 0,
    workers: [...workers].sort(new Intl.Collator('en', { numeric: true }).compare),
  };
}
