// A pool with nothing to do: how often do its threads wake up? It lives in a process of its own, so that nothing here is
// counted.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { descendants, voluntarySwitches } from '../processes.mjs';

const SUBJECT = fileURLToPath(new URL('./idle-subject.mjs', import.meta.url));
/** V8 tidies up for a while. */
const SETTLE_MS = 2_000;

export async function measure(_open, { contestant, workers, forMs }) {
  const subject = spawn(process.execPath, [SUBJECT, contestant, String(workers)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await Promise.race([
    once(subject.stdout, 'data'),
    once(subject, 'exit').then(() => {
      throw new Error('the idle process has ended');
    }),
  ]);
  await sleep(SETTLE_MS);
  const pids = [subject.pid, ...descendants(subject.pid)];
  const count = () => pids.map(voluntarySwitches);
  const before = count();
  await sleep(forMs);
  const woken = count().map((after, i) => after - before[i]);
  const perSecond = (pid) => (woken[pids.indexOf(pid)] * 1_000) / forMs;
  const parent = perSecond(subject.pid);
  const all = (woken.reduce((a, b) => a + b, 0) * 1_000) / forMs;
  return { processes: pids.length, wakeUpsPerSecond: all, ofParent: parent };
}
