// What a graph of tasks looks like at one moment: plain data, for pictures, reports and the journal.

import type { TaskState } from './task-states.js';

/** One task of a graph. */
export interface GraphNode {
  /** Stable: `t1`, `t2`, ... in the order in which the tasks were met. */
  readonly id: string;
  readonly name: string;
  readonly state: TaskState;
  /** The ids of those that it requires, in the order in which they were required; also of those that are not drawn. */
  readonly requires: readonly string[];
  /** Same-key tasks run once. */
  readonly key?: string;
  /** Milliseconds since the epoch. */
  readonly queuedAt?: number;
  readonly startedAt?: number;
  readonly endedAt?: number;
  /** Where it ran: `worker 2`, or `here` for the creator's thread. */
  readonly worker?: string;
  /** Of a FAILED, CANCELLED or ABORT task. */
  readonly error?: string;
}

export interface GraphSnapshot {
  readonly nodes: readonly GraphNode[];
}
