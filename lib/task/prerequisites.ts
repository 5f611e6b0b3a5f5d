// What the tasks returned that a task requires: here, and on its way to a worker.

import { FSMError, InvalidArgumentError } from '../errors.js';
import { friends, GraphTask } from './graph-task.js';
import type { Task } from './task.js';
import type { TaskState } from './task-states.js';

/** One that is required, as it travels. Only of one that is DONE there is a value. */
export type Prerequisite = readonly [name: string, state: TaskState, value?: unknown];

/** Of a task as it is now; undefined when it requires none. */
export function prerequisitesOf(task: Task): Prerequisite[] | undefined {
  // Most tasks require nothing.
  if (!friends.requiresAny(task)) return undefined;
  const entries = Array.from(friends.requiredOf(task), entryOf);
  return entries.length === 0 ? undefined : entries;
}

/** `ctx.resultOf`. */
export class Results {
  /** Undefined for a name that two have. */
  readonly #byName = new Map<string, Prerequisite | undefined>();
  readonly #byTask = new Map<unknown, Prerequisite>();

  /** @param task that runs here, if it does. @param received what came with it, if it was sent. */
  constructor(task: Task | undefined, received: readonly Prerequisite[] | undefined) {
    for (const entry of received ?? []) this.#add(entry);
    if (task === undefined || received !== undefined) return;
    for (const required of friends.requiredOf(task)) {
      const entry = entryOf(required);
      this.#add(entry);
      this.#byTask.set(required, entry);
    }
  }

  /** @throws InvalidArgumentError, FSMError as `ctx.resultOf`. */
  of(which: Task | string): unknown {
    const name = which instanceof GraphTask ? which.name : which;
    if (typeof name !== 'string')
      throw new InvalidArgumentError("resultOf takes a task that is required, or one's name");
    const entry = this.#byTask.get(which) ?? this.#byName.get(name);
    if (entry === undefined) {
      throw new InvalidArgumentError(
        this.#byName.has(name)
          ? `two of the tasks that this one requires are called '${name}': give them names of their own`
          : `this task does not require '${name}'`,
      );
    }
    const [, state, value] = entry;
    if (state !== 'DONE') throw new FSMError(`task '${name}' has no result: it is ${state}`, { state });
    return value;
  }

  #add(entry: Prerequisite): void {
    this.#byName.set(entry[0], this.#byName.has(entry[0]) ? undefined : entry);
  }
}

function entryOf(task: Task): Prerequisite {
  const outcome = friends.outcomeOf(task);
  if (task.state !== 'DONE' || outcome === undefined || 'error' in outcome) return [task.name, task.state];
  return [task.name, task.state, outcome.value];
}
