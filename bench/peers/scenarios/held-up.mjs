// A worker that was sent several tasks ahead begins with one that takes seconds, the other worker is idle soon: when are
// those done that were behind it? Every sample has a manager of its own, which is killed.

import { allAtOnce } from '../load.mjs';
import { median } from '../statistics.mjs';

const LONG_MS = 5_000;
const OTHERS = 30;

export async function measure(open, { samples }) {
  const delays = [];
  let recalled = 0;
  for (let i = 0; i < samples; i++) {
    const pool = await open(2);
    await pool.ready();
    for (let batch = 0; batch < 10; batch++) await allAtOnce(pool, 200);
    const before = pool.recalled();
    pool.call('block', LONG_MS).catch(() => {});
    const started = performance.now();
    await allAtOnce(pool, OTHERS);
    delays.push(performance.now() - started);
    recalled += pool.recalled() - before;
    await pool.kill();
  }
  return { samples, p50: median(delays), max: Math.max(...delays), recalled };
}
