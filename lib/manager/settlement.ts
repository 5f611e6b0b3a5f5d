// How tasks end, and go on: from the dispatcher's records to promises, the inbox, events and other attempts.

import type { EventEmitter } from 'node:events';
import {
  CancellationError,
  DeadlineError,
  type ExitDetails,
  type LossDetails,
  QueueFullError,
  WorkerException,
} from '../errors.js';
import type { NativeDispatcher } from '../native.js';
import { AbortSignals } from '../task/abort-signals.js';
import type { ProgressListener } from '../task/manager.js';
import type { Outcome } from '../task/outcome.js';
import { backoffMs } from '../task/policy.js';
import { tell } from '../task/progress.js';
import { decodeForeign } from '../wire/foreign.js';
import { encodeLoss } from '../wire/loss.js';
import { decodePayload } from '../wire/payload.js';
import { announce, isAnnounced } from './announce.js';
import type { ProcessManagerEvents } from './events.js';
import { carriedName, failureOf, type LostTask, lossOf, type Runner } from './failures.js';
import type { Handovers } from './handovers.js';
import type { Inbox } from './inbox.js';
import { type DispatchRecord, NO_TICKET, RECORD } from './records.js';
import type { Submissions, Waiter } from './submissions.js';

/** What a settlement needs of its manager. */
export interface SettlementParts {
  readonly dispatcher: NativeDispatcher;
  readonly submissions: Submissions;
  readonly inbox: Inbox;
  readonly handovers: Handovers;
  readonly events: EventEmitter<ProcessManagerEvents>;
  /** The manager's own; undefined for the default. */
  readonly backoff: ((attempt: number) => number) | undefined;
  runner(worker: number): Runner | undefined;
  pidOf(worker: number): number | undefined;
  /** Why tasks are dropped now; undefined while they are dropped one by one, by their own `cancel`. */
  dropReason(): Error | undefined;
  /** Cancels one task. */
  cancel(ticket: number, error: unknown): void;
}

const NOTHING = new Uint8Array(0);

/** As in native/dispatch/dispatcher.h. */
const LOST = { UNKNOWN: 0, FAILED: 1, CANCELLED: 2, TIMED_OUT: 3, RETRY: 4, POISON: 5 } as const;

/** Tasks of which it is remembered how workers ended that they have cost; the oldest are forgotten. */
const MAX_EXITS = 10_000;

/** What is known of the run that ended. */
type Ended = Pick<DispatchRecord, 'id' | 'ticket' | 'worker' | 'level' | 'runUs' | 'attempt'>;

export class Settlement {
  readonly #parts: SettlementParts;
  readonly signals: AbortSignals;
  /** Of tasks that have one of their own, by ticket. */
  readonly #backoffs = new Map<number, (attempt: number) => number>();
  /** To the progress of calls, by ticket. */
  readonly #listeners = new Map<number, ProgressListener>();
  /** Arguments of tasks that are handed over, by ticket. */
  readonly #handovers = new Map<number, number>();
  /** How the workers ended that a task has cost so far, by its id. */
  readonly #exits = new Map<number, ExitDetails[]>();
  /** Why tasks were told to stop, or dropped, by ticket: what they are to reject with. */
  readonly #reasons = new Map<number, unknown>();
  #unseen: Error | undefined;

  constructor(parts: SettlementParts) {
    this.#parts = parts;
    this.signals = new AbortSignals((ticket, reason) => parts.cancel(ticket, reason));
  }

  /** The first failure that no handle has shown, or could show, to anybody. */
  get unseen(): Error | undefined {
    return this.#unseen;
  }

  useBackoff(ticket: number, backoff: (attempt: number) => number): void {
    this.#backoffs.set(ticket, backoff);
  }

  useHandover(ticket: number, handover: number): void {
    this.#handovers.set(ticket, handover);
  }

  useListener(ticket: number, listener: ProgressListener): void {
    this.#listeners.set(ticket, listener);
  }

  /** A task says how far it has come. */
  progress({ ticket, worker, bytes, start, end, isRemote }: DispatchRecord): void {
    const listener = this.#listeners.get(ticket);
    const handle = this.#parts.submissions.handleOf(ticket);
    // Without a value: it has begun, see `tellsStart`.
    if (start === end) {
      handle?.started(worker);
      return;
    }
    if (listener === undefined && handle?.isListened !== true) return;
    const value = isRemote ? foreignOrError(bytes, start, end) : decodePayload(bytes, start, end);
    if (listener !== undefined) tell([listener], value);
    handle?.progress(value);
  }

  /** A task ended by its worker's word, or was dropped. */
  end(record: DispatchRecord): void {
    const outcome = this.#outcome(record);
    if (!this.#settlePlainly(record.ticket, outcome)) this.#settle(record, outcome);
  }

  /** What most tasks do: it has a result, and only its caller wants to know. */
  #settlePlainly(ticket: number, outcome: Outcome): boolean {
    const { submissions, events } = this.#parts;
    if ('error' in outcome || ticket === NO_TICKET) return false;
    if (this.#exits.size + this.#backoffs.size + this.#listeners.size + this.#reasons.size > 0) return false;
    if (this.#handovers.size > 0) return false;
    if (isAnnounced(events, 'task:done')) return false;
    this.signals.unwatch(ticket);
    const waiter = submissions.take(ticket);
    if (typeof waiter === 'function') waiter(outcome.value);
    else waiter?.settle(outcome);
    return true;
  }

  /** A task is cancelled; how it ends is said by a record. */
  cancelled(ticket: number, reason: unknown): void {
    // The first reason is the one.
    if (!this.#reasons.has(ticket)) this.#reasons.set(ticket, reason);
  }

  /** A task was told to stop and goes on. However it ends now: its waiter is told, its worker has yet to let go of it. */
  giveUp(record: DispatchRecord): void {
    const { submissions, pidOf } = this.#parts;
    const { ticket, id, worker } = record;
    const waiter = submissions.decide(ticket);
    if (waiter === undefined) return;
    const cancelled = this.#reasons.has(ticket);
    if (!cancelled) {
      const timeout = { ...record, kind: RECORD.TIMEOUT };
      this.#reasons.set(ticket, failureOf(timeout, submissions.nameOf(ticket), pidOf(worker)));
    }
    this.#tell(waiter, id, { error: this.#reasons.get(ticket), cancelled });
  }

  /** An attempt failed, and another is allowed. */
  retry(record: DispatchRecord): void {
    const { submissions, pidOf } = this.#parts;
    const name = submissions.nameOf(record.ticket);
    const timedOut = record.start === record.end;
    const failed = timedOut ? { ...record, kind: RECORD.TIMEOUT } : record;
    this.#again(record, record.slot, name, () => failureOf(failed, name, pidOf(record.worker)));
  }

  /** A task was running when its worker died. How it goes on waits for the exit code. */
  hold(record: DispatchRecord): void {
    const { slot, ticket, id, worker, level, attempt, kind } = record;
    const name = this.#parts.submissions.nameOf(ticket) ?? carriedName(record);
    const finished = kind === RECORD.LOST_RESULT;
    this.#parts.runner(worker)?.lost.push({ slot, ticket, id, name, level, attempt, finished });
  }

  /** It is known how the worker ended. */
  lose(runner: Runner, loss: LossDetails): void {
    for (const task of runner.lost.splice(0)) this.#loseTask(task, runner, loss);
  }

  #loseTask(task: LostTask, runner: Runner, loss: LossDetails): void {
    const { dispatcher, inbox } = this.#parts;
    const { exitCode, exitSignal } = loss;
    const exits = [...(this.#exits.get(task.id) ?? []), { exitCode, exitSignal }];
    // First: a listener or a promise that learns of the end may look at the counts, or use the ticket again.
    const outcome = dispatcher.judgeLost(task.slot, this.#parts.dropReason() !== undefined);
    const ended = { ...task, worker: runner.worker, runUs: 0 };
    const isPoison = outcome === LOST.POISON;
    const error =
      outcome === LOST.FAILED || isPoison ? lossOf(task, runner, loss, isPoison ? exits : undefined) : undefined;
    // The owner's own have a waiter here.
    const told = error === undefined || task.ticket !== NO_TICKET ? NOTHING : encodeLoss(error);
    const isInInbox = dispatcher.settleLost(task.slot, outcome, told);
    if (outcome === LOST.RETRY) {
      this.#exits.set(task.id, exits);
      // Nothing is said of the end of a task that another task scheduled, unless somebody listens.
      for (const id of this.#exits.keys()) if (this.#exits.size > MAX_EXITS) this.#exits.delete(id);
      this.#again(ended, task.slot, task.name, () => lossOf(task, runner, loss));
    } else if (error !== undefined) {
      if (task.ticket === NO_TICKET && isInInbox) {
        inbox.know(task.id, error);
        this.#unseen ??= error;
      }
      this.#settle(ended, { error });
    }
    // Of one that was cancelled, or told to stop in time, the dispatcher says so itself, by a record.
  }

  #again(task: Ended, slot: number, name: string | undefined, failure: () => Error): void {
    const { dispatcher, events } = this.#parts;
    const delayMs = this.#backoff(task.ticket, task.attempt);
    dispatcher.retry(slot, delayMs);
    if (!isAnnounced(events, 'task:retry')) return;
    const { id, level: priority, worker, attempt } = task;
    announce(events, 'task:retry', { id, name, priority, worker, attempt, delayMs, error: failure() });
  }

  #backoff(ticket: number, attempt: number): number {
    return backoffMs(this.#backoffs.get(ticket) ?? this.#parts.backoff, attempt);
  }

  #outcome(record: DispatchRecord): Outcome {
    const { submissions, pidOf, dropReason } = this.#parts;
    switch (record.kind) {
      case RECORD.VALUE:
        // Nobody waits for the result of a task that another task scheduled, and a peer may have none to give.
        if (record.ticket === NO_TICKET || record.start === record.end) return { value: undefined };
        try {
          const { bytes, start, end, isRemote, isOwned } = record;
          return { value: isRemote ? decodeForeign(bytes, start, end) : decodePayload(bytes, start, end, isOwned) };
        } catch (cause) {
          const { id: taskId, worker } = record;
          const details = { cause, taskId, pid: pidOf(worker) };
          return { error: new WorkerException(`the result of task ${taskId} cannot be decoded`, details) };
        }
      case RECORD.CANCELLED: {
        const error = this.#reasons.has(record.ticket) ? this.#reasons.get(record.ticket) : dropReason();
        return { error: error ?? new CancellationError(), cancelled: true };
      }
      case RECORD.ERROR:
      case RECORD.TIMEOUT:
      case RECORD.DEADLINE:
        // The waiter may have been told already.
        if (this.#reasons.has(record.ticket)) return { error: this.#reasons.get(record.ticket) };
        return { error: failureOf(record, submissions.nameOf(record.ticket), pidOf(record.worker)) };
      default:
        return { error: new QueueFullError() };
    }
  }

  #settle(ended: Ended, outcome: Outcome): void {
    const { ticket, id } = ended;
    const name = this.#parts.submissions.nameOf(ticket);
    const waiter = this.#parts.submissions.take(ticket);
    this.#exits.delete(id);
    if (ticket !== NO_TICKET) {
      this.#backoffs.delete(ticket);
      this.#listeners.delete(ticket);
      this.#parts.handovers.drop(this.#handovers.get(ticket) ?? 0);
      this.#handovers.delete(ticket);
      this.#reasons.delete(ticket);
      this.signals.unwatch(ticket);
    }
    if (waiter !== undefined) this.#tell(waiter, id, outcome);
    this.#announce(ended, name, outcome);
  }

  #tell(waiter: Waiter, id: number, outcome: Outcome): void {
    const error = 'error' in outcome ? outcome.error : undefined;
    if (typeof waiter === 'function') {
      // A promise has one function to settle it: rejecting is resolving with a rejected promise.
      waiter('error' in outcome ? Promise.reject(error) : outcome.value);
      return;
    }
    // These have a place in the inbox as well.
    const cancelled = 'error' in outcome && outcome.cancelled === true;
    if (!cancelled && (error instanceof WorkerException || error instanceof DeadlineError)) {
      this.#parts.inbox.know(id, error);
      if (!waiter.isWatched) this.#unseen ??= error;
    }
    waiter.settle(outcome);
  }

  #announce({ id, worker, level, runUs }: Ended, name: string | undefined, outcome: Outcome): void {
    const { events } = this.#parts;
    const failed = 'error' in outcome;
    const cancelled = failed && (outcome.cancelled === true || outcome.error instanceof DeadlineError);
    const event = failed ? (cancelled ? 'task:cancelled' : 'task:failed') : 'task:done';
    if (!isAnnounced(events, event)) return;
    const error = failed ? outcome.error : undefined;
    const known = name ?? (error instanceof WorkerException ? error.taskName : undefined);
    const details = { id, name: known, priority: level, worker, runMs: runUs / 1000 };
    announce(events, event, failed ? { ...details, error } : details);
  }
}

/** A worker on another host may say anything: what is no plain value is the error that says so, in its place. */
function foreignOrError(bytes: Uint8Array, start: number, end: number): unknown {
  try {
    return decodeForeign(bytes, start, end);
  } catch (error) {
    return error;
  }
}
