// Whether a task may begin.

import { BlockedError, CancellationError, FSMError, NotPortableError, TaskError } from '../errors.js';
import { friends, GraphTask } from './graph-task.js';
import type { Task } from './task.js';
import type { TaskState } from './task-states.js';
import type { TransitionExtra } from './transitions.js';

/**
 * Before it is dispatched. A task that requires an aborted one is aborted as well.
 *
 * @throws BlockedError (ERR_BOSUN_BLOCKED)
 */
export function assertUnblocked(task: Task): void {
  if (!friends.requiresAny(task)) return;
  for (const required of friends.requiredOf(task)) {
    if (required.state !== 'ABORT') continue;
    if (task.state === 'PENDING') task.abort();
    throw new BlockedError(task, required);
  }
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

/** Of tasks that are made together: what requires one that has ended, and is not DONE, ends as well. */
export interface Fate {
  readonly event: 'abort' | 'error' | 'cancel';
  readonly extra: TransitionExtra;
}

/** To be asked when all that it requires has ended; undefined when it may begin. */
export function fateOf(task: Task): Fate | undefined {
  const required = friends.requiredOf(task);
  if (areDone(required)) return undefined;
  const inState = (state: TaskState) => [...required].filter((one) => one.state === state);
  const aborted = inState('ABORT');
  if (aborted.length > 0) {
    return { event: 'abort', extra: { reason: 'aborted prerequisites', prerequisites: aborted } };
  }
  const failed = inState('FAILED');
  if (failed.length > 0) {
    const reason = 'failed prerequisites';
    const cause = errorOf(failed[0] as Task);
    const message = `task '${task.name}' was not run: ${reason} ${namesOf(failed)}`;
    const error = new TaskError(message, task, { prerequisites: failed, cause });
    ROOTS.set(error, cause);
    return { event: 'error', extra: { reason, prerequisites: failed, error } };
  }
  const cancelled = inState('CANCELLED');
  if (cancelled.length === 0) return undefined;
  const message = `task '${task.name}' was not run: it requires ${namesOf(cancelled)}, cancelled`;
  const cause = errorOf(cancelled[0] as Task);
  const reason = new CancellationError(message, { cause });
  ROOTS.set(reason, cause);
  return { event: 'cancel', extra: { reason, prerequisites: cancelled } };
}

function areDone(tasks: Iterable<Task>): boolean {
  for (const { state } of tasks) if (state !== 'DONE') return false;
  return true;
}

/** What it began with: errors that have each other as causes, as long as a chain of tasks is, nobody could print. */
function errorOf(task: Task): unknown {
  const outcome = friends.outcomeOf(task);
  if (outcome === undefined || !('error' in outcome)) return undefined;
  const { error } = outcome;
  return ROOTS.get(error as object) ?? error;
}

/** Of the errors that were made here. */
const ROOTS = new WeakMap<object, unknown>();

/** In a message no more of them than can be read. */
const MAX_NAMED = 8;

function namesOf(tasks: readonly Task[]): string {
  const names = tasks.slice(0, MAX_NAMED).map(({ name }) => `'${name}'`);
  const more = tasks.length > MAX_NAMED ? ` and ${tasks.length - MAX_NAMED} more` : '';
  return `${names.join(', ')}${more}`;
}
