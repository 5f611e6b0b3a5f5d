// Several tasks as one.

import { InvalidArgumentError } from '../errors.js';
import type { TaskContext } from './context.js';
import { friends } from './graph-task.js';
import { Task } from './task.js';
import type { TaskOptions } from './task-options.js';

/**
 * One unit of work: its tasks run one after the other, on one worker, with one session. The first error stops the rest.
 * The result is the list of theirs. Chains nest; an empty one does nothing.
 */
export class Chain extends Task<unknown[]> {
  readonly #tasks: readonly Task[];

  /** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for anything but tasks. */
  constructor(tasks: readonly Task[], options: TaskOptions = {}) {
    super(options);
    if (!Array.isArray(tasks) || !tasks.every((task) => task instanceof Task)) {
      throw new InvalidArgumentError('a Chain takes an array of tasks');
    }
    this.#tasks = [...(tasks as readonly Task[])];
  }

  get tasks(): readonly Task[] {
    return this.#tasks;
  }

  override clone(): Chain {
    const copy = new Chain(this.tasks, friends.optionsOf(this));
    for (const task of friends.requiredOf(this)) copy.require(task);
    return copy;
  }

  override run(ctx: TaskContext): Promise<unknown[]> {
    return runInOrder(this.#tasks, ctx);
  }
}

/** One after the other; the first error stops the rest. */
export async function runInOrder(
  steps: readonly { run(ctx: TaskContext): unknown }[],
  ctx: TaskContext,
): Promise<unknown[]> {
  const results: unknown[] = [];
  for (const step of steps) {
    // What was told to stop begins nothing more. (Who runs tasks by a Proxy may give them less of a context.)
    ctx.checkpoint?.();
    results.push(await step.run(ctx));
  }
  return results;
}
