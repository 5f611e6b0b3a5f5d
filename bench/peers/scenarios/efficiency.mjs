// Short tasks of a fixed size on two workers: the time that two idle cores would need over the time that it took.

import { warmUp } from '../load.mjs';

export async function measure(open, { workers, taskMs, count, iterationsPerMs }) {
  const iterations = Math.round(taskMs * iterationsPerMs);
  const pool = await open(workers);
  await warmUp(pool, workers);
  const run = (n) => Promise.all(Array.from({ length: n }, () => pool.call('spin', iterations)));
  await run(count / 5);
  const started = performance.now();
  await run(count);
  const elapsedMs = performance.now() - started;
  return { count, elapsedMs, efficiency: (count * taskMs) / workers / elapsedMs };
}
