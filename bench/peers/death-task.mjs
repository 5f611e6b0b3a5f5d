// What the workers of death.mjs run. DEATH_LOG counts starts and runs; DEATH_AT_START kills a worker as it starts.

import { appendFileSync, closeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** By name; a process or a thread does it to itself. */
const DEATHS = {
  'exit(0)': () => process.exit(0),
  'exit(1)': () => process.exit(1),
  'throw in a timer': () => {
    setTimeout(() => {
      throw new Error('thrown by the task');
    });
  },
  'unhandled rejection': () => {
    Promise.reject(new Error('thrown by the task'));
  },
  SIGKILL: () => process.kill(process.pid, 'SIGKILL'),
  SIGSEGV: () => process.kill(process.pid, 'SIGSEGV'),
  'abort()': () => process.abort(),
  'heap exhausted': () => {
    const kept = [];
    for (;;) kept.push(new Array(1000).fill({}));
  },
  SIGSTOP: () => process.kill(process.pid, 'SIGSTOP'),
  // Workers of bosun have no IPC channel of Node.js but a socket, descriptor 3.
  disconnect: () => (process.disconnect === undefined ? closeSync(3) : process.disconnect()),
};

const log = (what) => appendFileSync(process.env['DEATH_LOG'], `${what} ${process.pid}\n`);
const forever = () => new Promise(() => setInterval(() => {}, 1e9));

function dieBy(name) {
  log('death');
  DEATHS[name]();
}

/** Dies while it runs, or shortly after it has returned. */
export async function die({ death, phase }) {
  log('run');
  if (phase === 'after') {
    setTimeout(dieBy, 10, death);
    return 'ok';
  }
  dieBy(death);
  // Still at work, as far as the pool knows.
  return await forever();
}

/** Waits a little, as tasks do: what a task before has left behind gets its turn. */
export async function echo(value) {
  await sleep(20);
  return value;
}

/** For pools that load a module ahead of its first task only when it is a set-up. */
export function warmUp() {}

log('start');
if (process.env['DEATH_AT_START'] !== undefined) dieBy(process.env['DEATH_AT_START']);
