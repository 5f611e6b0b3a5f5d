// The life of a worker that is a Node.js process.

import { type EntryName, entryFile } from '../package-root.js';
import { ChildLife } from './child-life.js';
import { inheritedExecArgv } from './exec-argv.js';

/** What a process is started with. */
export interface ProcessLifeOptions {
  /** What it runs: the tasks of a manager, the target of a Worker, a server. */
  readonly main: EntryName;
  /** Arguments of it. */
  readonly args?: readonly string[];
  /** Inherited as descriptors 3, 4, 5 and so on; the caller closes its own copies after the constructor. */
  readonly descriptors: readonly [socket: number, page: number, lifeline: number, ...more: number[]];
  /** Where standard output and error go. */
  readonly stdout: number | 'ignore';
  readonly stderr: number | 'ignore';
  /** Node.js options; this process's own, without those of debuggers and test runners, unless given. */
  readonly execArgv?: readonly string[] | undefined;
  /** The whole environment; this process's own unless given. */
  readonly env?: NodeJS.ProcessEnv | undefined;
}

/** Starts a Node.js process. */
export class ProcessLife extends ChildLife {
  constructor({ main, args = [], descriptors, stdout, stderr, execArgv, env }: ProcessLifeOptions) {
    super(process.execPath, [...(execArgv ?? inheritedExecArgv(process.execArgv)), entryFile(main), ...args], {
      stdio: ['ignore', stdout, stderr, ...descriptors],
      env: env ?? process.env,
    });
  }
}
