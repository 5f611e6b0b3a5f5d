// How a scenario drives a pool.

import { median } from './statistics.mjs';

const WARM_TASKS = 20_000;
const BATCH = 1_000;

/** Raw frames carry a number; everybody else gets a small object. */
const inputOf = (pool) => (pool.bare ? (i) => i : (i) => ({ i, s: 'x' }));

/** @returns {Promise<void>} when that many no-op tasks, submitted in one turn, are done */
export async function allAtOnce(pool, count) {
  const input = inputOf(pool);
  const calls = new Array(count);
  for (let i = 0; i < count; i++) calls[i] = pool.call('noop', input(i));
  await Promise.all(calls);
}

/** Submits the next when one is done, so that `width` are in flight. */
export async function inFlight(count, width, call) {
  let next = 0;
  const lane = async () => {
    while (next < count) await call(next++);
  };
  await Promise.all(Array.from({ length: width }, lane));
}

export const noops = (pool) => {
  const input = inputOf(pool);
  return (i) => pool.call('noop', input(i));
};

/**
 * Until every worker is up and code is compiled: for a time that grows with the workers, and for twice that time when
 * tasks are slow.
 *
 * @returns {Promise<number>} tasks a second, the median of the later half
 */
export async function warmUp(pool, workers, floorMs = 300) {
  await pool.ready?.();
  const patience = floorMs + 50 * workers;
  const started = performance.now();
  let done = 0;
  const rates = [];
  for (let elapsed = 0; elapsed < patience || (done < WARM_TASKS && elapsed < 2 * patience); ) {
    const began = performance.now();
    await allAtOnce(pool, BATCH);
    const now = performance.now();
    rates.push((BATCH / (now - began)) * 1_000);
    done += BATCH;
    elapsed = now - started;
  }
  return median(rates.slice(rates.length >> 1));
}

/** The median rate, per second, of as many runs as fit into `ms`; at least one. */
export async function rateOf(count, ms, run) {
  const rates = [];
  const started = performance.now();
  do {
    const began = performance.now();
    await run(count);
    rates.push((count / (performance.now() - began)) * 1_000);
  } while (performance.now() - started < ms);
  return median(rates);
}

/** Tasks a second from which a pool gets as many tasks as there are. */
const FAST = 40_000;

/** Slow pools get fewer: as many as take about `ms` at this rate, in thousands. */
export function countFor(rate, ms, least, most) {
  if (rate >= FAST) return most;
  const count = Math.round((rate * ms) / 1e6) * 1_000;
  return Math.min(most, Math.max(least, count));
}
