// The manager as a task in a worker sees it: `ctx.manager`.

import { encodeSpec } from '../task/encode.js';
import type { Manager, TaskHandle } from '../task/manager.js';
import { ScheduledElsewhere } from '../task/scheduled-elsewhere.js';
import { toSpec } from '../task/spec.js';
import { choosePriority } from '../task/target.js';
import type { Task } from '../task/task.js';
import { encodePayload } from '../wire/payload.js';
import type { Link } from './link.js';

/**
 * Forwards over the worker's connection. What it was given is owned by the manager before the task that called it ends,
 * so nothing is lost when this worker dies later.
 */
export class WorkerManager implements Manager {
  readonly #link: Link;
  readonly #worker: number;
  readonly #levels: number;
  #scheduled = 0;

  constructor(link: Link, worker: number, levels: number) {
    this.#link = link;
    this.#worker = worker;
    this.#levels = levels;
  }

  schedule<R>(task: Task<R>, priority?: number): TaskHandle<R> {
    const spec = toSpec(task);
    const level = choosePriority(priority, task.priority, this.#levels);
    const payload = encodeSpec(spec);
    this.#scheduled = (this.#scheduled + 1) >>> 0;
    this.#link.schedule(level, this.#scheduled, payload);
    return new ScheduledElsewhere(this.#worker * 2 ** 32 + this.#scheduled, task);
  }

  /** Resolves when the manager has accepted the message; await it to be slowed down to the reader's pace. */
  sendMessage(message: unknown): Promise<void> {
    // Thrown at the call: a task that does not await must still see that its message cannot travel.
    return this.#link.message(encodePayload(message, 'message'));
  }
}
