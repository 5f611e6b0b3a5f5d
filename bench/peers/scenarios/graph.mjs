// What a graph of no-op tasks costs for each of them, dependencies and all: from the description of the graph, plain data
// that is the same for everybody, to the end of its last task.

import { median } from '../statistics.mjs';

const MOST = 5;

export async function measure(open, { count, shape, ms }) {
  const pool = await open(2);
  await pool.ready?.();
  const nodes = SHAPES[shape](count);
  const times = [];
  // The first one is for the compiler.
  for (const began = performance.now(); times.length < 2 || (times.length < MOST && performance.now() - began < ms); ) {
    const started = performance.now();
    const ran = await pool.graph(nodes);
    times.push(performance.now() - started);
    if (ran !== count) throw new Error(`${ran} tasks of ${count} have run`);
  }
  return { count, usEach: (median(times.slice(1)) * 1_000) / count };
}

/** Each node has a number and the numbers of those that it requires, which are before it. */
const SHAPES = {
  chain: (count) => Array.from({ length: count }, (_, id) => ({ id, requires: id === 0 ? [] : [id - 1] })),
  /** Up to three of those before it, the same ones each time. */
  random(count) {
    let seed = 1;
    const below = (limit) => {
      // A linear congruential generator: Numerical Recipes, 1992.
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return seed % limit;
    };
    return Array.from({ length: count }, (_, id) => ({
      id,
      requires: id === 0 ? [] : [...new Set(Array.from({ length: below(4) }, () => below(id)))],
    }));
  },
};
