// Runs tasks in the thread that has made them.

import { TimeoutError } from '../errors.js';
import { type Pause, pause } from '../pause.js';
import { AbortSignals } from './abort-signals.js';
import { runInContext, type TaskContext } from './context.js';
import { friends } from './graph-task.js';
import { createLogger } from './log.js';
import type { Manager } from './manager.js';
import { NullManager } from './null-manager.js';
import type { Outcome } from './outcome.js';
import { backoffMs, CAUSE_FLAGS, checkPolicy, NO_POLICY, type RetryCause, type TaskPolicy } from './policy.js';
import { RunContext, type RunEnvironment, STOP_REASON } from './run-context.js';
import { openSession } from './session.js';
import type { Task } from './task.js';
import type { Run } from './task-life.js';

/** What tasks have in common that run in this thread. */
export type Here = RunEnvironment;

let session: RunEnvironment['session'] | undefined;

/** When runs that have a time-out are over time, by their numbers: `checkpoint` asks, where no timer can fire. */
const dueTimes = new Map<number, number>();

/** @param manager `ctx.manager` of the tasks. */
export function here(manager: Manager): Here {
  session ??= openSession().session;
  return {
    managerOf: () => manager,
    progress: () => {},
    suspend: () => {},
    session,
    log: createLogger(false),
    worker: 0,
    state: { value: undefined },
    stopReason: (sequence) => {
      return performance.now() > (dueTimes.get(sequence) ?? Number.POSITIVE_INFINITY) ? STOP_REASON.TIMEOUT : 0;
    },
  };
}

let alone: Here | undefined;

/** For tasks that nobody but their creator runs: they can schedule nothing. */
export function hereAlone(): Here {
  alone ??= here(new NullManager());
  return alone;
}

let runs = 0;
/** Those whose tasks have a signal. */
const signalled = new Map<number, HereRun>();
const signals = new AbortSignals((number, reason) => signalled.get(number)?.drop(reason));

/** One task on its way from RUNNING to its end: with `retry` by several attempts. */
export class HereRun implements Run {
  readonly #task: Task;
  readonly #body: (ctx: TaskContext) => unknown;
  readonly #here: Here;
  readonly #number = ++runs;
  #context: RunContext | undefined;
  #dropped: { readonly error: unknown } | undefined;
  /** Before the next attempt. */
  #pause: Pause | undefined;

  constructor(task: Task, body: (ctx: TaskContext) => unknown, environment: Here) {
    this.#task = task;
    this.#body = body;
    this.#here = environment;
  }

  /** Begins at once. @throws FSMError when the task cannot be dispatched now. */
  start(): void {
    friends.hold(this.#task, this);
    friends.begin(this.#task, this, 'dispatch');
    friends.started(this.#task, this, 0);
    void this.#run();
  }

  drop(error: unknown): void {
    // The first reason is the one.
    if (this.#dropped !== undefined) return;
    this.#dropped = { error };
    this.#context?.stop();
    this.#pause?.end();
  }

  async #run(): Promise<void> {
    const options = friends.optionsOf(this.#task);
    const { signal } = options;
    const policy = checkPolicy(options, NO_POLICY);
    if (signal !== undefined) {
      signalled.set(this.#number, this);
      signals.watch(signal, this.#number);
    }
    let outcome: Outcome = { value: undefined };
    for (let attempt = 1; this.#dropped === undefined; attempt++) {
      let cause: RetryCause;
      [outcome, cause] = await this.#attempt(attempt, policy);
      const isAllowed = attempt <= policy.maxRetries && (policy.flags & CAUSE_FLAGS[cause]) !== 0;
      if (!('error' in outcome) || !isAllowed || this.#dropped !== undefined) break;
      this.#pause = pause(backoffMs(policy.backoff, attempt));
      await this.#pause.over;
    }
    if (signal !== undefined) {
      signalled.delete(this.#number);
      signals.unwatch(this.#number);
    }
    friends.ended(this.#task, this, this.#dropped === undefined ? outcome : { ...this.#dropped, cancelled: true });
  }

  async #attempt(attempt: number, { timeoutMs }: TaskPolicy): Promise<[Outcome, RetryCause]> {
    const context = new RunContext(this.#here, this.#number, 0, this.#number, attempt);
    context.task = this.#task;
    this.#context = context;
    const isOverTime = this.#limit(timeoutMs, context);
    let outcome: Outcome;
    try {
      outcome = { value: await runInContext(context, () => this.#body(context)) };
    } catch (error) {
      outcome = { error };
    }
    context.end();
    if (!isOverTime()) return [outcome, 'error'];
    const { name } = this.#task;
    return [
      { error: new TimeoutError(`task '${name}' ran for longer than its timeout`, { taskName: name }) },
      'timeout',
    ];
  }

  /** Returns what ends the measuring, and says whether it took too long. */
  #limit(timeoutMs: number, context: RunContext): () => boolean {
    if (timeoutMs === 0) return () => false;
    const dueAt = performance.now() + timeoutMs;
    dueTimes.set(this.#number, dueAt);
    const timer = setTimeout(() => context.stop(STOP_REASON.TIMEOUT), timeoutMs);
    return () => {
      clearTimeout(timer);
      dueTimes.delete(this.#number);
      return context.stopped instanceof TimeoutError || performance.now() > dueAt;
    };
  }
}
