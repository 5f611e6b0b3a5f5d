// Events to listeners that may throw.

import type { EventEmitter } from 'node:events';
import { describe } from '../describe.js';
import type { ProcessManagerEvents } from './events.js';

/** Emits; a listener that throws is a process warning and stops nothing of the manager. */
export function announce<E extends keyof ProcessManagerEvents>(
  emitter: EventEmitter<ProcessManagerEvents>,
  event: E,
  ...args: ProcessManagerEvents[E]
): void {
  try {
    // The map of events says that these belong together; the compiler cannot follow it through a type parameter.
    (emitter as EventEmitter).emit(event, ...args);
  } catch (error) {
    process.emitWarning(`a listener of '${event}' threw ${describe(error)}`, { code: 'BOSUN_W003' });
  }
}
