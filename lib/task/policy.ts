// What may go wrong with a task, and what happens then: time-outs, deadlines and other attempts.

import { describe } from '../describe.js';
import { InvalidArgumentError } from '../errors.js';
import { integer, MAX_DELAY_MS, ownOptions } from '../own-options.js';
import { warnThrown } from './warn.js';

/** What an attempt may fail of: its worker died, it threw, or it ran for longer than its `timeout`. */
export type RetryCause = 'lost' | 'error' | 'timeout';

/**
 * When a failed task is run again. A retry is at-least-once: whatever the failed attempt did, and the tasks that it had
 * scheduled, stay done. `ctx.attempt` tells.
 */
export interface RetryPolicy {
  /** Attempts after the first, at most 65 534; 0 unless given. */
  readonly max: number;
  /** `['lost']` unless given. */
  readonly on?: readonly RetryCause[];
  /**
   * Milliseconds until the attempt behind the one that failed; the first is 1. Unless given: the manager's, or 100 ms,
   * doubled each time up to 30 s, of which one half is left to chance.
   */
  readonly backoff?: (attempt: number) => number;
  /** Workers that it may cost before it fails with a PoisonTaskError, however many attempts are left; 3 unless given. */
  readonly maxCrashes?: number;
}

/** The limits of a task, as users give them. */
export interface LimitOptions {
  /**
   * Milliseconds that one run may take, the import of its module included. Then the task is told to stop, and the caller
   * gets a TimeoutError, a tenth of a second later at the latest; a task that goes on for longer than the manager's
   * `grace` costs its worker.
   */
  readonly timeout?: number | undefined;
  /** Milliseconds by which it must have begun, else it is dropped with a DeadlineError. */
  readonly deadline?: number | undefined;
  readonly retry?: RetryPolicy | undefined;
}

/** The same, checked, as it travels; see Submission in native/dispatch/dispatcher.h. */
export interface TaskPolicy {
  /** 0 is none. */
  readonly timeoutMs: number;
  /** 0 is none. */
  readonly deadlineMs: number;
  readonly maxRetries: number;
  readonly maxCrashes: number;
  /** A bit for each cause, see native/dispatch/slab.h. */
  readonly flags: number;
  /** Undefined when the manager's own is meant. */
  readonly backoff: ((attempt: number) => number) | undefined;
}

/** As in native/dispatch/slab.h. */
export const CAUSE_FLAGS: Readonly<Record<RetryCause, number>> = { lost: 8, error: 16, timeout: 32 };

/** Attempts are counted in 16 bits. */
const MAX_RETRIES = 65_534;

/** Neither limits nor retries. */
export const NO_POLICY: TaskPolicy = {
  timeoutMs: 0,
  deadlineMs: 0,
  maxRetries: 0,
  maxCrashes: 3,
  flags: CAUSE_FLAGS.lost,
  backoff: undefined,
};

/**
 * The limits that are given, and those of `base` for the rest.
 *
 * @throws OutOfRangeError, InvalidArgumentError for bad ones.
 */
export function checkPolicy({ timeout, deadline, retry }: LimitOptions, base: TaskPolicy): TaskPolicy {
  if (timeout === undefined && deadline === undefined && retry === undefined) return base;
  return {
    ...base,
    ...(timeout !== undefined && { timeoutMs: integer('timeout', timeout, 1, MAX_DELAY_MS) }),
    ...(deadline !== undefined && { deadlineMs: integer('deadline', deadline, 1, MAX_DELAY_MS) }),
    ...(retry !== undefined && checkRetry(retry)),
  };
}

function checkRetry(given: RetryPolicy): Pick<TaskPolicy, 'maxRetries' | 'maxCrashes' | 'flags' | 'backoff'> {
  const { max, on = ['lost'], backoff, maxCrashes = 3 } = ownOptions(given, 'the options of retry');
  if (!Array.isArray(on) || on.length === 0 || !on.every((cause) => Object.hasOwn(CAUSE_FLAGS, cause))) {
    throw new InvalidArgumentError(`retry.on is a list of ${Object.keys(CAUSE_FLAGS).join(', ')}, not ${String(on)}`);
  }
  if (backoff !== undefined && typeof backoff !== 'function') {
    throw new InvalidArgumentError('retry.backoff is a function of the attempt that failed');
  }
  return {
    maxRetries: integer('retry.max', max, 0, MAX_RETRIES),
    maxCrashes: integer('retry.maxCrashes', maxCrashes, 1, 255),
    flags: (on as readonly RetryCause[]).reduce((flags, cause) => flags | CAUSE_FLAGS[cause], 0),
    backoff,
  };
}

const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 30_000;

/**
 * Exponential with "equal jitter": tasks that failed together do not come back together.
 *
 * Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
function defaultBackoff(attempt: number): number {
  const full = Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (attempt - 1));
  return full / 2 + (Math.random() * full) / 2;
}

/** How long to wait before the attempt behind this one; a function that cannot say is a process warning. */
export function backoffMs(own: ((attempt: number) => number) | undefined, attempt: number): number {
  if (own === undefined) return defaultBackoff(attempt);
  try {
    const delay = own(attempt);
    if (delay >= 0) return Math.min(delay, MAX_DELAY_MS);
    process.emitWarning(`a backoff returned ${describe(delay)}, which is no time to wait`, { code: 'BOSUN_W003' });
  } catch (error) {
    warnThrown('a backoff', error);
  }
  return defaultBackoff(attempt);
}
