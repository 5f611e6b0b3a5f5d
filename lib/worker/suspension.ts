// Which of our child processes are stopped, by SIGSTOP or a terminal, as the kernel tells their parent: no polling.

import { readFileSync } from 'node:fs';
import { builtin } from '../builtin.js';

/** Is told whenever its process was stopped, or goes on. */
export interface Suspendable {
  readonly pid: number | undefined;
  suspended(isSuspended: boolean): void;
}

const watched = new Map<Suspendable, boolean>();

/** SIGCHLD comes for every change of any child; which one changed is for us to see. */
function look(): void {
  for (const [process_, was] of watched) {
    const is = isStopped(process_.pid);
    if (is === was) continue;
    watched.set(process_, is);
    process_.suspended(is);
  }
}

/** `pid (name) state ...` in /proc; elsewhere nobody is ever seen as stopped. */
function isStopped(pid: number | undefined): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return /^[Tt]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}

/** One listener however many are watched. Threads get no signals: a manager in one does not see who is stopped. */
export function watchSuspension(process_: Suspendable): void {
  if (!builtin('node:worker_threads').isMainThread || process.platform !== 'linux') return;
  if (watched.size === 0) process.on('SIGCHLD', look);
  watched.set(process_, false);
}

export function unwatchSuspension(process_: Suspendable): void {
  if (watched.delete(process_) && watched.size === 0) process.off('SIGCHLD', look);
}
