// The errors of tasks that failed, as whoever waits for them gets them.

import { describe } from '../describe.js';
import { CancellationError, DeadlineError, TimeoutError, WorkerException } from '../errors.js';

/** As many as an error keeps on its way. */
const MAX_CAUSES = 100;

/** Which run of which task failed, and where. */
export interface FailedRun {
  readonly id: number;
  readonly worker: number;
  readonly attempt: number;
  readonly pid: number | undefined;
}

/** It threw. */
export function taskFailed(
  { id, attempt, ...run }: FailedRun,
  taskName: string | undefined,
  cause: unknown,
): WorkerException {
  const root = rootOf(cause);
  const how = root === cause ? '' : ', by a task that it waited for';
  const message = `${title(id, taskName)} failed in ${where(run.worker, run.pid)}${how}: ${describe(root)}`;
  return new WorkerException(message, { cause, taskName, taskId: id, pid: run.pid, attempts: attempt });
}

/** What failed in the end: the messages of tasks that wait for tasks would grow with each of them. */
function rootOf(error: unknown): unknown {
  let root = error;
  for (let i = 0; i < MAX_CAUSES; i++) {
    if (!(root instanceof Error) || root.name !== 'WorkerException' || root.cause === undefined) break;
    root = root.cause;
  }
  return root;
}

/** It ran for too long. */
export function taskTimedOut({ id, attempt, ...run }: FailedRun, taskName: string | undefined): TimeoutError {
  const message = `${title(id, taskName)} ran for longer than its timeout in ${where(run.worker, run.pid)}`;
  return new TimeoutError(message, { taskName, taskId: id, pid: run.pid, attempts: attempt });
}

/** It had not begun in time. */
export function deadlineMissed(id: number, name: string | undefined): DeadlineError {
  return new DeadlineError(`${title(id, name)} had not begun by its deadline: dropped`);
}

/** It was cancelled through its handle. */
export function cancellationOf(reason: unknown): CancellationError {
  if (reason === undefined) return new CancellationError();
  if (reason instanceof CancellationError) return reason;
  return new CancellationError(`the task was cancelled: ${describe(reason)}`, { cause: reason });
}

/** A worker, for people. */
export function where(worker: number, pid: number | undefined): string {
  return pid === undefined ? `worker ${worker}` : `worker ${worker} (pid ${pid})`;
}

/** A task, likewise. */
export function title(id: number, name: string | undefined): string {
  return name === undefined ? `task ${id}` : `task ${id} '${name}'`;
}
