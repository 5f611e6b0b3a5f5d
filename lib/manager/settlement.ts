// How tasks end: from the dispatcher's records to promises, the inbox and events.

import type { EventEmitter } from 'node:events';
import { CancellationError, type ExitDetails, QueueFullError, WorkerException, WorkerLostError } from '../errors.js';
import type { NativeDispatcher } from '../native.js';
import { specName, type TaskSpec } from '../task/spec.js';
import { decodePayload } from '../wire/payload.js';
import { announce } from './announce.js';
import type { ProcessManagerEvents } from './events.js';
import { type Inbox, toWorkerException } from './inbox.js';
import type { LostTask, Member } from './member.js';
import { type DispatchRecord, NO_TICKET, RECORD } from './records.js';
import type { Outcome, Submissions } from './submissions.js';
import type { WorkerSet } from './worker-set.js';

/** What a settlement needs of its manager. */
export interface SettlementParts {
  readonly dispatcher: NativeDispatcher;
  readonly submissions: Submissions;
  readonly inbox: Inbox;
  readonly workers: WorkerSet;
  readonly events: EventEmitter<ProcessManagerEvents>;
  /** Why tasks are dropped now; undefined while they are dropped one by one, by their own `cancel`. */
  dropReason(): Error | undefined;
}

/** As in native/dispatch/dispatcher.h. */
const LOST_OUTCOME = { UNKNOWN: 0, FAILED: 1, CANCELLED: 2 } as const;

/** What is known of the run that ended. */
type Ended = Pick<DispatchRecord, 'id' | 'ticket' | 'worker' | 'level' | 'runUs'>;

export class Settlement {
  readonly #parts: SettlementParts;
  #unseen: Error | undefined;

  constructor(parts: SettlementParts) {
    this.#parts = parts;
  }

  /** The first failure that no handle has shown, or could show, to anybody. */
  get unseen(): Error | undefined {
    return this.#unseen;
  }

  /** A task ended by its worker's word, or was dropped. */
  end(record: DispatchRecord): void {
    this.#settle(record, this.#outcome(record));
  }

  /** A task was running when its worker died. Its end waits for the exit code. */
  hold(record: DispatchRecord): void {
    const { slot, ticket, id, worker, level } = record;
    let name = this.#parts.submissions.nameOf(ticket);
    try {
      name ??= specName(decodePayload(record.bytes, record.start, record.end) as TaskSpec);
    } catch {
      // A task that another program scheduled: its bytes are its own.
    }
    this.#parts.workers.find(worker)?.lost.push({ slot, ticket, id, name, level });
  }

  /** The exit code is here. */
  lose({ worker, life, lost }: Member, exit: ExitDetails): void {
    const { dispatcher, inbox } = this.#parts;
    for (const task of lost) {
      // First: a listener or a promise that learns of the end may look at the counts, or use the ticket again.
      const ended = dispatcher.settleLost(task.slot, this.#parts.dropReason() !== undefined);
      // Of a cancelled one the dispatcher says so itself, by a record.
      if (ended === LOST_OUTCOME.FAILED) {
        const error = lostError(task, worker, life.pid, exit);
        if (task.ticket === NO_TICKET) {
          inbox.know(task.id, error);
          this.#unseen ??= error;
        }
        this.#settle({ ...task, worker, runUs: 0 }, { error });
      }
    }
  }

  #outcome(record: DispatchRecord): Outcome {
    switch (record.kind) {
      case RECORD.VALUE:
        // Nobody waits for the result of a task that another task scheduled.
        if (record.ticket === NO_TICKET) return { value: undefined };
        try {
          return { value: decodePayload(record.bytes, record.start, record.end) };
        } catch (cause) {
          const { id: taskId, worker } = record;
          const details = { cause, taskId, pid: this.#parts.workers.pidOf(worker) };
          return { error: new WorkerException(`the result of task ${taskId} cannot be decoded`, details) };
        }
      case RECORD.ERROR:
        return { error: toWorkerException(record, this.#parts.workers.pidOf(record.worker)) };
      case RECORD.FULL:
        return { error: new QueueFullError() };
      default:
        return { error: this.#parts.dropReason() ?? new CancellationError() };
    }
  }

  #settle(ended: Ended, outcome: Outcome): void {
    const { submissions, inbox } = this.#parts;
    const name = submissions.nameOf(ended.ticket);
    const waiter = submissions.take(ended.ticket);
    if (typeof waiter === 'function') {
      // A promise has one function to settle it: rejecting is resolving with a rejected promise.
      waiter(outcome.error === undefined ? outcome.value : Promise.reject(outcome.error));
    } else if (waiter !== undefined) {
      if (outcome.error instanceof WorkerException) {
        inbox.know(ended.id, outcome.error);
        if (!waiter.isWatched) this.#unseen ??= outcome.error;
      }
      waiter.settle(outcome);
    }
    this.#announce(ended, name, outcome);
  }

  #announce({ id, worker, level, runUs }: Ended, name: string | undefined, { error }: Outcome): void {
    const { events } = this.#parts;
    const ending = error instanceof CancellationError ? 'task:cancelled' : 'task:failed';
    const event = error === undefined ? 'task:done' : ending;
    if (events.listenerCount(event) === 0) return;
    const known = name ?? (error instanceof WorkerException ? error.taskName : undefined);
    const details = { id, name: known, priority: level, worker, runMs: runUs / 1000 };
    announce(events, event, error === undefined ? details : { ...details, error });
  }
}

function lostError({ id, name }: LostTask, worker: number, pid: number | undefined, exit: ExitDetails) {
  const how = exit.exitSignal === null ? `exited with code ${exit.exitCode}` : `was ended by ${exit.exitSignal}`;
  const task = name === undefined ? `task ${id}` : `task ${id} '${name}'`;
  return new WorkerLostError(`worker ${worker} (pid ${pid}) ${how} while it ran ${task}`, {
    ...exit,
    taskName: name,
    taskId: id,
    pid,
  });
}
