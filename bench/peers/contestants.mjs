// Everybody who is measured, in the order in which it is done. Peers are as their documentation shows them, with as many
// workers as the scenario says; `settings` are what is not the default.

/**
 * What the `start` of a family's module gives.
 *
 * @typedef {object} Pool
 * @property {(name: string, input: unknown) => Promise<unknown>} call runs a function of tasks.mjs
 * @property {(name: string, input: object) => Promise<unknown>} [callUrgent] before everything that waits
 * @property {() => Promise<void>} end lets nothing of it remain
 * @property {() => Promise<void>} [ready] every worker is up
 * @property {(nodes: {id: number, requires: number[]}[]) => Promise<number>} [graph] how many have run
 * @property {boolean} [bare] takes numbers and bytes only
 */

/**
 * `kind`: `ours`, `threads` and `processes` (the peers), `raw` (no pool, a transport), `graph` (takes graphs alone); `queue`:
 * it has one.
 */
export const CONTESTANTS = {
  bosun: ours('bosun'),
  'bosun-limits': ours('bosun, signal and time-out', { by: 'limits' }),
  'bosun-task': ours('bosun, schedule(Task)', { by: 'schedule' }),
  'bosun-spin': ours('bosun, spin auto', { settings: { spin: 'auto' } }),
  'bosun-nospin': ours('bosun, spin off', { settings: { spin: 'off' } }),
  'bosun-ahead': ours('bosun, prefetch 16', { settings: { prefetch: 16 } }),
  'bosun-threads': ours('bosun, threads', { settings: { kind: 'thread' } }),
  piscina: peer('piscina', 'threads', 'piscina', {}, true),
  'piscina-16': peer(
    'piscina, 16 per worker',
    'threads',
    'piscina',
    { concurrentTasksPerWorker: 16, taskQueue: 'FixedQueue' },
    true,
  ),
  'tinypool-threads': peer('tinypool, threads', 'threads', 'tinypool', { runtime: 'worker_threads' }, true),
  'tinypool-processes': peer('tinypool, processes', 'processes', 'tinypool', { runtime: 'child_process' }, true),
  'workerpool-threads': peer('workerpool, threads', 'threads', 'workerpool', { workerType: 'thread' }, true),
  'workerpool-processes': peer('workerpool, processes', 'processes', 'workerpool', { workerType: 'process' }, true),
  'poolifier-threads': peer('poolifier, threads', 'threads', 'poolifier', { threads: true }, false),
  'poolifier-threads-queue': peer(
    'poolifier, threads, queue',
    'threads',
    'poolifier',
    { threads: true, queue: true },
    true,
  ),
  'poolifier-cluster': peer('poolifier, cluster', 'processes', 'poolifier', {}, false),
  'poolifier-cluster-queue': peer('poolifier, cluster, queue', 'processes', 'poolifier', { queue: true }, true),
  'jest-threads': peer('jest-worker, threads', 'threads', 'jest-worker', { enableWorkerThreads: true }, true),
  'jest-processes': peer('jest-worker, processes', 'processes', 'jest-worker', {}, true),
  'fork-json': raw('fork, JSON', 'fork', { serialization: 'json' }),
  'fork-advanced': raw('fork, advanced', 'fork', { serialization: 'advanced' }),
  'unix-socket': raw('raw Unix socket', 'unix-socket'),
  'message-channel': raw('raw MessageChannel', 'message-channel'),
  'c-echo': raw('C, Unix socket', 'c-echo'),
  'graph-here': graph('bosun, this thread', 'bosun-make', { here: true }),
  'graph-workers': graph('bosun, workers', 'bosun-make'),
  'p-graph': graph('p-graph', 'p-graph'),
  'async-auto': graph('async.auto', 'async-auto'),
};

function ours(title, options = {}) {
  return { title, kind: 'ours', family: 'bosun', options, queue: true };
}

function peer(title, kind, family, options, queue) {
  return { title, kind, family, options, queue };
}

function raw(title, family, options = {}) {
  return { title, kind: 'raw', family, options, queue: false };
}

/** Runs functions that wait for each other, and has no `call`. */
function graph(title, family, options = {}) {
  return { title, kind: 'graph', family, options, queue: false };
}

/** The ids of those for whom it is true, in order. */
export const contestants = (predicate) => Object.keys(CONTESTANTS).filter((id) => predicate(CONTESTANTS[id], id));

/** @returns {Promise<Pool>} */
export async function start(id, workers, extra = {}) {
  const { family, options } = CONTESTANTS[id];
  const module = await import(`./contestants/${family}.mjs`);
  return await module.start(workers, { ...options, ...extra });
}
