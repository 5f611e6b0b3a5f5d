// Tasks that wait: resident bytes for each, its promise included, and how long submitting them in chunks holds up the
// event loop.

import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { noops, warmUp } from '../load.mjs';

const CHUNK = 1_000;
const HOUR = 3_600_000;

export async function measure(open, { count }) {
  const pool = await open(1);
  await warmUp(pool, 1);
  pool.call('block', HOUR).catch(() => {});
  const call = noops(pool);
  const calls = new Array(count).fill(undefined);
  const before = await settledMemory();
  let longestMs = 0;
  const started = performance.now();
  let last = started;
  for (let i = 0; i < count; ) {
    for (const end = Math.min(count, i + CHUNK); i < end; i++) calls[i] = call(i);
    await turn();
    const now = performance.now();
    longestMs = Math.max(longestMs, now - last);
    last = now;
  }
  const submitUs = ((last - started) * 1_000) / count;
  const after = await settledMemory();
  if (calls.length !== count) throw new Error('promises are kept until here');
  return { count, bytesPerTask: (after - before) / count, longestDelayMs: longestMs, submitUs };
}

async function settledMemory() {
  // Not --expose-gc: workers would inherit it.
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  for (let i = 0; i < 3; i++) {
    collect();
    await turn();
  }
  return process.memoryUsage.rss();
}
