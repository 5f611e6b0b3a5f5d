// The TaskContext of one run. Made for every task, so what is seldom used is made when it is asked for.

import { CancellationError, TimeoutError, WorkerTerminatedError } from '../errors.js';
import { Mailbox } from '../mailbox.js';
import type { Logger, Session, TaskContext } from './context.js';
import type { Manager } from './manager.js';
import { type Prerequisite, Results } from './prerequisites.js';
import type { Task } from './task.js';

/** Something that a task waits for. */
export interface Wait {
  /** The task was told to stop, and waits no longer. */
  stop(reason: Error): void;
}

/** What all runs of a worker share. */
export interface RunEnvironment {
  /** `ctx.manager`. */
  managerOf(context: RunContext): Manager;
  /** `ctx.progress`. */
  progress(sequence: number, value: unknown): void;
  /** One task more, or one fewer, waits for others. @throws WouldDeadlockError when too many do. */
  suspend(step: 1 | -1): void;
  readonly session: Session;
  readonly log: Logger;
  readonly worker: number;
  /** `ctx.userState`. */
  readonly state: { value: unknown };
  /** Why the task with this sequence number is to stop, whether or not this thread has been told; 0 while it may go on. */
  stopReason(sequence: number, lane: number): number;
}

/** As in native/process/status_page.h; the last one is of workers that have no manager. */
export const STOP_REASON = { CANCELLED: 1, TIMEOUT: 2, CLOSING: 3, TERMINATED: 4 } as const;

function errorOf(reason: number): Error {
  switch (reason) {
    case STOP_REASON.TIMEOUT:
      return new TimeoutError('the task ran for longer than its timeout');
    case STOP_REASON.CLOSING:
      return new CancellationError('the task was asked to stop: its manager closes');
    case STOP_REASON.TERMINATED:
      return new WorkerTerminatedError();
    default:
      return new CancellationError('the task was asked to stop');
  }
}

export class RunContext implements TaskContext {
  readonly taskId: number;
  readonly attempt: number;
  /** What runs, where that is a task and no call. */
  task: Task | undefined;
  /** What was sent with it of those that it requires. */
  received: readonly Prerequisite[] | undefined;
  readonly #environment: RunEnvironment;
  readonly #sequence: number;
  readonly #lane: number;
  #manager: Manager | undefined;
  #results: Results | undefined;
  #letters: Mailbox<unknown> | undefined;
  #waits: Set<Wait> | undefined;
  #isOver = false;
  #ends: (() => void)[] | undefined;
  #controller: AbortController | undefined;
  #stopReason: Error | undefined;

  /** @param lane of the status page, where the task runs. */
  constructor(environment: RunEnvironment, sequence: number, lane: number, taskId: number, attempt: number) {
    this.#environment = environment;
    this.#sequence = sequence;
    this.#lane = lane;
    this.taskId = taskId;
    this.attempt = attempt;
  }

  resultOf<T>(prerequisite: Task<T> | string): T {
    this.#results ??= new Results(this.task, this.received);
    return this.#results.of(prerequisite as Task | string) as T;
  }

  get manager(): Manager {
    this.#manager ??= this.#environment.managerOf(this);
    return this.#manager;
  }

  progress(value: unknown): void {
    if (!this.#isOver) this.#environment.progress(this.#sequence, value);
  }

  messages(): AsyncIterableIterator<unknown> {
    return read(this.#mailbox());
  }

  /** Something was sent to the task. */
  deliver(letter: unknown): void {
    this.#mailbox().put(letter);
  }

  #mailbox(): Mailbox<unknown> {
    if (this.#letters === undefined) {
      this.#letters = new Mailbox();
      if (this.#stopReason !== undefined || this.#isOver) this.#letters.end();
    }
    return this.#letters;
  }

  /** While it runs; 0 afterwards. */
  get sequence(): number {
    return this.#isOver ? 0 : this.#sequence;
  }

  get session(): Session {
    return this.#environment.session;
  }

  get log(): Logger {
    return this.#environment.log;
  }

  get worker(): number {
    return this.#environment.worker;
  }

  get userState(): unknown {
    return this.#environment.state.value;
  }

  set userState(value: unknown) {
    this.#environment.state.value = value;
  }

  /** Why the task was asked to stop, if it was. */
  get stopped(): Error | undefined {
    return this.#stopReason;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#stopReason !== undefined) this.#controller.abort(this.#stopReason);
    }
    return this.#controller.signal;
  }

  checkpoint(): void {
    if (this.#stopReason === undefined) {
      const reason = this.#environment.stopReason(this.#sequence, this.#lane);
      if (reason !== 0) this.stop(reason);
    }
    if (this.#stopReason !== undefined) throw this.#stopReason;
  }

  /** Aborts the signal, once. @param reason see STOP_REASON. */
  stop(reason: number = STOP_REASON.CANCELLED): void {
    if (this.#stopReason !== undefined) return;
    this.#stopReason = errorOf(reason);
    this.#controller?.abort(this.#stopReason);
    this.#letters?.end();
    const waits = [...(this.#waits ?? [])];
    this.#endWaits();
    for (const wait of waits) wait.stop(this.#stopReason);
  }

  /** The task has ended; what it waits for it waits for no longer. */
  end(): void {
    this.#isOver = true;
    this.#letters?.end();
    for (const end of this.#ends ?? []) end();
    if (this.#waits !== undefined) this.#endWaits();
  }

  /** Called when the task has ended. */
  whenOver(end: () => void): void {
    this.#ends ??= [];
    this.#ends.push(end);
  }

  /** To be ended, unless the task is told to stop before. One that has ended waits for nothing. */
  beginWait(wait: Wait): void {
    if (this.#isOver) return;
    this.#waits ??= new Set();
    if (this.#waits.size === 0) this.#environment.suspend(1);
    this.#waits.add(wait);
  }

  endWait(wait: Wait): void {
    if (this.#waits?.delete(wait) && this.#waits.size === 0) this.#environment.suspend(-1);
  }

  #endWaits(): void {
    if (this.#waits === undefined || this.#waits.size === 0) return;
    this.#waits.clear();
    this.#environment.suspend(-1);
  }

  /** Every task of the worker is to stop. */
  close(): void {
    this.stop(STOP_REASON.CLOSING);
  }
}

async function* read(letters: Mailbox<unknown>): AsyncGenerator<unknown> {
  for (let next = await letters.take(); !next.done; next = await letters.take()) yield next.value;
}
