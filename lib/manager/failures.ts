// The errors of tasks that failed, from the dispatcher's records.

import {
  type BosunError,
  type ExitDetails,
  type LossDetails,
  PoisonTaskError,
  ProtocolError,
  WorkerLostError,
} from '../errors.js';
import { deadlineMissed, taskFailed, taskTimedOut, title, where } from '../task/failures.js';
import { specName, type TaskSpec } from '../task/spec.js';
import { decodeFailure } from '../wire/failure.js';
import { decodePayload } from '../wire/payload.js';
import { type DispatchRecord, RECORD } from './records.js';

/** A task that was begun by a worker that died. */
export interface LostTask {
  readonly slot: number;
  readonly ticket: number;
  readonly id: number;
  readonly name: string | undefined;
  readonly level: number;
  readonly attempt: number;
  readonly finished: boolean;
}

/** Who ran it: a worker of the manager's own, or a peer. */
export interface Runner {
  readonly worker: number;
  readonly pid: number | undefined;
  /** Where it runs, when that is another host. */
  readonly host?: string | undefined;
  /** What it takes with it when it goes, to be settled when it is known how it went. */
  readonly lost: LostTask[];
}

/** The error of a task that failed, timed out or came too late. */
export function failureOf(record: DispatchRecord, name: string | undefined, pid: number | undefined): BosunError {
  const run = { ...record, pid };
  switch (record.kind) {
    case RECORD.DEADLINE:
      return deadlineMissed(record.id, name ?? carriedName(record));
    case RECORD.TIMEOUT:
      return taskTimedOut(run, name ?? carriedName(record));
    default: {
      const { name: carried, error } = carriedFailure(record);
      // Who could not read the task does not know what it is called.
      return taskFailed(run, carried || name, error);
    }
  }
}

/** The error of a task whose worker died while it ran; `exits` are all of those when there were too many. */
export function lossOf(
  { id, name, attempt, finished }: LostTask,
  { worker, pid, host }: Runner,
  loss: LossDetails,
  exits?: readonly ExitDetails[],
): WorkerLostError {
  const who =
    loss.exitCode !== null || loss.exitSignal !== null
      ? endOf(worker, pid, loss)
      : host === undefined
        ? `peer ${worker} went away`
        : `${workerName({ worker, pid, host })} was lost${loss.reason === undefined ? '' : ` (${loss.reason})`}`;
  const while_ = finished ? 'before the result of' : 'while it ran';
  const details = { ...loss, taskName: name, taskId: id, pid, attempts: attempt, finished };
  const message = `${who} ${while_} ${title(id, name)}`;
  if (exits === undefined) return new WorkerLostError(message, details);
  return new PoisonTaskError(`${message}; it has cost ${exits.length} workers and is not run again`, {
    ...details,
    exits,
  });
}

/** The name of a task that another task scheduled: its bytes are in the record. */
export function carriedName({ bytes, start, end, foreign }: DispatchRecord): string | undefined {
  // The bytes of another program are its own.
  if (foreign || start === end) return undefined;
  try {
    return specName(decodePayload(bytes, start, end) as TaskSpec);
  } catch {
    // A worker of our own that writes what it should not: its tasks have no names.
    return undefined;
  }
}

/** What a worker says of a failure; what it cannot have said is the failure then. */
export function carriedFailure({ bytes, start, end, isRemote }: DispatchRecord): {
  readonly name?: string;
  readonly error: unknown;
} {
  try {
    return decodeFailure(bytes.subarray(start, end), isRemote);
  } catch (cause) {
    return { error: new ProtocolError('what a worker said of a failure cannot be decoded', { cause }) };
  }
}

/** What a process ended with, for people. */
export function exitText({ exitCode, exitSignal }: ExitDetails): string {
  return exitSignal ?? (exitCode === null ? 'a lost connection' : `exit code ${exitCode}`);
}

function endOf(worker: number, pid: number | undefined, { exitCode, exitSignal, reason }: LossDetails): string {
  const how = exitSignal === null ? `exited with code ${exitCode}` : `was ended by ${exitSignal}`;
  const why = reason === undefined ? '' : ` (${reason})`;
  return `${where(worker, pid)} ${how}${why}`;
}

/** A worker, for people. */
export function workerName({ worker, pid, host }: Omit<Runner, 'lost'>): string {
  return host === undefined ? where(worker, pid) : `worker ${worker} on ${host}`;
}
