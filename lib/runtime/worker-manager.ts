// The manager as a task in a worker sees it: `ctx.manager`.

import { NotPortableError } from '../errors.js';
import type { Manager, TaskHandle } from '../task/manager.js';
import { checkPolicy, type TaskPolicy } from '../task/policy.js';
import { ScheduledElsewhere } from '../task/scheduled-elsewhere.js';
import { toSpec } from '../task/spec.js';
import { choosePriority } from '../task/target.js';
import type { Task } from '../task/task.js';
import type { WorkerConfiguration } from './configuration.js';
import type { Link } from './link.js';

const STAYS = 'stays in the process that made it: a task that another task schedules can have none';

/**
 * Forwards over the worker's connection. What it was given is owned by the manager before the task that called it ends,
 * so nothing is lost when this worker dies later.
 */
export class WorkerManager implements Manager {
  readonly #link: Link;
  readonly #worker: number;
  readonly #levels: number;
  readonly #policy: TaskPolicy;
  #scheduled = 0;

  constructor(link: Link, { worker, levels, policy }: WorkerConfiguration) {
    this.#link = link;
    this.#worker = worker;
    this.#levels = levels;
    this.#policy = policy;
  }

  schedule<R>(task: Task<R>, priority?: number): TaskHandle<R> {
    const spec = toSpec(task);
    const level = choosePriority(priority, task.priority, this.#levels);
    const policy = checkPolicy(task.limits, this.#policy);
    if (policy.backoff !== undefined) throw new NotPortableError(`the backoff of task '${task.name}' ${STAYS}`);
    if (task.signal !== undefined) throw new NotPortableError(`the signal of task '${task.name}' ${STAYS}`);
    const payload = this.#link.codec.spec(spec);
    this.#scheduled = (this.#scheduled + 1) >>> 0;
    this.#link.schedule(level, this.#scheduled, policy, payload);
    return new ScheduledElsewhere(this.#worker * 2 ** 32 + this.#scheduled, task);
  }

  /** Resolves when the manager has accepted the message; await it to be slowed down to the reader's pace. */
  sendMessage(message: unknown): Promise<void> {
    // Thrown at the call: a task that does not await must still see that its message cannot travel.
    return this.#link.message(this.#link.codec.message(message));
  }
}
