// The handle of a task whose result goes to somebody else.

import { BosunError } from '../errors.js';
import type { TaskHandle } from './manager.js';
import type { Task } from './task.js';
import type { Run } from './task-life.js';

/** What a Proxy gives: the owner of the manager has the result, through the inbox. */
export class ScheduledElsewhere<R> implements TaskHandle<R>, Run {
  readonly id: number;
  readonly task: Task<R>;
  readonly drop = undefined;

  constructor(id: number, task: Task<R>) {
    this.id = id;
    this.task = task;
  }

  get result(): Promise<R> {
    return refuseResult();
  }

  send(): void {
    refuseResult();
  }

  onProgress(): this {
    return refuseResult();
  }

  cancel(): void {
    throw new BosunError(
      'ERR_BOSUN_NO_RESULT_HERE',
      'the reference dialogue cannot cancel: the owner of the manager can',
    );
  }
}

/** @throws BosunError ERR_BOSUN_NO_RESULT_HERE */
export function refuseResult(): never {
  throw new BosunError(
    'ERR_BOSUN_NO_RESULT_HERE',
    'the reference dialogue has no results: let the scheduled task send a message',
  );
}
