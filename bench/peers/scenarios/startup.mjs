// From nothing, the import of the library included, to the first result; then, once every worker is up, from the call
// that ends the pool until no process of it is left.

import { setImmediate as turn } from 'node:timers/promises';
import { noops } from '../load.mjs';
import { descendants } from '../processes.mjs';

const UP_MS = 400;

export async function measure(open, { workers }) {
  const started = performance.now();
  const pool = await open(workers);
  await noops(pool)(0);
  const firstResultMs = performance.now() - started;
  await pool.ready?.();
  for (const until = performance.now() + UP_MS; performance.now() < until; ) {
    await Promise.all(Array.from({ length: 2 * workers }, (_, i) => noops(pool)(i)));
  }
  const pids = descendants(process.pid);
  const closing = performance.now();
  await pool.end();
  while (pids.some(isThere)) await turn();
  return { firstResultMs, closeMs: performance.now() - closing, processes: pids.length };
}

function isThere(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
