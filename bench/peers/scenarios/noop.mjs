// No-op tasks a second: submitted at once, and 64 in flight.

import { CONTESTANTS } from '../contestants.mjs';
import { allAtOnce, countFor, inFlight, noops, rateOf, warmUp } from '../load.mjs';

export async function measure(open, { contestant, workers, most, ms, windowed = true }) {
  const pool = await open(workers);
  const rate = await warmUp(pool, workers);
  // A promise about so many is not kept with fewer.
  const isOurs = CONTESTANTS[contestant].kind === 'ours';
  const count = isOurs ? most : countFor(rate, ms, 5_000, most);
  const cpu = process.cpuUsage();
  const before = performance.now();
  let tasks = 0;
  const atOnce = await rateOf(count, ms / 2, (n) => {
    tasks += n;
    return allAtOnce(pool, n);
  });
  const { user, system } = process.cpuUsage(cpu);
  const values = { count, atOnce, cpuUsPerTask: (user + system) / tasks, elapsedMs: performance.now() - before };
  if (!windowed) return values;
  const call = noops(pool);
  const window64 = await rateOf(countFor(rate, ms / 2, 2_000, most / 2), ms / 3, (n) => inFlight(n, 64, call));
  return { ...values, window64 };
}
