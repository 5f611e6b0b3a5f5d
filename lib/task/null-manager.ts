// The manager of code that runs without one.

import { NullManagerError } from '../errors.js';
import type { Manager, RunOptions, ScheduleOptions, TaskHandle } from './manager.js';
import type { RunTarget } from './target.js';
import type { Task } from './task.js';

/** Ignores messages and refuses tasks: for one-off tasks whose progress nobody follows and that schedule no more. */
export class NullManager implements Manager {
  /** @throws NullManagerError (ERR_BOSUN_NULL_MANAGER) always. */
  schedule<R>(_task: Task<R>, _priority?: number | ScheduleOptions): TaskHandle<R> {
    throw new NullManagerError();
  }

  /** @throws NullManagerError (ERR_BOSUN_NULL_MANAGER) always. */
  run<R>(_target: RunTarget, _args?: readonly unknown[], _options?: RunOptions): Promise<R> {
    throw new NullManagerError();
  }

  sendMessage(_message: unknown): void {}
}
