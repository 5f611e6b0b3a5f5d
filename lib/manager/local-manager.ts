// A manager on this thread: no processes, no surprises. For tests of code that takes a Manager.

import { describe } from '../describe.js';
import { CancellationError, NotPortableError, WorkerException } from '../errors.js';
import { integer, ownOptions } from '../own-options.js';
import { createLogger } from '../runtime/log.js';
import { RunContext } from '../runtime/run-context.js';
import { createSession } from '../runtime/session.js';
import { runInContext } from '../task/context.js';
import type { Manager, TaskHandle } from '../task/manager.js';
import { choosePriority } from '../task/target.js';
import { Task } from '../task/task.js';
import { decodePayload, encodePayload } from '../wire/payload.js';
import { ScheduledTask } from './handle.js';
import { MessageReader, refuseSecondReader } from './message-reader.js';

/** Options of a LocalManager. */
export interface LocalManagerOptions {
  /** 1 to 128 levels, 0 the most urgent; 2 unless given. */
  readonly priorityLevels?: number;
}

/**
 * Runs tasks one after the other in this thread, in strict order of priority, first in first out inside a level: two
 * runs of one program do the same in the same order. The first task begins in the microtask after the call that
 * scheduled it. Tasks need not be portable: the object itself runs, not a copy of it as elsewhere. Messages are cloned as
 * they would be on their way from a process.
 */
export class LocalManager implements Manager {
  readonly #levels: ScheduledTask<unknown>[][];
  readonly #inbox: unknown[] = [];
  #reader: MessageReader | undefined;
  #left = 0;
  #ids = 0;
  #working = false;
  #running: { readonly id: number; readonly context: RunContext } | undefined;

  /** @throws OutOfRangeError (ERR_BOSUN_OUT_OF_RANGE) for a number of levels that is not 1 to 128. */
  constructor(options: LocalManagerOptions = {}) {
    const { priorityLevels = 2 } = ownOptions(options, 'the options of a LocalManager');
    const count = integer('priorityLevels', priorityLevels, 1, 128);
    this.#levels = Array.from({ length: count }, () => []);
  }

  /** Tasks that have not ended. */
  get tasksLeft(): number {
    return this.#left;
  }

  schedule<R>(task: Task<R>, priority?: number): TaskHandle<R> {
    if (!(task instanceof Task)) throw new NotPortableError('only a Task can be scheduled');
    const level = choosePriority(priority, task.priority, this.#levels.length);
    this.#ids += 1;
    const handle: ScheduledTask<R> = new ScheduledTask<R>(this.#ids, task, () => this.#drop(handle, level));
    (this.#levels[level] as ScheduledTask<unknown>[]).push(handle as ScheduledTask<unknown>);
    this.#left += 1;
    if (!this.#working) {
      this.#working = true;
      queueMicrotask(() => void this.#work());
    }
    return handle;
  }

  sendMessage(message: unknown): void {
    this.#inbox.push(decodePayload(Uint8Array.from(encodePayload(message))));
    this.#reader?.wake();
  }

  /** As `messages()` of a ProcessManager: ends when nothing is left; one reader at a time. */
  messages(): AsyncIterableIterator<unknown> {
    if (this.#reader !== undefined) refuseSecondReader();
    this.#reader = new MessageReader({
      take: () => (this.#inbox.length > 0 ? { message: this.#inbox.shift() } : undefined),
      finished: () => this.#left === 0,
      release: () => {
        this.#reader = undefined;
      },
    });
    return this.#reader;
  }

  async #work(): Promise<void> {
    const { session, close } = await createSession(undefined);
    const environment = { manager: this, session, log: createLogger(false), worker: 0, stopRequested: () => false };
    for (let handle = this.#next(); handle !== undefined; handle = this.#next()) {
      const { task, id } = handle;
      const context = new RunContext(environment, 0, id, 1);
      this.#running = { id, context };
      try {
        handle.settle({ value: await runInContext(context, () => task.run(context)) });
      } catch (cause) {
        handle.settle({ error: context.stopped ? new CancellationError() : this.#report(handle, cause) });
      }
      this.#running = undefined;
      this.#left -= 1;
      this.#reader?.wake();
    }
    await close();
    this.#working = false;
    // Something may have been scheduled while the session was closed.
    if (this.#left > 0) {
      this.#working = true;
      void this.#work();
    }
  }

  #report({ id, task }: ScheduledTask<unknown>, cause: unknown): WorkerException {
    const message = `task ${id} '${task.name}' failed: ${describe(cause)}`;
    const error = new WorkerException(message, { cause, taskName: task.name, taskId: id, pid: process.pid });
    this.#inbox.push(error);
    return error;
  }

  #next(): ScheduledTask<unknown> | undefined {
    return this.#levels.find((level) => level.length > 0)?.shift();
  }

  #drop<R>(handle: ScheduledTask<R>, level: number): void {
    const waiting = this.#levels[level] as ScheduledTask<unknown>[];
    const index = waiting.indexOf(handle as ScheduledTask<unknown>);
    if (index === -1) {
      if (this.#running?.id === handle.id) this.#running.context.stop();
      return;
    }
    waiting.splice(index, 1);
    this.#left -= 1;
    handle.settle({ error: new CancellationError() });
    this.#reader?.wake();
  }
}
