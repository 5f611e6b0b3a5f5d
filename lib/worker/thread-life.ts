// The life of a worker that is a thread of this process.

import type { ResourceLimits, Worker as Thread, TransferListItem } from 'node:worker_threads';
import { builtin } from '../builtin.js';
import { type EntryName, entryFile } from '../package-root.js';
import { inheritedExecArgv } from './exec-argv.js';
import { WorkerLife } from './worker-life.js';

/** What a thread is started with. */
export interface ThreadLifeOptions {
  /** What it runs; the target of a Worker unless given. */
  readonly main?: EntryName;
  readonly workerData: unknown;
  readonly transferList?: readonly TransferListItem[] | undefined;
  readonly name?: string | undefined;
  readonly execArgv?: readonly string[] | undefined;
  readonly env?: NodeJS.ProcessEnv | undefined;
  readonly resourceLimits?: ResourceLimits | undefined;
}

export class ThreadLife extends WorkerLife {
  readonly thread: Thread;
  /** Kept: the thread's own becomes -1 when it has ended. */
  readonly tid: number;
  /** What ended it, if it did not end by itself: an error that nothing caught, or a lack of memory. */
  error: Error | undefined;

  constructor({
    main = 'runtime/thread',
    workerData,
    transferList = [],
    name,
    execArgv,
    env,
    resourceLimits,
  }: ThreadLifeOptions) {
    super();
    const { Worker } = builtin('node:worker_threads');
    this.thread = new Worker(entryFile(main), {
      workerData,
      transferList: [...transferList],
      ...(name !== undefined && { name }),
      ...(execArgv === undefined ? {} : { execArgv: inheritedExecArgv(execArgv) }),
      ...(env !== undefined && { env }),
      ...(resourceLimits !== undefined && { resourceLimits }),
    });
    this.tid = this.thread.threadId;
    this.thread.once('error', (error) => {
      this.error = error;
    });
    this.thread.once('exit', (exitCode) => this.markDead({ exitCode, exitSignal: null }));
  }

  override get failure(): string | undefined {
    return this.error?.message;
  }

  get pid(): number {
    return process.pid;
  }

  /** Every signal is the same to a thread: its isolate is stopped, and nothing else of this process. */
  protected override signal(): void {
    void this.thread.terminate();
  }
}
