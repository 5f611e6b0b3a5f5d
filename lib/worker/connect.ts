// The functions of a module as if they were here, while they run in a worker.

import { InvalidArgumentError } from '../errors.js';
import { ownOptions } from '../own-options.js';
import { ALL_EXPORTS } from '../runtime/target-loop.js';
import { PersistentWorker, type PersistentWorkerOptions } from './persistent-worker.js';
import type { TargetFunction } from './target.js';
import type { WorkerType } from './worker-options.js';

/** Where the functions run, and with what. */
export interface ConnectOptions
  extends Omit<PersistentWorkerOptions, 'target' | 'args' | 'kwargs' | 'run' | 'onError' | 'allowInline'> {
  /** `'process'` unless given. */
  readonly type?: WorkerType;
}

/** The functions that a module exports, each with a promise for its result. */
export type Remote<M> = {
  readonly [K in keyof M as M[K] extends TargetFunction ? K : never]: M[K] extends (...args: infer A) => infer R
    ? (...args: A) => Promise<Awaited<R>>
    : never;
} & AsyncDisposable;

const workers = new WeakMap<object, PersistentWorker>();

/**
 * An object whose methods call the functions that a module exports, one after the other, in a worker. What they throw rejects
 * the call alone. `await using` terminates the worker.
 *
 * @example
 * await using math = connect<typeof import('./math.js')>(new URL('./math.js', import.meta.url), { type: 'thread' });
 * console.log(await math.square(3));
 */
export function connect<M extends object>(module: string | URL, given: ConnectOptions = {}): Remote<M> {
  const { type = 'process', ...options } = ownOptions(given, 'the options of connect');
  const worker = PersistentWorker.create(type, {
    ...options,
    target: { module, export: ALL_EXPORTS },
    onError: 'report',
  });
  const methods = new Map<string, TargetFunction>();
  const method = (name: string): TargetFunction => {
    const known = methods.get(name);
    if (known !== undefined) return known;
    const call = (...args: unknown[]) => worker.call(name, ...args);
    methods.set(name, call);
    return call;
  };
  const remote = new Proxy(Object.create(null) as Remote<M>, {
    get(_target, name) {
      if (name === Symbol.asyncDispose) return () => worker.terminate().then(() => {});
      // Whoever awaits the object itself asks for `then`.
      return typeof name === 'symbol' || name === 'then' ? undefined : method(name);
    },
    set: () => false,
  });
  workers.set(remote, worker);
  return remote;
}

/** The worker behind what `connect` has returned. @throws InvalidArgumentError for anything else. */
export function workerOf(remote: AsyncDisposable): PersistentWorker {
  const worker = workers.get(remote);
  if (worker === undefined) throw new InvalidArgumentError('this is not what connect() has returned');
  return worker;
}
