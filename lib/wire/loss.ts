// A worker that was lost with a task, told to the task that waits for that one: the error that the owner made.

import { type ExitDetails, PoisonTaskError, WorkerLostError } from '../errors.js';
import { decodePayload, encodePayload } from './payload.js';

interface Loss {
  readonly message: string;
  readonly details: ConstructorParameters<typeof WorkerLostError>[1];
  readonly exits: readonly ExitDetails[] | undefined;
}

/** Valid until the next call, as all payloads. */
export function encodeLoss(error: WorkerLostError): Uint8Array {
  const { message, taskName, taskId, pid, attempts, exitCode, exitSignal, finished, stderrTail } = error;
  const details = { taskName, taskId, pid, attempts, exitCode, exitSignal, finished, stderrTail };
  const exits = error instanceof PoisonTaskError ? error.exits : undefined;
  return encodePayload({ message, details, exits } satisfies Loss);
}

export function decodeLoss(bytes: Uint8Array, start: number, end: number): WorkerLostError {
  const { message, details, exits } = decodePayload(bytes, start, end) as Loss;
  return exits === undefined
    ? new WorkerLostError(message, details)
    : new PoisonTaskError(message, { ...details, exits });
}
