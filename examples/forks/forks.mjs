// A parallel merge sort and a recursive sum of file sizes, by the same two functions on every kind of manager. Tasks wait
// for tasks at any depth, also where there is only one worker: one that waits lends its place to those that it waits for.

import { fileURLToPath } from 'node:url';
import { LocalManager, ProcessManager } from 'bosun';

/** @param {string} name */
const task = (name) => ({ module: new URL('./tasks.mjs', import.meta.url), export: name });
const folder = fileURLToPath(new URL('..', import.meta.url));

// The same numbers each time.
let seed = 1;
const next = () => {
  seed = (seed * 48_271) % 2_147_483_647;
  return seed;
};
const numbers = Array.from({ length: 50_000 }, next);
const expected = numbers.toSorted((a, b) => a - b);

const managers = {
  'this thread': new LocalManager(),
  'one process': new ProcessManager({ workers: 1 }),
  'three threads': new ProcessManager({ kind: 'thread', workers: 3 }),
};
for (const [kind, manager] of Object.entries(managers)) {
  const sum = manager.run(task('sizeOf'), [folder]);
  /** @type {number[]} */
  const sorted = await manager.run(task('sort'), [numbers]);
  const isRight = sorted.every((number, i) => number === expected[i]);
  console.log(
    `${kind}: ${sorted.length} numbers ${isRight ? 'in order' : 'out of order'}, ${await sum} bytes of examples`,
  );
  if (manager instanceof ProcessManager) await manager.close();
}
