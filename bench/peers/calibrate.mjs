// How many iterations of `spin` take a millisecond here. run.mjs starts one for each of two workers at once, since cores
// may share what makes them fast.

import { percentile } from './statistics.mjs';
import { spin } from './tasks.mjs';

const ITERATIONS = 200_000;
const FOR_MS = 500;

spin(ITERATIONS);
const rates = [];
for (const until = performance.now() + FOR_MS; performance.now() < until; ) {
  const started = performance.now();
  spin(ITERATIONS);
  rates.push(ITERATIONS / (performance.now() - started));
}
// Above the median: what was interrupted does not count.
console.log(percentile(rates, 75));
