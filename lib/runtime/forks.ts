// Tasks that the tasks of a worker schedule, and the results of those that they wait for.

import { BosunError, CancellationError, ProtocolError, WouldDeadlockError } from '../errors.js';
import { AbortSignals } from '../task/abort-signals.js';
import type { WorkerId } from '../task/context.js';
import { deadlineMissed, taskFailed, taskTimedOut } from '../task/failures.js';
import type { ProgressListener, RunOptions } from '../task/manager.js';
import type { TaskPolicy } from '../task/policy.js';
import { tell } from '../task/progress.js';
import type { RunContext, Wait } from '../task/run-context.js';
import type { TaskSpec } from '../task/spec.js';
import { FRAME, RESULT_STATUS, SCHEDULE_AWAITED } from '../wire/frame.js';
import { toLoss } from '../wire/loss.js';
import type { ForkResult, Link } from './link.js';

/** As in native/dispatch/slab.h. */
const FLAG_INBOX_ERRORS = 1;

/** A task that a task here schedules. */
export interface Fork {
  readonly spec: TaskSpec;
  readonly name: string;
  readonly level: number;
  readonly policy: TaskPolicy;
}

/** A result that somebody waits for. */
interface ForkWait extends Wait {
  readonly name: string;
  readonly context: RunContext;
  /** Why the task was cancelled from here. */
  reason: unknown;
  resolve(value: unknown): void;
}

export class Forks {
  readonly #link: Link;
  readonly #worker: WorkerId;
  readonly #waits = new Map<number, ForkWait>();
  /** To progress, by the numbers of the tasks. */
  readonly #listeners = new Map<number, Set<ProgressListener>>();
  readonly #signals = new AbortSignals((number, reason) => this.cancel(number, reason));
  #scheduled = 0;

  constructor(link: Link, worker: WorkerId) {
    this.#link = link;
    this.#worker = worker;
    link.onResult = (result) => this.#onResult(result);
    link.onProgress = (number, value) => tell(this.#listeners.get(number), value);
  }

  /** The number that the manager's owner knows it by. */
  idOf(number: number): number {
    return this.#worker * 2 ** 32 + number;
  }

  /**
   * Schedules a task that nobody waits for yet.
   *
   * @throws DataCloneError, FrameTooLargeError
   */
  schedule(context: RunContext, fork: Fork): number {
    return this.#schedule(context, fork, FLAG_INBOX_ERRORS, this.#link.codec.spec(fork.spec));
  }

  /** Schedules a task and waits for its result; what else is wrong rejects. */
  async run(context: RunContext, fork: Fork, { signal, onProgress }: RunOptions): Promise<unknown> {
    signal?.throwIfAborted();
    if (context.stopped !== undefined) throw context.stopped;
    const payload = this.#link.codec.spec(fork.spec);
    let number = 0;
    const result = this.#wait(context, fork.name, undefined, () => {
      number = this.#schedule(context, fork, SCHEDULE_AWAITED, payload);
      return number;
    });
    // It is not known where it was refused.
    if (number === 0) return result;
    if (onProgress !== undefined) this.listen(number, onProgress);
    if (signal !== undefined) this.#signals.watch(signal, number);
    try {
      return await result;
    } finally {
      this.#signals.unwatch(number);
      this.#listeners.delete(number);
    }
  }

  /** Until the task has ended, or the one that has scheduled it. */
  listen(number: number, listener: ProgressListener): void {
    const listeners = this.#listeners.get(number);
    if (listeners === undefined) this.#listeners.set(number, new Set([listener]));
    else listeners.add(listener);
  }

  unlisten(number: number): void {
    this.#listeners.delete(number);
  }

  send(number: number, letter: unknown): void {
    this.#link.sendNumber(FRAME.LETTER, number, this.#link.codec.message(letter));
  }

  /**
   * The result of a task that was scheduled by this context's. To be called once.
   *
   * @param reason why it was cancelled before, if it was.
   */
  async result(context: RunContext, number: number, name: string, reason: unknown): Promise<unknown> {
    if (context.stopped !== undefined) throw context.stopped;
    return this.#wait(context, name, reason, () => {
      this.#link.sendNumber(FRAME.AWAIT, number);
      return number;
    });
  }

  /** @param error what whoever waits for it gets. */
  cancel(number: number, error: unknown): void {
    const wait = this.#waits.get(number);
    // The first reason is the one.
    if (wait !== undefined) wait.reason ??= error;
    this.#link.sendNumber(FRAME.CANCEL, number);
  }

  sendMessage(message: unknown): Promise<void> {
    // Thrown at the call: a task that does not await must still see that its message cannot travel.
    return this.#link.message(this.#link.codec.message(message));
  }

  #schedule(context: RunContext, { level, policy }: Fork, flags: number, payload: Uint8Array): number {
    this.#scheduled = (this.#scheduled + 1) >>> 0;
    this.#link.schedule(level, this.#scheduled, policy, flags, context.sequence, payload);
    return this.#scheduled;
  }

  /** @param ask tells the manager, and returns the number of the task. */
  #wait(context: RunContext, name: string, reason: unknown, ask: () => number): Promise<unknown> {
    let number = 0;
    return new Promise<unknown>((resolve) => {
      const stop = (reason: Error): void => {
        this.#waits.delete(number);
        resolve(Promise.reject(reason));
      };
      const wait: ForkWait = { name, context, reason, resolve, stop };
      context.beginWait(wait);
      try {
        number = ask();
      } catch (error) {
        context.endWait(wait);
        throw error;
      }
      this.#waits.set(number, wait);
    });
  }

  #onResult(result: ForkResult): void {
    const wait = this.#waits.get(result.number);
    if (wait === undefined) return;
    this.#waits.delete(result.number);
    wait.context.endWait(wait);
    try {
      wait.resolve(this.#valueOf(result, wait));
    } catch (error) {
      wait.resolve(Promise.reject(error));
    }
  }

  /** @throws what the task ended with. */
  #valueOf(
    { number, status, isForeign, bytes, start, end, worker, attempt }: ForkResult,
    { name, reason }: ForkWait,
  ): unknown {
    const { codec } = this.#link;
    const id = this.idOf(number);
    const run = { id, worker, attempt, pid: undefined };
    switch (status) {
      case RESULT_STATUS.VALUE:
        return start === end ? undefined : codec.received(bytes, start, end, isForeign);
      case RESULT_STATUS.ERROR: {
        const failure = codec.receivedFailure(bytes.subarray(start, end), isForeign);
        throw taskFailed(run, failure.name, failure.error);
      }
      case RESULT_STATUS.CANCELLED:
        throw reason ?? new CancellationError();
      case RESULT_STATUS.TIMEOUT:
        throw reason ?? taskTimedOut(run, name);
      case RESULT_STATUS.DEADLINE:
        throw reason ?? deadlineMissed(id, name);
      case RESULT_STATUS.LOST:
        throw toLoss(codec.received(bytes, start, end, false));
      case RESULT_STATUS.DEADLOCK:
        throw new WouldDeadlockError(
          `task '${name}' could never run: every place of the manager is taken by a task that waits for another ` +
            '(yieldWhileWaiting is false); give it more workers, or let waiting tasks lend their places',
        );
      case RESULT_STATUS.UNKNOWN:
        throw new BosunError(
          'ERR_BOSUN_NO_RESULT_HERE',
          `the result of task '${name}' went with the task that scheduled it: ask for it before that ends`,
        );
      default:
        throw new ProtocolError(`a result of status ${status} is unknown here`);
    }
  }
}
