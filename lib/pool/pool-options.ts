// What a Pool is made with.

import { availableParallelism } from 'node:os';
import { InvalidArgumentError } from '../errors.js';
import { checkKnown, delay, integer, oneOf, ownOptions } from '../own-options.js';
import type { PersistentWorker, PersistentWorkerOptions } from '../worker/persistent-worker.js';
import { checkOptions, WORKER_OPTIONS, WorkerType } from '../worker/worker-options.js';
import type { RunOptions } from './run-options.js';

/** Options of a Pool. */
export interface PoolOptions {
  /** Before the items of each input are laid over them, see PersistentWorker. */
  readonly args?: readonly unknown[];
  readonly kwargs?: Readonly<Record<string, unknown>>;
  /** Inputs that a worker has died of, or with, are given to another; true unless given. */
  readonly retry?: boolean;
  /** Workers that an input may cost before it is given up; 3 unless given. */
  readonly maxCrashes?: number;
  /** Milliseconds that workers are given to end; 5 000 unless given. */
  readonly closeTimeout?: number;
  /** Inputs, in all runs, after which a worker is followed by another; no limit unless given. */
  readonly maxTasks?: number;
  /**
   * Bytes: a worker that is over them behind an input is followed by another. Resident ones of a process, those on the heap
   * of a thread; no limit unless given.
   */
  readonly maxMemory?: number;
  /** Milliseconds after which a worker is followed by another, behind its input, or before it gets the next; no limit unless given. */
  readonly maxAge?: number;
  /** A worker that dies is followed by another; true unless given. */
  readonly replaceDead?: boolean;
  readonly name?: string;
  /** A function as the target is sent as text, see WorkerOptions. */
  readonly allowInline?: boolean;
  /** The pool makes workers of this kind, or class, by itself, beside those that are added. */
  readonly type?: WorkerType | PersistentWorkerClass;
  /** What these are made with. */
  readonly workerOptions?: PoolWorkerOptions;
  /** How many of these there are from the beginning, and at least; 0 unless given. */
  readonly minWorkers?: number;
  /**
   * How many of these there are at most, each started when inputs wait and all are busy; as many as the host has cores, or
   * `minWorkers` if that is more, unless given.
   */
  readonly maxWorkers?: number;
  /** Milliseconds without an input after which one of these ends, during a run or not; they stay unless given. */
  readonly idleTimeout?: number;
}

/** Of a worker of a pool; all else is the pool's. */
export type PoolWorkerOptions = Omit<
  PersistentWorkerOptions,
  'target' | 'args' | 'kwargs' | 'run' | 'onError' | 'allowInline'
>;

export type PersistentWorkerClass = new (options: PersistentWorkerOptions) => PersistentWorker;

const OF_OWN = ['workerOptions', 'minWorkers', 'maxWorkers', 'idleTimeout'] as const;

const KNOWN = [
  'args',
  'kwargs',
  'retry',
  'maxCrashes',
  'closeTimeout',
  'replaceDead',
  'maxTasks',
  'maxMemory',
  'maxAge',
  'name',
  'allowInline',
  'type',
  ...OF_OWN,
];
const FUNCTIONS_OF_RUN = ['workerCallback', 'enqueueFn', 'affinity'] as const;
const KNOWN_OF_RUN = ['chunkSize', 'extraPendingInputs', ...FUNCTIONS_OF_RUN];

/** @throws InvalidArgumentError, OutOfRangeError */
export function checkPoolOptions(given: PoolOptions): PoolOptions {
  const options = ownOptions(given, 'the options of a pool');
  checkKnown(options, KNOWN, 'a pool');
  delay('closeTimeout', options.closeTimeout ?? 5_000);
  integer('maxCrashes', options.maxCrashes ?? 1, 1, 1_000);
  for (const name of ['maxTasks', 'maxMemory', 'maxAge'] as const) {
    const { [name]: limit = 1 } = options;
    integer(name, limit, 1, Number.MAX_SAFE_INTEGER);
  }
  checkOwn(options);
  return options;
}

/** What `type` and its company say, complete; undefined without it. */
export function ownWorkersOf({ type, workerOptions = {}, minWorkers = 0, ...options }: PoolOptions) {
  if (type === undefined) return undefined;
  const { maxWorkers = Math.max(minWorkers, availableParallelism()), idleTimeout } = options;
  return { type, workerOptions, min: minWorkers, max: maxWorkers, idleTimeout };
}

function checkOwn(options: PoolOptions): void {
  const { minWorkers = 0, maxWorkers = MAX_WORKERS, idleTimeout, type, workerOptions } = options;
  const lonely = OF_OWN.find((name) => options[name] !== undefined);
  if (type === undefined && lonely !== undefined) {
    throw new InvalidArgumentError(`${lonely} is for workers that the pool makes by itself: give their type`);
  }
  integer('maxWorkers', maxWorkers, 1, MAX_WORKERS);
  integer('minWorkers', minWorkers, 0, maxWorkers);
  if (idleTimeout !== undefined) delay('idleTimeout', idleTimeout);
  if (type !== undefined) checkWorker(type, workerOptions);
}

const MAX_WORKERS = 10_000;

/** @throws InvalidArgumentError, NotPortableError; nothing has been started then. */
export function checkWorker(type: WorkerType | PersistentWorkerClass, given: PoolWorkerOptions = {}): void {
  const options = ownOptions(given, 'the options of a worker');
  if (typeof type === 'function') return;
  oneOf('the type of a worker', type, Object.values(WorkerType));
  checkOptions(options, WORKER_OPTIONS, type, true);
}

/** @throws InvalidArgumentError, OutOfRangeError */
export function checkRunOptions(given: RunOptions): RunOptions {
  const options = ownOptions(given, 'the options of a run');
  checkKnown(options, KNOWN_OF_RUN, 'a run');
  const { chunkSize = 1, extraPendingInputs = 0 } = options;
  if (chunkSize !== 'auto') integer('chunkSize', chunkSize, 1, 1_000_000);
  integer('extraPendingInputs', extraPendingInputs, 0, 1_000_000);
  const bad = FUNCTIONS_OF_RUN.find((name) => options[name] !== undefined && typeof options[name] !== 'function');
  if (bad !== undefined) throw new InvalidArgumentError(`${bad} is a function`);
  return options;
}
