// A manager on this thread: no processes, no surprises. For tests of code that takes a Manager.

import { describe } from '../describe.js';
import { InvalidArgumentError, TimeoutError, WorkerException, type WorkerExceptionDetails } from '../errors.js';
import { checkSignal, integer, ownOptions } from '../own-options.js';
import { AbortSignals } from '../task/abort-signals.js';
import { currentContext, runInContext } from '../task/context.js';
import { deadlineMissed } from '../task/failures.js';
import { friends } from '../task/graph-task.js';
import { createLogger } from '../task/log.js';
import type { Manager, RunOptions, ScheduleOptions, TaskHandle } from '../task/manager.js';
import type { Outcome } from '../task/outcome.js';
import { backoffMs, CAUSE_FLAGS, checkPolicy, NO_POLICY, type RetryCause, type TaskPolicy } from '../task/policy.js';
import { checkListener } from '../task/progress.js';
import { assertSchedulable } from '../task/readiness.js';
import { RunContext, type RunEnvironment, STOP_REASON } from '../task/run-context.js';
import { RunTargets } from '../task/run-targets.js';
import { priorityIn, refuseTo } from '../task/schedule-options.js';
import { createSession } from '../task/session.js';
import { choosePriority, type RunTarget } from '../task/target.js';
import { Task } from '../task/task.js';
import type { TaskOptions } from '../task/task-options.js';
import { decodePayload, encodePayload } from '../wire/payload.js';
import { ScheduledTask } from './handle.js';
import { type LocalHost, LocalTaskManager } from './local-forks.js';
import { MessageReader, refuseSecondReader } from './message-reader.js';

/** Options of a LocalManager. */
export interface LocalManagerOptions {
  /** 1 to 128 levels, 0 the most urgent; 2 unless given. */
  readonly priorityLevels?: number;
}

/** A task that has not ended. */
interface Entry {
  readonly id: number;
  readonly handle: ScheduledTask<unknown>;
  readonly level: number;
  readonly policy: TaskPolicy;
  /** By `run`: its failure reaches only its promise. */
  readonly isCall: boolean;
  /** What was sent to it; an attempt more gets all of it again. */
  readonly letters: unknown[];
  attempt: number;
  /** By when it must have begun. */
  readonly dueAt: number;
  /** Its deadline, then its time-out, then its next attempt. */
  timer: NodeJS.Timeout | undefined;
}

/** A task that has begun. */
interface Running {
  readonly entry: Entry;
  readonly context: RunContext;
  readonly overAt: number;
}

/**
 * Runs tasks one after the other in this thread, in strict order of priority, first in first out inside a level: two
 * runs of one program do the same in the same order. The first task begins in the microtask after the call that
 * scheduled it. Tasks need not be portable: the object itself runs, not a copy of it as elsewhere. Messages are cloned as
 * they would be on their way from a process. A task that waits for one that it has scheduled lends its turn to that.
 */
export class LocalManager implements Manager {
  readonly #levels: Entry[][];
  /** What others wait for: before its level, the last one first. */
  readonly #forked: Entry[][];
  readonly #targets = new RunTargets();
  /** All that have not ended, by their numbers. */
  readonly #entries = new Map<number, Entry>();
  /** What those that were told to stop are to reject with. */
  readonly #reasons = new Map<number, unknown>();
  readonly #signals = new AbortSignals((id, reason) => this.#drop(id, reason));
  readonly #inbox: unknown[] = [];
  #reader: MessageReader | undefined;
  #ids = 0;
  #working = false;
  /** By their numbers. */
  readonly #running = new Map<number, Running>();
  /** Those of them that wait for others. */
  #suspended = 0;
  #wake: () => void = () => {};
  /** What the managers of tasks ask of this one. */
  readonly #host: LocalHost = {
    add: (task, priority, isCall) => this.#add(task, priority, isCall),
    toCall: (target, args, options) => this.#toCall(target, args, options),
    promote: (id) => this.#promote(id),
    sendMessage: (message) => this.sendMessage(message),
  };

  /** @throws OutOfRangeError (ERR_BOSUN_OUT_OF_RANGE) for a number of levels that is not 1 to 128. */
  constructor(options: LocalManagerOptions = {}) {
    const { priorityLevels = 2 } = ownOptions(options, 'the options of a LocalManager');
    const count = integer('priorityLevels', priorityLevels, 1, 128);
    this.#levels = Array.from({ length: count }, () => []);
    this.#forked = Array.from({ length: count }, () => []);
  }

  /** Tasks that have not ended. */
  get tasksLeft(): number {
    return this.#entries.size;
  }

  /**
   * `timeout`, `deadline`, `retry` and `signal` of the task hold here as well, but a task that does not stop when it is
   * asked to cannot be forced: there is one thread.
   */
  schedule<R>(task: Task<R>, priority?: number | ScheduleOptions): TaskHandle<R> {
    return this.#inner?.schedule(task, priority) ?? this.#add(task, priority, false);
  }

  /** As `run` of a ProcessManager. */
  run<R>(target: RunTarget, args: readonly unknown[] = [], options: RunOptions = {}): Promise<R> {
    const inner = this.#inner;
    if (inner !== undefined) return inner.run(target, args, options);
    const task = this.#toCall<R>(target, args, options);
    const onProgress = checkListener(options.onProgress);
    return (async () => {
      const handle = this.#add(task, undefined, true);
      if (onProgress !== undefined) handle.onProgress(onProgress);
      return handle.result;
    })();
  }

  /** Inside one of its own tasks the manager is that task's. */
  get #inner(): Manager | undefined {
    const context = currentContext();
    const isOwn = context !== undefined && this.#running.get(context.taskId)?.context === context;
    return isOwn ? context.manager : undefined;
  }

  #toCall<R>(target: RunTarget, args: readonly unknown[], options: RunOptions): Task<R> {
    const { module, exportName } = this.#targets.resolve(target);
    if (!Array.isArray(args)) throw new InvalidArgumentError('args is an array of arguments');
    const given = ownOptions(options, 'the options of run');
    refuseTo(given);
    choosePriority(given.priority, undefined, this.#levels.length);
    checkSignal(given.signal);
    return Task.from<R>(module, exportName, args, given as TaskOptions);
  }

  #add<R>(task: Task<R>, given: number | ScheduleOptions | undefined, isCall: boolean): ScheduledTask<R> {
    assertSchedulable(task);
    const priority = priorityIn(given);
    const level = choosePriority(priority, task.priority, this.#levels.length);
    task.signal?.throwIfAborted();
    this.#ids += 1;
    const id = this.#ids;
    const handle: ScheduledTask<R> = new ScheduledTask<R>(id, task, {
      cancel: (_, error) => this.#drop(id, error),
      send: (_, message) => this.#send(id, message),
    });
    const policy = checkPolicy(task.limits, NO_POLICY);
    const dueAt = performance.now() + (policy.deadlineMs || Number.POSITIVE_INFINITY);
    const entry: Entry = {
      id,
      handle: handle as ScheduledTask<unknown>,
      level,
      policy,
      isCall,
      letters: [],
      attempt: 1,
      dueAt,
      timer: undefined,
    };
    friends.hold(task, handle);
    this.#entries.set(id, entry);
    this.#levels[level]?.push(entry);
    if (task.signal !== undefined) this.#signals.watch(task.signal, id);
    if (policy.deadlineMs > 0) {
      entry.timer = setTimeout(() => this.#tooLate(entry), policy.deadlineMs);
    }
    this.#begin();
    friends.begin(task, handle, 'queue');
    return handle;
  }

  sendMessage(message: unknown): void {
    this.#inbox.push(cloned(message, 'message'));
    this.#reader?.wake();
  }

  /** As `messages()` of a ProcessManager: ends when nothing is left; one reader at a time. */
  messages(): AsyncIterableIterator<unknown> {
    if (this.#reader !== undefined) refuseSecondReader();
    this.#reader = new MessageReader({
      take: () => (this.#inbox.length > 0 ? { message: this.#inbox.shift() } : undefined),
      finished: () => this.#entries.size === 0,
      release: () => {
        this.#reader = undefined;
      },
    });
    return this.#reader;
  }

  #begin(): void {
    this.#wake();
    if (this.#working) return;
    this.#working = true;
    queueMicrotask(() => void this.#work());
  }

  async #work(): Promise<void> {
    const { session, close } = await createSession(undefined);
    const environment = {
      managerOf: (context: RunContext) => new LocalTaskManager(this.#host, context),
      suspend: (step: 1 | -1) => {
        this.#suspended += step;
        this.#wake();
      },
      session,
      log: createLogger(false),
      worker: 0,
      state: { value: undefined },
      progress: (id: number, value: unknown) => this.#entries.get(id)?.handle.progress(cloned(value, 'progress')),
      stopReason: (id: number) => (this.#isOverTime(id) ? STOP_REASON.TIMEOUT : 0),
    };
    for (;;) {
      const entry = this.#next();
      if (entry !== undefined) void this.#start(entry, environment);
      else if (this.#running.size > 0) await this.#change();
      else break;
    }
    await close();
    this.#working = false;
    // Something may have been scheduled while the session was closed.
    if ([...this.#levels, ...this.#forked].some((level) => level.length > 0)) this.#begin();
  }

  /** The next one that may begin: in the place of a task that waits only what others wait for. */
  #next(): Entry | undefined {
    const { size } = this.#running;
    if (size > this.#suspended) return undefined;
    for (const [level, forked] of this.#forked.entries()) {
      const entry = forked.pop() ?? (size === 0 ? this.#levels[level]?.shift() : undefined);
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  #promote(id: number): void {
    const entry = this.#entries.get(id);
    if (entry !== undefined && this.#remove(entry)) this.#forked[entry.level]?.push(entry);
    this.#wake();
  }

  #send(id: number, message: unknown): void {
    const letter = cloned(message, 'message');
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#running.get(id)?.context.deliver(letter);
    entry.letters.push(letter);
  }

  /** True when it waited. */
  #remove(entry: Entry): boolean {
    for (const waiting of [this.#levels[entry.level] as Entry[], this.#forked[entry.level] as Entry[]]) {
      const index = waiting.indexOf(entry);
      if (index !== -1) waiting.splice(index, 1);
      if (index !== -1) return true;
    }
    return false;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  async #start(entry: Entry, environment: RunEnvironment): Promise<void> {
    clearTimeout(entry.timer);
    // A loop of short tasks lets no timer fire.
    if (entry.attempt === 1 && entry.dueAt < performance.now()) {
      this.#tooLate(entry);
    } else {
      const { id, policy } = entry;
      const context = new RunContext(environment, id, 0, id, entry.attempt);
      const overAt = performance.now() + (policy.timeoutMs || Number.POSITIVE_INFINITY);
      context.task = entry.handle.task;
      this.#running.set(id, { entry, context, overAt });
      entry.handle.started(0);
      for (const letter of entry.letters) context.deliver(letter);
      await this.#run(entry, context);
      this.#running.delete(id);
    }
    this.#reader?.wake();
    this.#wake();
  }

  #isOverTime(id: number): boolean {
    const running = this.#running.get(id);
    return running !== undefined && performance.now() > running.overAt;
  }

  async #run(entry: Entry, context: RunContext): Promise<void> {
    const { handle, policy } = entry;
    if (policy.timeoutMs > 0) entry.timer = setTimeout(() => context.stop(STOP_REASON.TIMEOUT), policy.timeoutMs);
    let outcome: Outcome;
    try {
      outcome = { value: await runInContext(context, () => handle.task.run(context)) };
    } catch (error) {
      outcome = { error };
    }
    clearTimeout(entry.timer);
    context.end();
    if (this.#isOverTime(entry.id)) context.stop(STOP_REASON.TIMEOUT);
    // The request to stop decided how it ends, as it does in a worker; one to cancel comes before one for the time.
    if (this.#reasons.has(entry.id)) this.#settle(entry, { error: this.#reasons.get(entry.id) });
    else if (context.stopped !== undefined) this.#failOrRetry(entry, 'timeout', () => this.#reportTimeout(entry));
    else if ('value' in outcome) this.#settle(entry, outcome);
    else this.#failOrRetry(entry, 'error', () => this.#report(entry, (outcome as { error: unknown }).error));
  }

  #failOrRetry(entry: Entry, cause: RetryCause, failure: () => WorkerException): void {
    const { policy, attempt, level } = entry;
    if (attempt > policy.maxRetries || (policy.flags & CAUSE_FLAGS[cause]) === 0) {
      this.#settle(entry, { error: failure() });
      return;
    }
    entry.attempt += 1;
    entry.timer = setTimeout(
      () => {
        this.#levels[level]?.unshift(entry);
        this.#begin();
      },
      backoffMs(policy.backoff, attempt),
    );
  }

  #tooLate(entry: Entry): void {
    const error = deadlineMissed(entry.id, entry.handle.task.name);
    if (!entry.isCall) this.#inbox.push(error);
    this.#drop(entry.id, error);
  }

  #settle(entry: Entry, outcome: Outcome): void {
    clearTimeout(entry.timer);
    this.#entries.delete(entry.id);
    this.#reasons.delete(entry.id);
    this.#signals.unwatch(entry.id);
    entry.handle.settle(outcome);
  }

  #report(entry: Entry, cause: unknown): WorkerException {
    const { name } = entry.handle.task;
    const message = `task ${entry.id} '${name}' failed: ${describe(cause)}`;
    const error = new WorkerException(message, { cause, ...details(entry) });
    if (!entry.isCall) this.#inbox.push(error);
    return error;
  }

  #reportTimeout(entry: Entry): TimeoutError {
    const { name } = entry.handle.task;
    const error = new TimeoutError(`task ${entry.id} '${name}' ran for longer than its timeout`, details(entry));
    if (!entry.isCall) this.#inbox.push(error);
    return error;
  }

  #drop(id: number, error: unknown): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    const running = this.#running.get(id);
    if (running !== undefined) {
      // The first reason is the one.
      if (!this.#reasons.has(id)) this.#reasons.set(id, error);
      running.context.stop();
      return;
    }
    this.#remove(entry);
    this.#settle(entry, { error });
    this.#reader?.wake();
  }
}

/** As it would come from a process. */
function cloned(value: unknown, name: string): unknown {
  return decodePayload(Uint8Array.from(encodePayload(value, name)));
}

function details({ id, handle, attempt }: Entry): WorkerExceptionDetails {
  return { taskName: handle.task.name, taskId: id, pid: process.pid, attempts: attempt };
}
