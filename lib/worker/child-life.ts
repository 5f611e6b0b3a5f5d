// The life of a child process: the one place where any is started.

import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { native } from '../native.js';
import { type Suspendable, unwatchSuspension, watchSuspension } from './suspension.js';
import { WorkerLife } from './worker-life.js';

export class ChildLife extends WorkerLife implements Suspendable {
  protected readonly child: ChildProcess;
  #error: Error | undefined;

  /** Never through a shell. */
  constructor(command: string, args: readonly string[], options: Omit<SpawnOptions, 'shell'>) {
    super();
    this.child = spawn(command, args, { ...options, windowsHide: true });
    // Its owner decides what keeps this process up.
    this.child.unref();
    watchSuspension(this);
    const { pid } = this.child;
    if (pid !== undefined) native.expectChild(pid);
    this.child.once('error', (error) => {
      this.#error = error;
      // Without a pid there will be no exit event.
      if (this.child.pid !== undefined) return;
      unwatchSuspension(this);
      this.markDead({ exitCode: null, exitSignal: null });
    });
    this.child.once('exit', (exitCode, exitSignal) => {
      if (pid !== undefined) native.forgetChild(pid);
      // What it has started and left behind; nobody else knows of it.
      this.#killGroup();
      unwatchSuspension(this);
      this.markDead({ exitCode, exitSignal });
    });
  }

  /** This process stays up as long as that one. */
  ref(): void {
    this.child.ref();
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Why the system refused to start it. */
  override get spawnError(): Error | undefined {
    return this.#error;
  }

  suspended(isSuspended: boolean): void {
    this.emit('suspended', isSuspended);
  }

  #killGroup(): void {
    try {
      if (this.pid !== undefined) process.kill(-this.pid, 'SIGKILL');
    } catch {
      // Nobody is left of it.
    }
  }

  protected override signal(name: NodeJS.Signals): void {
    const { pid } = this;
    if (pid === undefined) return;
    try {
      // Its process group: what it has started goes with it.
      process.kill(-pid, name);
    } catch {
      // It has no group of its own yet.
      this.child.kill(name);
    }
  }
}
