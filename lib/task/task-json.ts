// A task as a JSON value: what it does, how far it is, and how it ended.

import { CancellationError, InvalidArgumentError } from '../errors.js';
import { friends } from './graph-task.js';
import type { Outcome } from './outcome.js';
import type { Task } from './task.js';
import type { TaskOptions } from './task-options.js';
import { TASK_TRANSITIONS, type TaskState } from './task-states.js';
import { isRecord } from './transitions.js';

/** What `toJSON` gives. Of values only that is kept which JSON has a word for. */
export interface TaskJson {
  readonly name: string;
  readonly state: TaskState;
  /** Where its function or its class is; none of a function of this process. */
  readonly module?: string;
  readonly exportName?: string;
  /** Of a subclass: its own fields. */
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly options?: TaskOptions;
  /** Of one that is DONE. */
  readonly result?: unknown;
  /** Of one that has failed, or was cancelled or aborted. */
  readonly error?: { readonly name: string; readonly message: string; readonly code?: string };
}

/** Those that mean something in another process. */
const KEPT = [
  'args',
  'kwargs',
  'priority',
  'timeout',
  'deadline',
  'retry',
  'key',
  'cancelOnException',
  'requireSuccess',
] as const;

export function toJson(task: Task): TaskJson {
  const { name, state, target } = task;
  const given = friends.optionsOf(task);
  const kept = KEPT.filter((option) => given[option] !== undefined).map((option) => [option, given[option]] as const);
  const { module, exportName, name: className } = task.constructor as typeof Task;
  const home =
    target ?? (task.isLocal || module === undefined ? undefined : { module, exportName: exportName ?? className });
  const outcome = friends.outcomeOf(task);
  return {
    name,
    state,
    ...home,
    ...(target === undefined && home !== undefined && { fields: { ...task } }),
    ...(kept.length > 0 && { options: Object.fromEntries(kept) as TaskOptions }),
    ...(outcome !== undefined && 'value' in outcome && outcome.value !== undefined && { result: outcome.value }),
    ...(outcome !== undefined && 'error' in outcome && { error: errorToJson(outcome.error) }),
  };
}

/** The same, checked. @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) */
export function checkTaskJson(json: TaskJson): TaskJson {
  const isTask = isRecord(json) && typeof json.name === 'string' && Object.hasOwn(TASK_TRANSITIONS, json.state);
  const { fields, options } = isTask ? json : {};
  if (isTask && (fields === undefined || isRecord(fields)) && (options === undefined || isRecord(options))) return json;
  throw new InvalidArgumentError('fromJSON takes what toJSON of a task gave');
}

/** A task that had begun is PENDING again: nobody runs it any more. */
export function restoreFrom(task: Task, { state, result, error }: TaskJson): void {
  if (state === 'QUEUED' || state === 'RUNNING') return;
  let outcome: Outcome | undefined;
  if (state === 'DONE') outcome = { value: result };
  else if (error !== undefined) outcome = { error: errorFromJson(error) };
  friends.restore(task, state, outcome);
}

function errorToJson(error: unknown): NonNullable<TaskJson['error']> {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  const { name, message, code } = error as Error & { readonly code?: unknown };
  return { name, message, ...(typeof code === 'string' && { code }) };
}

function errorFromJson({ name, message, code }: NonNullable<TaskJson['error']>): Error {
  if (code === 'ERR_BOSUN_CANCELLED') return new CancellationError(message);
  const error = Object.assign(new Error(message), code !== undefined && { code });
  Object.defineProperty(error, 'name', { value: name, configurable: true, writable: true });
  return error;
}
