// Two workers are busy with a long queue of tasks of a millisecond. Now and then comes a no-op that is more urgent: how
// long until its result is there?

import { setTimeout as sleep } from 'node:timers/promises';
import { warmUp } from '../load.mjs';
import { percentile } from '../statistics.mjs';

const LEAST_GAP_MS = 3;
const GAP_MS = 6;

export async function measure(open, { workers, taskMs, backlog, forMs, iterationsPerMs }) {
  // An object each: some pools look into it for the priority.
  const input = () => ({ iterations: Math.round(taskMs * iterationsPerMs) });
  const pool = await open(workers);
  await warmUp(pool, workers);
  await Promise.all(Array.from({ length: 100 }, () => pool.call('work', input())));
  let left = backlog;
  for (let i = 0; i < backlog; i++) {
    pool.call('work', input()).then(
      () => left--,
      () => {},
    );
  }
  const ms = [];
  const until = performance.now() + forMs;
  while (performance.now() < until) {
    // Timers fire at whole milliseconds, which the tasks here are not: the phase is a random one.
    await sleep(LEAST_GAP_MS + Math.random() * GAP_MS);
    const started = performance.now();
    await pool.callUrgent('noop', { i: 1 });
    ms.push(performance.now() - started);
  }
  if (left < backlog / 10) throw new Error(`only ${left} tasks were left to go before`);
  return { samples: ms.length, left, p50: percentile(ms, 50), p99: percentile(ms, 99), max: Math.max(...ms) };
}
