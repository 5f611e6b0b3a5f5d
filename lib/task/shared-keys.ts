// Tasks of one make that do the same: one of them runs, and the others take its outcome.

import { friends } from './graph-task.js';
import type { Outcome } from './outcome.js';
import type { Task } from './task.js';
import { isOver } from './task-life.js';

export class SharedKeys {
  /** Of each key the one that runs, or ran. */
  readonly #leaders = new Map<string, Task>();
  /** Those that wait for its outcome. */
  readonly #copies = new Map<string, Task[]>();

  /** Whether the task, which may begin, has to run; else it takes the outcome of another one, now or later. */
  lead(key: string, task: Task): boolean {
    const leader = this.#leaders.get(key);
    if (leader === undefined || leader === task) {
      this.#leaders.set(key, task);
      return true;
    }
    if (isOver(leader.state)) copy(leader, task);
    else this.#copiesOf(key).push(task);
    return false;
  }

  /** The task has ended. */
  settle(key: string, task: Task): void {
    // One that was done before.
    if (task.state === 'DONE' && !this.#leaders.has(key)) this.#leaders.set(key, task);
    if (this.#leaders.get(key) !== task) return;
    for (const other of this.#copiesOf(key).splice(0)) copy(task, other);
  }

  #copiesOf(key: string): Task[] {
    const copies = this.#copies.get(key) ?? [];
    this.#copies.set(key, copies);
    return copies;
  }
}

function copy(leader: Task, task: Task): void {
  if (task.state !== 'PENDING') return;
  const outcome = friends.outcomeOf(leader) as Outcome;
  if ('error' in outcome && outcome.cancelled === true) {
    task.fire('cancel', { reason: outcome.error });
    return;
  }
  const run = { drop: undefined };
  friends.hold(task, run);
  friends.begin(task, run, 'dispatch');
  friends.ended(task, run, outcome);
}
