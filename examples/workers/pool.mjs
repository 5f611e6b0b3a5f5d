// A function over many inputs, on workers of two kinds; one of them is killed in between, and nothing is lost.

import { Pool } from 'bosun';

const target = { module: new URL('./square.mjs', import.meta.url), export: 'square' };

const pool = new Pool(target, { name: 'squares' });
pool.addWorker('thread');
const victim = pool.addWorker('process');
pool.addWorker('process');
await victim.started;

let count = 0;
let sum = 0;
const inputs = Array.from({ length: 1_000 }, (_, i) => i);
for await (const { index, value } of pool.stream([inputs])) {
  if (value !== index ** 2) throw new Error(`${value} is not the square of ${index}`);
  count += 1;
  sum += index ** 2;
  if (count === 100) process.kill(Number(victim.pid), 'SIGKILL');
}
console.log(`${count} squares, their sum is ${sum}; ${pool.workers.length} workers, of which one was replaced`);
await pool.close();
