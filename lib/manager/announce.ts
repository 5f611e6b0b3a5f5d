// What happens in a manager, for whoever wants to know: its own listeners, and diagnostics channels for all managers.

import { channel } from 'node:diagnostics_channel';
import type { EventEmitter } from 'node:events';
import { warnThrown } from '../task/warn.js';
import { EVENTS, type ProcessManagerEvents } from './events.js';

type Name = keyof ProcessManagerEvents;

/** `bosun:task:done` and so on, once for the process. */
const channels = new Map(EVENTS.map((event) => [event, channel(`bosun:${event}`)]));

/** True when an event is of interest to anybody. */
export function isAnnounced(emitter: EventEmitter<ProcessManagerEvents>, event: Name): boolean {
  return emitter.listenerCount(event) > 0 || channels.get(event)?.hasSubscribers === true;
}

/**
 * Emits, and publishes with the manager as `manager`. A listener that throws is a process warning and stops nothing; a
 * subscriber that throws is an uncaught exception, as diagnostics channels have it.
 */
export function announce<E extends Name>(
  emitter: EventEmitter<ProcessManagerEvents>,
  event: E,
  ...args: ProcessManagerEvents[E]
): void {
  try {
    // The map of events says that these belong together; the compiler cannot follow it through a type parameter.
    (emitter as EventEmitter).emit(event, ...args);
  } catch (error) {
    warnThrown(`a listener of '${event}'`, error);
  }
  const published = channels.get(event);
  if (published?.hasSubscribers === true) published.publish({ ...args[0], manager: emitter });
}

const TASK_ENDS = ['task:done', 'task:failed', 'task:cancelled'] as const;

/** True when the end of a task is of interest to anybody. */
export function listensToTasks(emitter: EventEmitter<ProcessManagerEvents>): boolean {
  return TASK_ENDS.some((event) => isAnnounced(emitter, event));
}
