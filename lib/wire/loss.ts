// A worker that was lost with a task, told to the task that waits for that one: the error that the owner made.

import { type ExitDetails, PoisonTaskError, WorkerLostError } from '../errors.js';
import { encodePayload } from './payload.js';

interface Loss {
  readonly message: string;
  readonly details: ConstructorParameters<typeof WorkerLostError>[1];
  readonly exits: readonly ExitDetails[] | undefined;
}

/** A plain value, for it may be told on another host. Valid until the next call, as all payloads. */
export function encodeLoss(error: WorkerLostError): Uint8Array {
  const { message, taskName, taskId, pid, attempts, exitCode, exitSignal, finished, stderrTail } = error;
  const details = {
    taskName,
    taskId,
    pid,
    attempts,
    exitCode,
    exitSignal,
    finished,
    stderrTail: stderrTail.toWellFormed(),
  };
  const exits = error instanceof PoisonTaskError ? error.exits : undefined;
  return encodePayload({ message: message.toWellFormed(), details, exits } satisfies Loss);
}

/** @param value what was encoded. */
export function toLoss(value: unknown): WorkerLostError {
  const { message, details, exits } = value as Loss;
  return exits === undefined
    ? new WorkerLostError(message, details)
    : new PoisonTaskError(message, { ...details, exits });
}
