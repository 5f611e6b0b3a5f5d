// Does a task cost more when many are queued? Time for each from the first call to the last result, less what as many
// bare promises cost: they are the caller's, and the garbage collector makes them dearer the more there are.

import { allAtOnce, warmUp } from '../load.mjs';
import { median } from '../statistics.mjs';

const TOTAL = 100_000;
const MOST = 10;

export async function measure(open, { count }) {
  const pool = await open(1);
  await warmUp(pool, 1);
  const runs = Math.min(MOST, Math.max(1, Math.round(TOTAL / count)));
  const usEach = async (run) => {
    const times = [];
    for (let i = 0; i < runs; i++) {
      const started = performance.now();
      await run();
      times.push(((performance.now() - started) * 1_000) / count);
    }
    return median(times);
  };
  await barePromises(TOTAL);
  const floorUs = await usEach(() => barePromises(count));
  const taskUs = await usEach(() => allAtOnce(pool, count));
  return { count, taskUs, floorUs, netUs: taskUs - floorUs };
}

async function barePromises(count) {
  const promises = new Array(count);
  const resolvers = new Array(count);
  for (let i = 0; i < count; i++) {
    promises[i] = new Promise((resolve) => {
      resolvers[i] = resolve;
    });
  }
  for (let i = 0; i < count; i++) resolvers[i](i);
  await Promise.all(promises);
}
