// One task at a time: how long the next one takes.

import { noops, warmUp } from '../load.mjs';
import { percentile } from '../statistics.mjs';

const WARM = 1_000;

export async function measure(open, { count }) {
  const pool = await open(1);
  const us = pool.roundTrips?.(count) ?? (await oneByOne(pool, count));
  return { count, p50: percentile(us, 50), p90: percentile(us, 90), p99: percentile(us, 99) };
}

async function oneByOne(pool, count) {
  await warmUp(pool, 1, 200);
  const call = noops(pool);
  const us = [];
  for (let i = -WARM; i < count; i++) {
    const started = performance.now();
    await call(i);
    if (i >= 0) us.push((performance.now() - started) * 1_000);
  }
  return us;
}
