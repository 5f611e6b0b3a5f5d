// A manager with nothing to do does nothing.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { programOf } from './fixtures/own-process.js';
import { wakeUps } from './fixtures/wake-ups.js';

const WINDOW_MS = 3_000;
/** V8 collects garbage once, about 8 s after a process has become idle; what wakes up again and again does so in each. */
const WINDOWS = 4;
const A_FEW = 2;

const skip = process.platform !== 'linux' && 'context switches are counted in /proc of Linux only';

test('an idle manager and its 4 workers are not woken', { skip, timeout: 60_000 }, async (t) => {
  const program = spawn(process.execPath, [programOf('idle-program')], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => program.kill('SIGKILL'));
  const [line] = (await once(createInterface({ input: program.stdout }), 'line')) as [string];
  const workers = line.split(' ').map(Number);
  assert.equal(workers.length, 4);
  const pids = [program.pid as number, ...workers];
  let counts: number[] = [];
  for (let i = 0; i < WINDOWS && (i === 0 || counts.some((count) => count > A_FEW)); i++) {
    const before = pids.map(wakeUps);
    await delay(WINDOW_MS);
    counts = pids.map((pid, n) => wakeUps(pid) - (before[n] as number));
    t.diagnostic(`woken in ${WINDOW_MS} ms: the manager ${counts[0]}, its workers ${counts.slice(1).join(', ')}`);
  }
  assert.ok(
    counts.every((count) => count <= A_FEW),
    `the manager and its workers were woken ${counts.join(', ')} times`,
  );
  const ended = once(program, 'exit');
  program.stdin.end();
  assert.deepEqual(await ended, [0, null]);
});
