// Tasks are queued, then the parent does not let go of its event loop: what share of them is done when it does? Every
// task leaves a byte in a file, so that the answer needs no event of the parent's loop.

import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { warmUp } from '../load.mjs';

export async function measure(open, { workers, taskMs, count, blockMs, iterationsPerMs }) {
  const directory = mkdtempSync(join(tmpdir(), 'bosun-bench-'));
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'done');
  const input = { iterations: Math.round(taskMs * iterationsPerMs), file };
  const pool = await open(workers);
  await warmUp(pool, workers);
  // Compiled, and known to be slow tasks where that makes a difference.
  await Promise.all(Array.from({ length: 100 }, () => pool.call('work', input)));
  writeFileSync(file, '');
  for (let i = 0; i < count; i++) pool.call('work', input).catch(() => {});
  // One turn, so that what is submitted in batches has left.
  await turn();
  const until = performance.now() + blockMs;
  while (performance.now() < until);
  return { count, share: statSync(file).size / count };
}
