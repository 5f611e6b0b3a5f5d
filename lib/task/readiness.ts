// Whether a task may begin.

import { BlockedError, FSMError, NotPortableError } from '../errors.js';
import { friends, GraphTask } from './graph-task.js';
import type { Task } from './task.js';

/**
 * Before it is dispatched. A task that requires an aborted one is aborted as well.
 *
 * @throws BlockedError (ERR_BOSUN_BLOCKED)
 */
export function assertUnblocked(task: Task): void {
  for (const required of friends.requiredOf(task)) {
    if (required.state !== 'ABORT') continue;
    if (task.state === 'PENDING') task.abort();
    throw new BlockedError(task, required);
  }
  if (!task.isBlocked()) return;
  for (const blocker of task.blockers()) throw new BlockedError(task, blocker);
}

/**
 * Before a manager takes it.
 *
 * @throws FSMError (ERR_BOSUN_FSM) unless it is PENDING.
 * @throws BlockedError (ERR_BOSUN_BLOCKED)
 */
export function assertSchedulable(task: Task): void {
  if (!(task instanceof GraphTask)) throw refusalOf(task);
  const { name, state } = task as Task;
  if (state !== 'PENDING') {
    throw new FSMError(
      `task '${name}' is ${state}, and only a PENDING one can be scheduled: retry() or clone() it first`,
      { state, event: 'queue' },
    );
  }
  assertUnblocked(task);
}

function refusalOf(value: unknown): NotPortableError {
  const foreign = typeof (value as Partial<Task> | undefined)?.run === 'function';
  return new NotPortableError(
    foreign
      ? 'this Task comes from another copy of bosun: install it once, and import that one everywhere'
      : 'only a Task can be scheduled: see Task.from for a function',
  );
}
