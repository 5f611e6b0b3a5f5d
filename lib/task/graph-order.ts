// The order in which the tasks of a graph can run.

import { CycleError } from '../errors.js';
import { friends } from './graph-task.js';
import type { Task } from './task.js';

/**
 * The tasks and all that they require, each once and behind what it requires, otherwise in the order in which they are
 * given and in which they were required. Looks at each task and each requirement once, without recursion.
 *
 * Source: topological sorting by depth-first search, R. E. Tarjan, "Edge-disjoint spanning trees and depth-first search",
 * Acta Informatica 6, 1976.
 *
 * @param requiredOf what is to be looked at behind a task.
 * @throws CycleError (ERR_BOSUN_CYCLE)
 */
export function inOrder(
  tasks: Iterable<Task>,
  requiredOf: (task: Task) => Iterable<Task> = friends.requiredOf,
): Task[] {
  const order: Task[] = [];
  /** True while it is on the path. */
  const met = new Map<Task, boolean>();
  const path: { readonly task: Task; readonly rest: Iterator<Task> }[] = [];
  const enter = (task: Task): void => {
    if (met.get(task) === true) throw new CycleError(cycleIn(path, task));
    if (met.has(task)) return;
    met.set(task, true);
    path.push({ task, rest: requiredOf(task)[Symbol.iterator]() });
  };
  for (const first of tasks) {
    enter(first);
    for (let last = path.at(-1); last !== undefined; last = path.at(-1)) {
      const next = last.rest.next();
      if (next.done !== true) {
        enter(next.value);
        continue;
      }
      path.pop();
      met.set(last.task, false);
      order.push(last.task);
    }
  }
  return order;
}

function cycleIn(path: readonly { readonly task: Task }[], again: Task): Task[] {
  const tasks = path.map(({ task }) => task);
  return tasks.slice(tasks.indexOf(again));
}
