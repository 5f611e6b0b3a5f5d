// The tasks that a module exports.

import { inOrder } from '../task/graph-order.js';
import { Task } from '../task/task.js';
import { UsageError } from './exit-code.js';
import { exportedBy, loadModule } from './load.js';

/**
 * The tasks of an export, by the names that targets are called by: of a record its keys, else the names of the tasks.
 * Without a default export, all exports that are tasks.
 *
 * @throws UsageError
 */
export async function loadTasks(module: string, exportName: string | undefined): Promise<Map<string, Task>> {
  const { namespace } = await loadModule(module);
  const name = exportName ?? ('default' in namespace ? 'default' : undefined);
  if (name === undefined) {
    const tasks = Object.entries(namespace).filter(([, value]) => value instanceof Task);
    if (tasks.length === 0) throw new UsageError(`${module} exports no tasks, and has no default export`);
    return new Map(tasks as [string, Task][]);
  }
  const tasks = tasksOf(await exportedBy(namespace, name, module));
  if (tasks === undefined) {
    throw new UsageError(
      `'${name}' of ${module} is no task, list or record of tasks, or function that returns them (a Task of another copy of bosun is none)`,
    );
  }
  return tasks;
}

/** Those of them that are targets, all of them unless any is named. A target may be anything that is required. @throws UsageError */
export function chooseTargets(tasks: ReadonlyMap<string, Task>, targets: readonly string[]): Task[] {
  if (targets.length === 0) return [...new Set(tasks.values())];
  const known = new Map<string, Task>();
  for (const task of inOrder(tasks.values())) if (!known.has(task.name)) known.set(task.name, task);
  return targets.map((target) => {
    const task = tasks.get(target) ?? known.get(target);
    if (task !== undefined) return task;
    const names = [...new Set([...tasks.keys(), ...known.keys()])];
    const some = names.slice(0, 20).join(', ') + (names.length > 20 ? ', ...' : '');
    throw new UsageError(`there is no task '${target}'; there are ${some}`);
  });
}

function tasksOf(value: unknown): Map<string, Task> | undefined {
  if (value instanceof Task) return new Map([[value.name, value]]);
  if (typeof value !== 'object' || value === null) return undefined;
  if (!(Symbol.iterator in value)) return checked(Object.entries(value));
  const list = [...(value as Iterable<unknown>)];
  // Of a Map.
  if (list.length > 0 && list.every((item) => Array.isArray(item) && item.length === 2))
    return checked(list as [string, unknown][]);
  return checked(list.map((task) => [task instanceof Task ? task.name : '', task]));
}

/** Tasks of one name are all there: all but the first under a number. */
function checked(entries: readonly (readonly [string, unknown])[]): Map<string, Task> | undefined {
  if (entries.length === 0 || !entries.every(([, task]) => task instanceof Task)) return undefined;
  const tasks = new Map<string, Task>();
  for (const [name, task] of entries) {
    let key = String(name);
    for (let i = 2; tasks.has(key); i++) key = `${name}#${i}`;
    tasks.set(key, task as Task);
  }
  return tasks;
}
