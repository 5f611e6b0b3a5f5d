// What is measured, with whom, and how much of it: the runner goes through this from top to bottom in every round.

import { contestants } from './contestants.mjs';

const SIZES = [1, 1_024, 65_536, 1_048_576, 16_777_216];
const QUEUED = [1_000, 10_000, 100_000, 300_000, 1_000_000];
/** More than that would cost the slower ones minutes. */
const MOST_FOR_PEERS = 300_000;
const WORKERS = [4, 16, 64];
const GRAPHS = ['chain', 'random'].flatMap((shape) => [1_000, 10_000, 100_000].map((count) => ({ shape, count })));

const variant = (id) => id.startsWith('bosun-');
const pools = contestants(({ kind }) => kind !== 'raw' && kind !== 'graph').filter((id) => !variant(id));
const nodes = [...pools, 'fork-json', 'fork-advanced', 'unix-socket'];
const apis = ['bosun', 'bosun-limits', 'bosun-task', 'bosun-threads', ...nodes.slice(1)];

/**
 * @typedef {object} Scenario
 * @property {string} id `--only` takes it, or what is before a hyphen in it
 * @property {string} module in scenarios/
 * @property {string[]} contestants
 * @property {object} params what `measure` gets
 * @property {object} [quick] and what is different with `--quick`
 * @property {object} [extra] more options for `start`
 * @property {boolean} [pinned] to one core, the workers too
 * @property {boolean} [calibrated] `measure` gets `iterationsPerMs`
 */

/** @type {Scenario[]} */
export const PLAN = [
  ...[1, 2].map((workers) => ({
    id: `noop-${workers}`,
    module: 'noop',
    contestants: apis,
    params: { workers, most: 100_000, ms: 800 },
    quick: { most: 20_000, ms: 200 },
  })),
  {
    id: 'latency',
    module: 'latency',
    contestants: ['bosun', 'bosun-spin', 'bosun-nospin', 'bosun-threads', ...nodes.slice(1), 'c-echo'],
    params: { count: 4_000 },
    quick: { count: 500 },
  },
  {
    id: 'latency-pinned',
    module: 'latency',
    contestants: ['bosun', 'piscina', 'piscina-16', 'unix-socket', 'c-echo'],
    params: { count: 4_000 },
    quick: { count: 500 },
    pinned: true,
  },
  {
    id: 'efficiency',
    module: 'efficiency',
    contestants: nodes,
    params: { workers: 2, taskMs: 0.1, count: 5_000 },
    quick: { count: 2_000 },
    calibrated: true,
  },
  {
    id: 'blocked',
    module: 'blocked',
    contestants: [
      'bosun',
      'piscina',
      'piscina-16',
      'tinypool-processes',
      'workerpool-processes',
      'poolifier-cluster',
      'jest-processes',
    ],
    params: { workers: 2, taskMs: 1, count: 1_000, blockMs: 2_000 },
    calibrated: true,
  },
  ...SIZES.map((bytes) => ({
    id: `echo-${bytes}`,
    module: 'echo',
    contestants: [
      'bosun',
      'bosun-threads',
      'piscina-16',
      'tinypool-processes',
      'workerpool-processes',
      'poolifier-cluster',
      'jest-processes',
      'fork-advanced',
      'unix-socket',
    ],
    params: { bytes, ms: 400 },
    quick: { ms: 100 },
    extra: { buffers: true },
  })),
  {
    id: 'transfer',
    module: 'transfer',
    contestants: ['bosun-threads', 'piscina-16', 'message-channel'],
    params: { bytes: 1_048_576, ms: 400 },
    quick: { ms: 100 },
  },
  {
    id: 'memory',
    module: 'memory',
    contestants: ['bosun'],
    params: { count: 1_000_000 },
    quick: { count: 100_000 },
  },
  {
    id: 'memory-peers',
    module: 'memory',
    contestants: contestants(({ kind, queue }) => (kind === 'processes' && queue) || kind === 'threads').filter(
      (id) => id.startsWith('piscina') || id.endsWith('processes'),
    ),
    params: { count: 200_000 },
    quick: { count: 50_000 },
  },
  { id: 'startup', module: 'startup', contestants: [...nodes, 'bosun-threads'], params: { workers: 2 } },
  ...QUEUED.map((count) => ({
    id: `queued-${count}`,
    module: 'queued',
    contestants: count > MOST_FOR_PEERS ? ['bosun'] : ['bosun', 'piscina-16', 'unix-socket'],
    params: { count },
    quick: { count: count / 10 },
  })),
  {
    id: 'native-queue',
    module: 'native-queue',
    contestants: ['bosun'],
    params: { counts: [1_000, 10_000, 100_000, 1_000_000] },
  },
  {
    id: 'native-bench',
    module: 'native-bench',
    contestants: ['bosun'],
    params: { rounds: 3, row: '2 producers, 2 consumers' },
    quick: { rounds: 1 },
  },
  {
    id: 'urgent',
    module: 'urgent',
    contestants: ['bosun', 'piscina', 'tinypool-processes', 'jest-processes'],
    params: { workers: 2, taskMs: 1, backlog: 10_000, forMs: 2_500 },
    quick: { forMs: 500 },
    extra: { priorities: true },
    calibrated: true,
  },
  {
    id: 'held-up',
    module: 'held-up',
    contestants: ['bosun', 'bosun-ahead'],
    params: { samples: 5 },
    quick: { samples: 2 },
  },
  {
    id: 'idle',
    module: 'idle',
    contestants: ['bosun', 'piscina', 'tinypool-processes'],
    params: { workers: 4, forMs: 2_500 },
  },
  ...GRAPHS.map(({ shape, count }) => ({
    id: `graph-${shape}-${count}`,
    module: 'graph',
    // async.auto takes minutes for ten thousand, and a chain on workers a round trip for each.
    contestants: contestants(({ kind }, id) => {
      if (id === 'async-auto') return count <= 1_000;
      return kind === 'graph' && (id !== 'graph-workers' || shape !== 'chain' || count <= 10_000);
    }),
    params: { shape, count, ms: 3_000 },
    quick: { count: count / 10, ms: 300 },
  })),
  ...WORKERS.map((workers) => ({
    id: `workers-${workers}`,
    module: 'noop',
    contestants: ['bosun', 'piscina-16', 'poolifier-cluster'],
    params: { workers, most: 100_000, ms: 600, windowed: false },
    quick: { most: 20_000, ms: 200 },
  })),
];

/** Who runs several series at once puts these together again. */
export const GROWTH = { payload: SIZES, queued: QUEUED, workers: [1, 2, ...WORKERS], peersUpTo: MOST_FOR_PEERS };
