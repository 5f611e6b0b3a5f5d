// Makes tasks, and all that they require, as make does with files.

import type { MakeOptions } from './make-options.js';
import { checkMakeOptions, checkTasks, type MakeSettings } from './make-options.js';
import { Making } from './making.js';
import type { Manager } from './manager.js';
import { above, type Task } from './task.js';
import { warnThrown } from './warn.js';

/**
 * Runs tasks and, before them, all that they require: everything that nothing blocks at once, as far as `concurrency`
 * allows. Yields each of the given tasks when it has ended, once. It begins with the first `next()`, and goes on whether or
 * not anybody asks for more; left early, it begins nothing more.
 *
 * What requires a task that has failed is FAILED with a TaskError, what requires a cancelled one is CANCELLED, what requires
 * an aborted one is aborted: when all that it requires has ended, but if that was so before the make, nothing more is
 * made for it. Tasks that are QUEUED or RUNNING already are waited for. Tasks that have ended before stay as they are.
 *
 * @example
 * for await (const task of make(site, { queue: manager })) console.log(task.name, task.state);
 *
 * @throws InvalidArgumentError, OutOfRangeError at the call.
 * @throws from the iteration, before anything has changed: FSMError (ERR_BOSUN_FSM) for a task in PREPARE, CycleError
 * (ERR_BOSUN_CYCLE); at any time the reason of `signal`, and a JournalError (ERR_BOSUN_JOURNAL).
 */
export function make(tasks: Task | Iterable<Task>, options?: MakeOptions): AsyncGenerator<Task, void, undefined> {
  return run(checkTasks(tasks), checkMakeOptions(options));
}

/** The tasks when all have ended, in the order of their ends. Rejects with what `make` throws. */
export async function makeNow(tasks: Task | Iterable<Task>, options?: MakeOptions): Promise<Task[]> {
  const ended: Task[] = [];
  for await (const task of make(tasks, options)) ended.push(task);
  return ended;
}

/**
 * Makes tasks by a manager, and returns at once; their `result` tells more.
 *
 * @throws what `make` throws at the call and before anything has changed.
 */
export function makeLater(manager: Manager, tasks: Task | Iterable<Task>, options?: Omit<MakeOptions, 'queue'>): void {
  const settings = checkMakeOptions({ ...options, queue: manager });
  const all = checkTasks(tasks);
  const making = settings.journal === undefined ? new Making(all, settings).run() : run(all, settings);
  finish(making).catch((error: unknown) => warnThrown('makeLater', error));
}

async function finish(making: AsyncGenerator<Task>): Promise<void> {
  for await (const _ of making);
}

async function* run(tasks: readonly Task[], settings: MakeSettings): AsyncGenerator<Task, void, undefined> {
  const detach = await settings.journal?.attach(tasks);
  try {
    yield* new Making(tasks, settings).run();
  } finally {
    await detach?.();
  }
}

above.make = make;
