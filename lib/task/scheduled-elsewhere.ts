// The handle of a task whose result goes to somebody else.

import { BosunError } from '../errors.js';
import type { TaskHandle } from './manager.js';
import type { Task } from './task.js';

/** What `schedule` gives inside a worker: the owner of the manager has the result, through the inbox. */
export class ScheduledElsewhere<R> implements TaskHandle<R> {
  readonly id: number;
  readonly task: Task<R>;

  constructor(id: number, task: Task<R>) {
    this.id = id;
    this.task = task;
  }

  get result(): Promise<R> {
    throw new BosunError(
      'ERR_BOSUN_NO_RESULT_HERE',
      'this version gives results only to the owner of the manager: let the scheduled task send a message',
    );
  }

  cancel(): void {
    throw new BosunError('ERR_BOSUN_NO_RESULT_HERE', 'this version cancels tasks only from the owner of the manager');
  }
}
