// The life of a worker that is a child process.

import { type ChildProcess, spawn } from 'node:child_process';
import { native } from '../native.js';
import { type EntryName, entryFile } from '../package-root.js';
import { inheritedExecArgv } from './exec-argv.js';
import { type Suspendable, unwatchSuspension, watchSuspension } from './suspension.js';
import { WorkerLife } from './worker-life.js';

/** What a process is started with. */
export interface ProcessLifeOptions {
  /** What it runs: the tasks of a manager, the target of a Worker, a server. */
  readonly main: EntryName;
  /** Arguments of it. */
  readonly args?: readonly string[];
  /** Inherited as descriptors 3, 4 and 5; the caller closes its own copies after the constructor. */
  readonly descriptors: readonly [socket: number, page: number, lifeline: number];
  /** Where standard output and error go. */
  readonly stdout: number;
  readonly stderr: number;
  /** Node.js options; this process's own, without those of debuggers and test runners, unless given. */
  readonly execArgv?: readonly string[] | undefined;
  /** The whole environment; this process's own unless given. */
  readonly env?: NodeJS.ProcessEnv | undefined;
}

/** Starts a Node.js process. */
export class ProcessLife extends WorkerLife implements Suspendable {
  readonly #child: ChildProcess;
  #error: Error | undefined;

  constructor({ main, args = [], descriptors, stdout, stderr, execArgv, env }: ProcessLifeOptions) {
    super();
    this.#child = spawn(
      process.execPath,
      [...(execArgv ?? inheritedExecArgv(process.execArgv)), entryFile(main), ...args],
      {
        stdio: ['ignore', stdout, stderr, ...descriptors],
        env: env ?? process.env,
        windowsHide: true,
      },
    );
    // Its owner decides what keeps this process up.
    this.#child.unref();
    watchSuspension(this);
    const { pid } = this.#child;
    if (pid !== undefined) native.expectChild(pid);
    this.#child.once('error', (error) => {
      this.#error = error;
      // Without a pid there will be no exit event.
      if (this.#child.pid !== undefined) return;
      unwatchSuspension(this);
      this.markDead({ exitCode: null, exitSignal: null });
    });
    this.#child.once('exit', (exitCode, exitSignal) => {
      if (pid !== undefined) native.forgetChild(pid);
      // What its tasks have started and left behind; nobody else knows of it.
      this.#killGroup();
      unwatchSuspension(this);
      this.markDead({ exitCode, exitSignal });
    });
  }

  /** This process stays up as long as that one. */
  ref(): void {
    this.#child.ref();
  }

  get pid(): number | undefined {
    return this.#child.pid;
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
      // Its process group: what the tasks have started goes with it.
      process.kill(-pid, name);
    } catch {
      // It has no group of its own yet.
      this.#child.kill(name);
    }
  }
}
