// The LocalManager as one of its tasks sees it: `ctx.manager`.

import type { Manager, ProgressListener, RunOptions, ScheduleOptions, TaskHandle } from '../task/manager.js';
import { checkListener } from '../task/progress.js';
import type { RunContext, Wait } from '../task/run-context.js';
import type { RunTarget } from '../task/target.js';
import type { Task } from '../task/task.js';
import type { ScheduledTask } from './handle.js';

/** What it asks of the manager. */
export interface LocalHost {
  add<R>(task: Task<R>, priority: number | ScheduleOptions | undefined, isCall: boolean): ScheduledTask<R>;
  toCall<R>(target: RunTarget, args: readonly unknown[], options: RunOptions): Task<R>;
  /** A task waits for this one: it goes before its level, the last one first. */
  promote(id: number): void;
  sendMessage(message: unknown): void;
}

/** Waiting for a result lends the task's place to what it waits for, as it does in a worker. */
export class LocalTaskManager implements Manager {
  readonly #host: LocalHost;
  readonly #context: RunContext;

  constructor(host: LocalHost, context: RunContext) {
    this.#host = host;
    this.#context = context;
  }

  schedule<R>(task: Task<R>, priority?: number | ScheduleOptions): TaskHandle<R> {
    const handle = this.#host.add(task, priority, false);
    const child = new LocalChild(this.#host, this.#context, handle);
    handle.wanted = () => void child.result;
    return child;
  }

  run<R>(target: RunTarget, args: readonly unknown[] = [], options: RunOptions = {}): Promise<R> {
    const task = this.#host.toCall<R>(target, args, options);
    return this.#call(task, checkListener(options.onProgress));
  }

  sendMessage(message: unknown): void {
    this.#host.sendMessage(message);
  }

  async #call<R>(task: Task<R>, onProgress: ProgressListener | undefined): Promise<R> {
    if (this.#context.stopped !== undefined) throw this.#context.stopped;
    const handle = this.#host.add(task, undefined, true);
    if (onProgress !== undefined) handle.onProgress(onProgress);
    return waitFor(this.#host, this.#context, handle);
  }
}

class LocalChild<R> implements TaskHandle<R> {
  readonly id: number;
  readonly task: Task<R>;
  readonly #host: LocalHost;
  readonly #context: RunContext;
  readonly #handle: TaskHandle<R>;
  #result: Promise<R> | undefined;

  constructor(host: LocalHost, context: RunContext, handle: TaskHandle<R>) {
    this.id = handle.id;
    this.task = handle.task;
    this.#host = host;
    this.#context = context;
    this.#handle = handle;
  }

  get result(): Promise<R> {
    if (this.#result === undefined) {
      this.#result = waitFor(this.#host, this.#context, this.#handle);
      // Who asks for a result need not have looked at it yet.
      this.#result.catch(() => {});
    }
    return this.#result;
  }

  cancel(reason?: unknown): void {
    this.#handle.cancel(reason);
  }

  send(message: unknown): void {
    this.#handle.send(message);
  }

  onProgress(listener: ProgressListener): this {
    this.#handle.onProgress(listener);
    return this;
  }
}

async function waitFor<R>(host: LocalHost, context: RunContext, handle: TaskHandle<R>): Promise<R> {
  if (context.stopped !== undefined) throw context.stopped;
  let stop: Wait['stop'] = () => {};
  const stopped = new Promise<never>((_, reject) => {
    stop = (reason) => {
      handle.cancel(reason);
      reject(reason);
    };
  });
  const wait = { stop };
  host.promote(handle.id);
  context.beginWait(wait);
  try {
    return await Promise.race([handle.result, stopped]);
  } finally {
    context.endWait(wait);
  }
}
