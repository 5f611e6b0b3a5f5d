// The error of a task, whole.

import { describe, look } from '../describe.js';
import { BosunError, WorkerException } from '../errors.js';

/** With its stack, where the error is the user's: in the worker if it was thrown there; its own properties and its causes. */
export function errorText(error: unknown): string {
  if (error instanceof WorkerException) return String(error);
  return error instanceof BosunError ? describe(error) : look(error);
}
