// Tasks of a graph on their way to a manager.

import { QueueFullError } from '../errors.js';
import { friends } from './graph-task.js';
import type { Manager } from './manager.js';
import type { Task } from './task.js';

/**
 * Schedules a task; one that the manager refuses has failed.
 *
 * @returns when it may be tried again, if the manager has no room for it now.
 */
export function submit(task: Task, manager: Manager): Promise<void> | undefined {
  try {
    manager.schedule(task);
    // When it was queued, the one of a LocalManager's task could not be asked yet.
    friends.want(task);
  } catch (error) {
    const { room } = manager as Partial<{ room(): Promise<void> }>;
    // What else is wrong with the manager the next attempt is told.
    if (error instanceof QueueFullError && room !== undefined) return room.call(manager).catch(() => {});
    if (task.state === 'PENDING') task.fire('error', { reason: 'not accepted', error });
  }
  return undefined;
}
