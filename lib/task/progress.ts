// Those who listen to how far a task has come.

import { describe } from '../describe.js';
import { InvalidArgumentError } from '../errors.js';
import type { ProgressListener } from './manager.js';

/** What a listener throws is a process warning, and stops nothing. */
export function tell(listeners: Iterable<ProgressListener> | undefined, value: unknown): void {
  for (const listener of listeners ?? []) {
    try {
      listener(value);
    } catch (error) {
      process.emitWarning(`a listener of progress threw ${describe(error)}`, { code: 'BOSUN_W003' });
    }
  }
}

/** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) */
export function checkListener(listener: ProgressListener | undefined): ProgressListener | undefined {
  if (listener === undefined || typeof listener === 'function') return listener;
  throw new InvalidArgumentError(`onProgress takes a function, not ${typeof listener}`);
}
