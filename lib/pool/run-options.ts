// How inputs are worked off, and what comes of them.

import type { PersistentWorker } from '../worker/persistent-worker.js';
import type { Seat } from './post.js';
import type { SuccessionOptions } from './succession.js';

/** What became of an input. */
export type PoolResult<V> =
  | { readonly index: number; readonly input: readonly unknown[]; readonly value: V; readonly error?: undefined }
  | { readonly index: number; readonly input: readonly unknown[]; readonly error: unknown; readonly value?: undefined };

/** What happens to a worker during a run. */
export type PoolWorkerEvent = 'enqueued' | 'finished' | 'idle' | 'died';

/** Options of one run. */
export interface RunOptions {
  /**
   * Inputs that a worker has at once, in one message; it is given more when half of them are done. 1 unless given, and for
   * short functions `'auto'`: about a millisecond of work, as measured, up to 64, and fewer when few are left, if the sources
   * are arrays, sets or maps. An input waits for those before it in its chunk, however long one of them takes.
   */
  readonly chunkSize?: number | 'auto';
  /** Inputs that a worker has beside those; 0 unless given. */
  readonly extraPendingInputs?: number;
  /** Told of every worker; `result` comes with `finished`. What it throws fails the run. */
  readonly workerCallback?: (event: PoolWorkerEvent, worker: PersistentWorker, result?: unknown) => void;
  /** False keeps the input from this worker: another one gets it, or this one when something else has ended. */
  readonly enqueueFn?: (worker: PersistentWorker, input: readonly unknown[]) => boolean;
  /**
   * Inputs of which it gives the same key (as a Map compares) go to one worker, in their order, as long as that lives; then to
   * another. `undefined` is no key. A key that is new goes to whoever is free. What it throws fails the run.
   */
  readonly affinity?: (input: readonly unknown[]) => unknown;
}

export interface PoolRunOptions extends RunOptions, SuccessionOptions {
  readonly retry: boolean;
  readonly maxCrashes: number;
  readonly maxTasks: number;
  readonly maxMemory: number | undefined;
  readonly maxAge: number | undefined;
  /** Starts more workers, for so many inputs that wait; empty when there are enough. */
  grow(waiting: number): readonly Seat[];
  readonly canGrow: () => boolean;
  /** A worker has something to do, or nothing any more. */
  atWork(seat: Seat, isAtWork: boolean): void;
}
