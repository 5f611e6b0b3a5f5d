// What bosun promises, in figures: every one of them, how it is computed, and what it has to be.

import { contestants } from './contestants.mjs';
import { Figures, spreadOf } from './figures.mjs';
import { GROWTH } from './plan.mjs';
import { Unavailable } from './unavailable.mjs';

const PEERS = contestants(({ kind }) => kind === 'threads' || kind === 'processes');
const PROCESS_POOLS = contestants(({ kind }) => kind === 'processes');
const QUEUEING_PROCESS_POOLS = contestants(({ kind, queue }) => kind === 'processes' && queue);
const PISCINA = ['piscina', 'piscina-16'];
const SOCKET = ['unix-socket'];
const FLAT = 1.2;

/**
 * @typedef {object} Bar
 * @property {string} id
 * @property {string} what
 * @property {string} label the same for a chart
 * @property {string} unit
 * @property {number} [atLeast]
 * @property {number} [atMost]
 * @property {(figures: Figures) => { value: number, low: number, high: number, detail?: string }} of
 */

/** Ours over the best of them, as a ratio of each round, since the speed of a machine drifts and its ratios do not. */
function over(scenario, ours, rivals, key, best = Math.max) {
  return (figures) => {
    const measured = rivals.filter((id) => figures.has(scenario, id, key));
    const medianOf = (id) => figures.spread(scenario, id, key).value;
    if (measured.length === 0) throw new Unavailable(`nobody to compare with was measured in ${scenario}`);
    figures.spread(scenario, ours, key);
    const top = best(...measured.map(medianOf));
    const rival = measured.find((id) => medianOf(id) === top);
    const theirs = figures.rounds(scenario, rival, key);
    const pairs = [...figures.rounds(scenario, ours, key)].filter(([round]) => theirs.has(round));
    if (pairs.length === 0) throw new Unavailable(`no round has both ${ours} and ${rival} in ${scenario}`);
    return { ...spreadOf(pairs.map(([round, value]) => value / theirs.get(round))), detail: rival };
  };
}

const plain = (scenario, key, id = 'bosun') => {
  return (figures) => figures.spread(scenario, id, key);
};

/** The largest median over the smallest. */
function flatness(medians) {
  const [least, most] = [Math.min(...medians), Math.max(...medians)];
  if (least <= 0) throw new Unavailable('less than the floor: there was too much noise');
  const value = most / least;
  return { value, low: value, high: value, detail: `${least.toPrecision(3)} to ${most.toPrecision(3)}` };
}

const API = [
  ['bosun', 'run()', 6],
  ['bosun-limits', 'run() with signal and time-out', 4],
  ['bosun-task', 'schedule(Task)', 4],
];
const WORKERS = [1, 2];
const workers = (count) => `${count} ${count === 1 ? 'worker' : 'workers'}`;

/** @type {Bar[]} */
export const BARS = [
  ...WORKERS.flatMap((count) =>
    API.map(([id, name, atLeast]) => ({
      id: `noop-${count}/${id}`,
      label: `No-op, ${workers(count)}, ${name}`,
      what: `No-op tasks/s at once, ${workers(count)}, ${name}, over the best peer`,
      unit: 'x',
      atLeast,
      of: over(`noop-${count}`, id, PEERS, 'atOnce'),
    })),
  ),
  ...WORKERS.map((count) => ({
    id: `noop-${count}/processes`,
    label: `No-op, ${workers(count)}, over process pools`,
    what: `No-op tasks/s at once, ${workers(count)}, run(), over the best process pool with a queue`,
    unit: 'x',
    atLeast: 20,
    of: over(`noop-${count}`, 'bosun', QUEUEING_PROCESS_POOLS, 'atOnce'),
  })),
  {
    id: 'noop-1/window',
    label: 'No-op, 64 in flight',
    what: 'No-op tasks/s with 64 in flight, 1 worker, over the best peer',
    unit: 'x',
    atLeast: 3,
    of: over('noop-1', 'bosun', PEERS, 'window64'),
  },
  {
    id: 'latency/piscina',
    label: 'Latency, spin auto, over piscina',
    what: "One task at a time, p50, spin auto, over piscina's threads",
    unit: 'x',
    atMost: 0.5,
    of: over('latency', 'bosun-spin', PISCINA, 'p50', Math.min),
  },
  {
    id: 'latency/socket',
    label: 'Latency, spin auto, over a raw socket',
    what: 'One task at a time, p50, spin auto, over a raw Unix socket between Node processes',
    unit: 'x',
    atMost: 0.5,
    of: over('latency', 'bosun-spin', SOCKET, 'p50', Math.min),
  },
  {
    id: 'latency/nospin',
    label: 'Latency, spin off, over piscina',
    what: "One task at a time, p50, spin off, over piscina's threads",
    unit: 'x',
    atMost: 1.15,
    of: over('latency', 'bosun-nospin', PISCINA, 'p50', Math.min),
  },
  {
    id: 'latency/pinned',
    label: 'Latency on one core, over piscina',
    what: "One task at a time, p50, both on one core, over piscina's threads",
    unit: 'x',
    atMost: 1.25,
    of: over('latency-pinned', 'bosun', PISCINA, 'p50', Math.min),
  },
  {
    id: 'threads/noop',
    label: 'Threads, no-op, over processes',
    what: 'No-op tasks/s at once, 1 worker, run(), threads over processes',
    unit: 'x',
    atLeast: 1,
    of: over('noop-1', 'bosun-threads', ['bosun'], 'atOnce'),
  },
  {
    id: 'threads/piscina',
    label: 'Threads, no-op, over piscina',
    what: "No-op tasks/s at once, 1 worker, run(), threads over piscina's best",
    unit: 'x',
    atLeast: 6,
    of: over('noop-1', 'bosun-threads', PISCINA, 'atOnce'),
  },
  {
    id: 'threads/latency',
    label: 'Threads, latency, over piscina',
    what: "One task at a time, p50, threads, over piscina's",
    unit: 'x',
    atMost: 1,
    of: over('latency', 'bosun-threads', PISCINA, 'p50', Math.min),
  },
  {
    id: 'threads/transfer',
    label: '1 MiB moved to a thread, over a MessageChannel',
    what: '1 MiB by transferList, 8 in flight, over a raw MessageChannel',
    unit: 'x',
    atLeast: 1,
    of: over('transfer', 'bosun-threads', ['message-channel'], 'perSecond'),
  },
  {
    id: 'efficiency/peers',
    label: 'Tasks of 0.1 ms, over the best peer',
    what: 'Tasks of 0.1 ms on 2 workers, ideal over actual time, over the best peer',
    unit: 'x',
    atLeast: 1.2,
    of: over('efficiency', 'bosun', PEERS, 'efficiency'),
  },
  {
    id: 'efficiency/socket',
    label: 'Tasks of 0.1 ms, over raw frames',
    what: 'The same, over raw frames on a Unix socket',
    unit: 'x',
    atLeast: 0.95,
    of: over('efficiency', 'bosun', SOCKET, 'efficiency'),
  },
  {
    id: 'blocked',
    label: 'Done while the loop is blocked',
    what: 'Event loop blocked for 2 s with 1 000 tasks of 1 ms on 2 workers: share that is done then',
    unit: '',
    atLeast: 0.95,
    of: plain('blocked', 'share'),
  },
  ...[
    [1_024, '1 KiB', 5],
    [65_536, '64 KiB', 3],
    [1_048_576, '1 MiB', 2.5],
  ].map(([bytes, size, atLeast]) => ({
    id: `echo/${bytes}`,
    label: `Buffer echo of ${size}`,
    what: `Buffer echo of ${size}, 8 in flight, over the best process pool`,
    unit: 'x',
    atLeast,
    of: over(`echo-${bytes}`, 'bosun', PROCESS_POOLS, 'mbPerSecond'),
  })),
  {
    id: 'memory/bytes',
    label: 'Bytes per queued task',
    what: 'A million queued run() tasks: resident bytes for each, promise included',
    unit: 'B',
    atMost: 400,
    of: plain('memory', 'bytesPerTask'),
  },
  {
    id: 'memory/delay',
    label: 'Loop delay, submitting a million',
    what: 'A million queued run() tasks: longest delay of the event loop, submitting in chunks',
    unit: 'ms',
    atMost: 50,
    of: plain('memory', 'longestDelayMs'),
  },
  {
    id: 'startup/first',
    label: 'First result, over tinypool',
    what: 'First result of a fresh manager with 2 workers, over tinypool with processes',
    unit: 'x',
    atMost: 1.2,
    of: over('startup', 'bosun', ['tinypool-processes'], 'firstResultMs', Math.min),
  },
  {
    id: 'startup/close',
    label: 'Close, over tinypool',
    what: 'Close until every process is gone, 2 workers, over tinypool with processes',
    unit: 'x',
    atMost: 1.5,
    of: over('startup', 'bosun', ['tinypool-processes'], 'closeMs', Math.min),
  },
  {
    id: 'queued/flat',
    label: 'Cost per task, 10 k to 1 M queued',
    what: 'Time for each of 10 k to 1 M queued tasks, less that of bare promises: largest over smallest',
    unit: 'x',
    atMost: FLAT,
    of(figures) {
      const counts = GROWTH.queued.filter((count) => count >= 10_000);
      return flatness(counts.map((count) => figures.spread(`queued-${count}`, 'bosun', 'netUs').value));
    },
  },
  {
    id: 'native-queue/flat',
    label: 'Native push and pop, 1 k to 1 M',
    what: 'Native push and pop alone, 1 k to 1 M: largest over smallest',
    unit: 'x',
    atMost: FLAT,
    of(figures) {
      const [run] = figures.runs('native-queue', 'bosun');
      const keys = Object.keys(run?.values ?? {});
      if (keys.length === 0) throw new Unavailable('the native queue was not measured');
      return flatness(keys.map((key) => figures.spread('native-queue', 'bosun', key).value));
    },
  },
  {
    id: 'urgent/p50',
    label: 'Urgent task, p50',
    what: 'An urgent no-op behind 10 k tasks of 1 ms on 2 workers: p50 until it is done',
    unit: 'ms',
    atMost: 0.7,
    of: plain('urgent', 'p50'),
  },
  {
    id: 'urgent/p99',
    label: 'Urgent task, p99',
    what: 'An urgent no-op behind 10 k tasks of 1 ms on 2 workers: p99 until it is done',
    unit: 'ms',
    atMost: 1.5,
    of: plain('urgent', 'p99'),
  },
  {
    id: 'held-up',
    label: 'Held up behind a long task',
    what: 'Tasks sent ahead behind one of 5 s, another worker idle: the longest delay of the others',
    unit: 'ms',
    atMost: 2,
    of: plain('held-up', 'max', 'bosun-ahead'),
  },
  {
    id: 'idle',
    label: 'Wake-ups a second, idle',
    what: 'Idle manager with 4 workers: wake-ups a second',
    unit: '/s',
    atMost: 0,
    of: plain('idle', 'wakeUpsPerSecond'),
  },
  {
    id: 'native-bench',
    label: 'Native queue, over the best other',
    what: 'Native queue, 2 producers and 2 consumers, over the better of moodycamel and atomic_queue',
    unit: 'x',
    atLeast: 0.7,
    of: plain('native-bench', 'ratio'),
  },
];

/**
 * @typedef {object} Verdict
 * @property {Bar} bar
 * @property {'met' | 'missed' | 'not available'} state
 * @property {number} [value]
 * @property {number} [low] of the rounds
 * @property {number} [high]
 * @property {string} [detail] the rival, or whatever else is worth saying
 * @property {string} [reason] why there is no figure
 */

/** @returns {Verdict[]} one for each bar */
export function judge(results, bars = BARS) {
  const figures = new Figures(results);
  return bars.map((bar) => {
    try {
      const found = bar.of(figures);
      const isMet = bar.atLeast === undefined ? found.value <= bar.atMost : found.value >= bar.atLeast;
      return { bar, state: isMet ? 'met' : 'missed', ...found };
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      return { bar, state: 'not available', reason: error.message };
    }
  });
}

/** 1 is at the bar, above it is better, whichever way the bar points. */
export function margin({ bar, value }) {
  if (bar.atLeast !== undefined) return value / bar.atLeast;
  return bar.atMost === 0 ? Number(value === 0) : bar.atMost / value;
}
