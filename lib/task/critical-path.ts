// How long the chains of tasks are that begin with each task.

import { friends } from './graph-task.js';
import type { Task } from './task.js';

/**
 * The milliseconds of the longest chain that begins with each task: its own, and those of what requires it.
 *
 * @param order of the graph, each task behind those that it requires.
 * @param durations by keys or names.
 */
export function ranksOf(order: readonly Task[], durations: ReadonlyMap<string, number>): Map<Task, number> {
  const known = order.map((task) => durationOf(task, durations));
  const given = known.filter((duration) => duration !== undefined);
  const average = given.length === 0 ? 1 : given.reduce((sum, one) => sum + one, 0) / given.length;
  const own = new Map(order.map((task, i) => [task, known[i] ?? average]));
  const ranks = new Map(own);
  for (const task of order.toReversed()) {
    const rank = ranks.get(task) as number;
    for (const required of friends.requiredOf(task)) {
      const alone = own.get(required);
      if (alone !== undefined) ranks.set(required, Math.max(ranks.get(required) as number, alone + rank));
    }
  }
  return ranks;
}

function durationOf(task: Task, durations: ReadonlyMap<string, number>): number | undefined {
  const { key } = friends.optionsOf(task);
  return (key === undefined ? undefined : durations.get(key)) ?? durations.get(task.name);
}
