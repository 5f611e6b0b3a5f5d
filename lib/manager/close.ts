// How a manager ends, and what it says about it.

import type { WorkerId } from '../task/context.js';

/** What becomes of the work that is left. */
export const ClosePolicy = {
  /** Wait until nothing is left. */
  JOIN: 'join',
  /** Drop what waits, abort `ctx.signal` of what runs and let it finish for `timeout ?? grace`, then force it. */
  CANCEL: 'cancel',
  /** SIGKILL to every worker, now. */
  KILL: 'kill',
} as const;

export type ClosePolicy = (typeof ClosePolicy)[keyof typeof ClosePolicy];

/** From the mildest; a later call of `close` can only be stricter. */
export const STRICTNESS: readonly ClosePolicy[] = [ClosePolicy.JOIN, ClosePolicy.CANCEL, ClosePolicy.KILL];

/** How one worker ended. */
export interface WorkerExit {
  readonly worker: WorkerId;
  readonly pid: number | undefined;
  readonly exitCode: number | null;
  readonly exitSignal: NodeJS.Signals | null;
  /** The signal that it was forced with; undefined when it ended by itself. */
  readonly forced: NodeJS.Signals | undefined;
}

/** What `close` resolves with; the counts are over the manager's whole life. */
export interface CloseReport {
  /** The strictest policy that was asked for, or that a timeout led to. */
  readonly policy: ClosePolicy;
  readonly done: number;
  readonly failed: number;
  /** Dropped from the queue, or stopped while they ran. */
  readonly cancelled: number;
  /** Messages that nobody has read. */
  readonly messagesDiscarded: number;
  /** The first failures of scheduled tasks that nobody has read from `messages()`; at most 10. */
  readonly errors: readonly Error[];
  /** Each worker that was alive when the manager began to close. */
  readonly workers: readonly WorkerExit[];
  readonly durationMs: number;
}
