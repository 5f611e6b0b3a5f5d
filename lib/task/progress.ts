// Those who listen to how far a task has come.

import { InvalidArgumentError } from '../errors.js';
import type { ProgressListener } from './manager.js';
import { warnThrown } from './warn.js';

/** What a listener throws is a process warning, and stops nothing. */
export function tell(listeners: Iterable<ProgressListener> | undefined, value: unknown): void {
  for (const listener of listeners ?? []) {
    try {
      listener(value);
    } catch (error) {
      warnThrown('a listener of progress', error);
    }
  }
}

/** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) */
export function checkListener(listener: ProgressListener | undefined): ProgressListener | undefined {
  if (listener === undefined || typeof listener === 'function') return listener;
  throw new InvalidArgumentError(`onProgress takes a function, not ${typeof listener}`);
}
