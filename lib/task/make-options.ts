// The options of a make, checked.

import { InvalidArgumentError } from '../errors.js';
import { checkKnown, checkSignal, flag, integer, ownOptions } from '../own-options.js';
import { GraphTask } from './graph-task.js';
import type { Manager } from './manager.js';
import type { Task } from './task.js';

/** Takes a task that is QUEUED, and calls its `dispatch()` sooner or later. */
export type DispatchQueue = (task: Task) => void | Promise<void>;

/** How long tasks take, in milliseconds, by their keys or names. */
export type Durations = ReadonlyMap<string, number> | Readonly<Record<string, number>>;

/** Options of a make. */
export interface MakeOptions {
  /** Whether to stop at the first task that ends, and is not DONE; false unless given. */
  readonly failFast?: boolean;
  /** Where tasks run; unless given, in this thread. A manager gets those that are portable, this thread runs the others. */
  readonly queue?: Manager | DispatchQueue;
  /** Tasks that may run, or be queued, at once; no limit unless given. */
  readonly concurrency?: number;
  /** Stops it: nothing more is begun, what was begun is cancelled, and the iterator throws the reason. */
  readonly signal?: AbortSignal;
  /** Whether those begin first that the longest chain of tasks waits for; false unless given. */
  readonly criticalPath?: boolean;
  /** For that; what the journal knows unless given. A task of which nothing is known counts as the average of the others. */
  readonly durations?: Durations;
  /** Where is written what is done, which is not done again: a `Journal`. None unless given. */
  readonly journal?: TaskJournal;
}

/** What a make needs of a journal. */
export interface TaskJournal {
  /** Those that are done are DONE from now on, what the others come to is written. Returns what ends it. */
  attach(tasks: Iterable<Task>): Promise<() => Promise<void>>;
  durations(): ReadonlyMap<string, number>;
}

export interface MakeSettings {
  readonly failFast: boolean;
  readonly manager: Manager | undefined;
  readonly enqueue: DispatchQueue | undefined;
  readonly concurrency: number;
  readonly signal: AbortSignal | undefined;
  readonly criticalPath: boolean;
  readonly durations: ReadonlyMap<string, number>;
  readonly journal: TaskJournal | undefined;
}

const KNOWN = ['failFast', 'queue', 'concurrency', 'signal', 'criticalPath', 'durations', 'journal'];

/** @throws InvalidArgumentError, OutOfRangeError */
export function checkMakeOptions(options: MakeOptions | undefined): MakeSettings {
  const given = ownOptions(options, 'the options of make');
  checkKnown(given, KNOWN, 'make');
  const {
    failFast = false,
    criticalPath = false,
    concurrency = Number.POSITIVE_INFINITY,
    queue,
    durations,
    journal,
  } = given;
  flag('failFast', failFast);
  flag('criticalPath', criticalPath);
  if (concurrency !== Number.POSITIVE_INFINITY) integer('concurrency', concurrency, 1, Number.MAX_SAFE_INTEGER);
  return {
    failFast,
    criticalPath,
    concurrency,
    signal: checkSignal(given.signal),
    manager: typeof queue === 'function' ? undefined : checkManager(queue),
    enqueue: typeof queue === 'function' ? queue : undefined,
    durations: checkDurations(durations ?? checkJournal(journal)?.durations()),
    journal,
  };
}

/** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for anything but a manager or undefined. */
export function checkManager(manager: unknown): Manager | undefined {
  if (manager === undefined || typeof (manager as Partial<Manager> | null)?.schedule === 'function') {
    return manager as Manager | undefined;
  }
  throw new InvalidArgumentError('a queue is a manager, or a function that takes a task');
}

function checkJournal(journal: TaskJournal | undefined): TaskJournal | undefined {
  if (journal === undefined || typeof (journal as Partial<TaskJournal> | null)?.attach === 'function') return journal;
  throw new InvalidArgumentError('a journal is what Journal.open resolves to');
}

/** One task, or several. @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) */
export function checkTasks(tasks: Task | Iterable<Task>): Task[] {
  if (tasks instanceof GraphTask) return [tasks];
  const isIterable = typeof (tasks as Partial<Iterable<Task>> | null | undefined)?.[Symbol.iterator] === 'function';
  const list = isIterable && typeof tasks !== 'string' ? [...tasks] : [undefined];
  if (list.every((task) => task instanceof GraphTask)) return [...new Set(list as Task[])];
  throw new InvalidArgumentError('this takes a task, or several');
}

function checkDurations(durations: Durations | undefined): ReadonlyMap<string, number> {
  const map = durations instanceof Map ? durations : new Map(Object.entries(ownOptions(durations, 'durations')));
  for (const [name, value] of map) {
    if (typeof name !== 'string' || typeof value !== 'number' || !(value >= 0) || !Number.isFinite(value)) {
      throw new InvalidArgumentError(`durations are milliseconds by keys or names of tasks, not ${value} for ${name}`);
    }
  }
  return map as ReadonlyMap<string, number>;
}
