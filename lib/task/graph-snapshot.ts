// What a graph of tasks looks like at one moment: plain data, for pictures, reports and the journal.

import { checkKnown, ownOptions } from '../own-options.js';
import type { WorkerId } from './context.js';
import { errorText } from './error-text.js';
import { friends } from './graph-task.js';
import { checkTasks } from './make-options.js';
import type { Task } from './task.js';
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
  /** Of a FAILED, CANCELLED or ABORT task: whole, with its stack. */
  readonly error?: string;
}

export interface GraphSnapshot {
  readonly nodes: readonly GraphNode[];
}

/** Where a task ran that no worker has run. */
export const HERE = 'here';

/** Where a task ran, for people. */
export function placeName(worker: WorkerId): string {
  return worker === 0 ? HERE : `worker ${worker}`;
}

/** Options of a snapshot. */
export interface SnapshotOptions {
  /** Whether what requires the tasks is in it as well, directly or not; false unless given. */
  readonly followBlocking?: boolean;
}

/**
 * What the tasks look like now, in the order in which they are given; `followBlocking` puts those that require them behind.
 * Times and workers are known of tasks that were part of a make or of a TaskQueue.
 *
 * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT)
 */
export function snapshotOf(tasks: Task | Iterable<Task>, options?: SnapshotOptions): GraphSnapshot {
  const given = ownOptions(options, 'the options of a snapshot');
  checkKnown(given, ['followBlocking'], 'a snapshot');
  const drawn = given.followBlocking === true ? withBlocked(checkTasks(tasks)) : new Set(checkTasks(tasks));
  const ids = new Map<Task, string>();
  const idOf = (task: Task): string => {
    const id = ids.get(task) ?? `t${ids.size + 1}`;
    ids.set(task, id);
    return id;
  };
  for (const task of drawn) idOf(task);
  return { nodes: Array.from(drawn, (task) => nodeOf(task, idOf)) };
}

/** The tasks, and behind them all that require them, directly or not. */
export function withBlocked(tasks: Iterable<Task>): Set<Task> {
  const all = new Set(tasks);
  // What is added while a set is gone through is gone through as well.
  for (const task of all) for (const other of friends.blockingOf(task)) all.add(other);
  return all;
}

/** How long the tasks took that are DONE, in milliseconds, by their keys or else names: for `criticalPath` of the next make. */
export function durationsOf({ nodes }: GraphSnapshot): Map<string, number> {
  const durations = new Map<string, number>();
  for (const { key, name, state, startedAt, endedAt } of nodes) {
    if (state !== 'DONE' || startedAt === undefined || endedAt === undefined) continue;
    // Those that took the outcome of another one have taken no time.
    durations.set(key ?? name, Math.max(endedAt - startedAt, durations.get(key ?? name) ?? 0));
  }
  return durations;
}

function nodeOf(task: Task, idOf: (task: Task) => string): GraphNode {
  const { key } = friends.optionsOf(task);
  const { worker, ...times } = friends.timesOf(task) ?? {};
  const outcome = friends.outcomeOf(task);
  return {
    id: idOf(task),
    name: task.name,
    state: task.state,
    requires: Array.from(friends.requiredOf(task), idOf),
    ...(key !== undefined && { key }),
    ...times,
    ...(worker !== undefined && { worker: placeName(worker) }),
    ...(outcome !== undefined && 'error' in outcome && { error: errorText(outcome.error) }),
  };
}
