// A task among others: what it requires, whom it blocks, how it stands, and how it has ended.

import { CycleError, FSMError, InvalidArgumentError, TaskError } from '../errors.js';
import { BaseTask, type TaskKind } from './base-task.js';
import { cancellationOf } from './failures.js';
import type { Outcome } from './outcome.js';
import { refuseResult } from './scheduled-elsewhere.js';
import type { Task } from './task.js';
import {
  type Follower,
  isEnding,
  isOver,
  judge,
  outcomeOf,
  type Run,
  TaskDetails,
  type TaskTimes,
} from './task-life.js';
import type { TaskOptions } from './task-options.js';
import type { TaskEvent, TaskState } from './task-states.js';
import type { TransitionExtra } from './transitions.js';
import { warnThrown } from './warn.js';

/** What those who run and follow tasks do with them. */
export interface TaskFriends {
  optionsOf(task: GraphTask): TaskOptions;
  /** How it has ended, if it has. */
  outcomeOf(task: GraphTask): Outcome | undefined;
  /** Somebody takes it. @throws FSMError when somebody has it. */
  hold(task: GraphTask, run: Run): void;
  /** Nobody has it after all. */
  release(task: GraphTask): void;
  /** Who has taken it fires what that means. Nothing happens when it has ended meanwhile. @throws FSMError */
  begin(task: GraphTask, run: Run, event: 'queue' | 'dispatch'): void;
  /** It has begun at last. Nothing happens when that is known, or when it is another's by now. */
  started(task: GraphTask, run: Run, worker: number): void;
  /** It has ended there. Nothing happens when it is another's by now. */
  ended(task: GraphTask, run: Run, outcome: Outcome): void;
  /** Somebody runs it. */
  isHeld(task: GraphTask): boolean;
  /** Somebody will see how it ends. */
  isWatched(task: GraphTask): boolean;
  /** Somebody would like to be told when it begins. */
  isFollowed(task: GraphTask): boolean;
  /** From now on its times are kept. */
  follow(task: GraphTask, follower: Follower): void;
  unfollow(task: GraphTask, follower: Follower): void;
  /** How it ends will be known here. */
  want(task: GraphTask): void;
  timesOf(task: GraphTask): TaskTimes | undefined;
  /** It is as it was before: no event, and nobody is told. */
  restore(task: GraphTask, state: TaskState, outcome: Outcome | undefined): void;
  /** As `required` and `blocking`, which it costs a set to ask for. */
  requiredOf(task: GraphTask): Iterable<Task>;
  requiresAny(task: GraphTask): boolean;
  blockingOf(task: GraphTask): Iterable<Task>;
}

const NONE: readonly Task[] = [];

/** Not methods: they are nothing for users. */
export let friends: TaskFriends;

export abstract class GraphTask<R = unknown> extends BaseTask {
  readonly #options: TaskOptions;
  #run: Run | undefined;
  #outcome: Outcome | undefined;
  #details: TaskDetails | undefined;

  constructor(kind: TaskKind, options: TaskOptions) {
    super(kind);
    this.#options = options;
    const { track } = options;
    if (track !== undefined && track !== false) {
      this.on('any', track === true ? (one) => print(this.name, one) : track);
    }
  }

  /** For people. */
  abstract get name(): string;

  override get state(): TaskState {
    return super.state as TaskState;
  }

  /** Those that have to be completed before it, in the order in which that was said. */
  get required(): ReadonlySet<Task> {
    const details = this.#more();
    details.required ??= new Set();
    return details.required;
  }

  /** Those that require it, in the order in which that was said. */
  get blocking(): ReadonlySet<Task> {
    const details = this.#more();
    details.blocking ??= new Set();
    return details.blocking;
  }

  /**
   * It is not run before the other has been completed. A circle of more than one is found when its tasks are made: who
   * builds a graph of many tasks, in any order, pays nothing for it.
   *
   * @throws FSMError (ERR_BOSUN_FSM) unless this is in PREPARE or PENDING.
   * @throws CycleError (ERR_BOSUN_CYCLE) for itself.
   */
  require(other: Task): this {
    if (!(other instanceof GraphTask)) throw new InvalidArgumentError(`task '${this.name}' can only require tasks`);
    const self = this.#self;
    if (other === self) throw new CycleError([self]);
    const { state } = this;
    if (state !== 'PREPARE' && state !== 'PENDING') {
      throw new FSMError(`task '${this.name}' is ${state}, too late to require '${other.name}'`, { state });
    }
    (this.required as Set<Task>).add(other);
    (other.blocking as Set<Task>).add(self);
    return this;
  }

  /** The other requires this one. @throws as `require` of the other. */
  block(other: Task): this {
    if (!(other instanceof GraphTask)) throw new InvalidArgumentError(`task '${this.name}' can only block tasks`);
    other.require(this.#self);
    return this;
  }

  /** DONE, FAILED or ABORT: it blocks no others. A cancelled one does, until it is retried or aborted. */
  isCompleted(): boolean {
    const { state } = this;
    return state === 'DONE' || state === 'FAILED' || state === 'ABORT';
  }

  /** Whether there are `blockers()`. */
  isBlocked(): boolean {
    for (const task of this.#details?.required ?? NONE) if (this.#waitsFor(task)) return true;
    return false;
  }

  /**
   * Those of the tasks that it requires which it has to wait for, in their order: all that are not completed, and with
   * `requireSuccess` those that have failed. An aborted one is waited for by nobody.
   */
  *blockers(): IterableIterator<Task> {
    for (const task of this.#details?.required ?? NONE) if (this.#waitsFor(task)) yield task;
  }

  #waitsFor(task: Task): boolean {
    return !task.isCompleted() || (task.state === 'FAILED' && this.#options.requireSuccess === true);
  }

  /**
   * What the body returns. Rejects with what it throws, and with a CancellationError when the task is cancelled or aborted.
   * Never an unhandled rejection by itself. `retry()` brings another one.
   */
  get result(): Promise<R> {
    const details = this.#more();
    if (details.promise === undefined) {
      details.promise = new Promise((resolve) => {
        details.resolve = resolve;
      });
      const outcome = this.#ending();
      if (outcome !== undefined) details.settle(outcome);
      else this.#run?.wanted?.();
    }
    return details.promise as Promise<R>;
  }

  /** Resolves when it has ended, however; it never rejects. */
  async join(): Promise<void> {
    try {
      await this.result;
    } catch {
      // However it ended.
    }
  }

  /** Calls back once, with these arguments, when the task has ended, however. What that throws is a process warning. */
  notify<A extends unknown[]>(callback: (...args: A) => unknown, ...args: A): void {
    if (typeof callback !== 'function') throw new InvalidArgumentError('notify takes a function');
    const warn = (error: unknown) => warnThrown(`a callback of notify of task '${this.name}'`, error);
    this.join()
      .then(() => callback(...args))
      .catch(warn);
  }

  /**
   * PENDING and QUEUED tasks are CANCELLED at once. One that is RUNNING is asked to stop, by `ctx.signal`, and is CANCELLED
   * when it has ended, whatever it returns. One that has ended stays as it is.
   *
   * @throws FSMError (ERR_BOSUN_FSM) in PREPARE.
   * @throws BosunError (ERR_BOSUN_NO_RESULT_HERE) when it was scheduled by a dialogue that cannot cancel.
   */
  cancel(reason?: unknown): void {
    const { state } = this;
    if (isOver(state)) return;
    const error = cancellationOf(reason);
    const run = this.#run;
    if (run !== undefined && run.drop === undefined) refuseResult();
    if (state !== 'RUNNING') {
      this.fire('cancel', { reason: error });
      return;
    }
    this.runState.cancel(error);
    run?.drop?.(error);
  }

  /** From FAILED and CANCELLED: PENDING, with another `result`. @throws FSMError (ERR_BOSUN_FSM) */
  retry(): void {
    this.fire('retry');
  }

  /**
   * Gives it up for good, and with it all PENDING tasks that require it, directly or not.
   *
   * @throws FSMError (ERR_BOSUN_FSM) unless it is PENDING, FAILED or CANCELLED.
   */
  abort(): void {
    this.fire('abort');
    const aborted: GraphTask[] = [this];
    for (const one of aborted) {
      for (const task of friends.blockingOf(one)) {
        if (task.state !== 'PENDING') continue;
        task.fire('abort');
        aborted.push(task);
      }
    }
  }

  protected override moved(event: TaskEvent, extra: TransitionExtra): void {
    super.moved(event, extra);
    if (event === 'retry') this.#outcome = undefined;
    if (isEnding(event)) this.#end(event, extra);
    const details = this.#details;
    if (details === undefined) return;
    if (event === 'retry') details.renew();
    details.note(event);
    for (const follower of details.followers) follower(this.#self, event);
  }

  #end(event: TaskEvent, extra: TransitionExtra): void {
    const run = this.#run;
    this.#run = undefined;
    // An aborted one has mostly ended before.
    this.#outcome ??= outcomeOf(this.#self, event, extra);
    this.#details?.settle(this.#outcome);
    // It was not what runs it that has ended it.
    run?.drop?.(cancellationOf(extra['reason']));
  }

  /** Also of a task whose state was stored elsewhere, and says no more. */
  #ending(): Outcome | undefined {
    const { state } = this;
    if (this.#outcome !== undefined || !isOver(state)) return this.#outcome;
    if (state === 'DONE') return { value: undefined };
    return { error: new TaskError(`task '${this.name}' is ${state}, and nothing more is known of it`, this.#self) };
  }

  get #self(): Task {
    return this as unknown as Task;
  }

  #more(): TaskDetails {
    this.#details ??= new TaskDetails();
    return this.#details;
  }

  #started(worker: number): void {
    const times = this.#details?.times;
    if (times !== undefined) times.worker = worker;
    if (this.state === 'QUEUED') this.fire('dispatch');
  }

  #finish(given: Outcome): void {
    this.#run = undefined;
    const outcome = judge(this.name, this.#stopped() ?? given, this.#options);
    const failed = 'error' in outcome;
    const cancelled = failed && outcome.cancelled === true;
    // Before whoever took it could say so.
    if (this.state === 'PENDING') this.fire('queue');
    // Nobody has said that it began.
    if (this.state === 'QUEUED' && !cancelled) this.fire('dispatch');
    // Whoever was told so may have ended it.
    const { state } = this;
    if (state !== 'RUNNING' && state !== 'QUEUED') return;
    this.#outcome = outcome;
    if (!failed) this.fire('done');
    else if (cancelled) this.fire('cancel', { reason: outcome.error });
    else this.fire('except', { error: outcome.error });
  }

  /** Whoever has its RunState may have asked it to stop. */
  #stopped(): Outcome | undefined {
    const signal = this.usedRunState?.signal;
    return signal?.aborted === true ? { error: signal.reason, cancelled: true } : undefined;
  }

  static {
    friends = {
      optionsOf: (task) => task.#options,
      outcomeOf: (task) => task.#ending(),
      isHeld: (task) => task.#run !== undefined,
      isWatched(task) {
        const details = task.#details;
        return (
          task.isFollowed || (details !== undefined && (details.promise !== undefined || details.followers.length > 0))
        );
      },
      isFollowed: (task) => task.isFollowed || task.#details?.times !== undefined,
      timesOf: (task) => task.#details?.times,
      requiredOf: (task) => task.#details?.required ?? NONE,
      requiresAny: (task) => task.#details?.required !== undefined,
      blockingOf: (task) => task.#details?.blocking ?? NONE,
      hold(task, run) {
        const { name, state } = task;
        if (task.#run !== undefined) throw new FSMError(`task '${name}' is ${state}: somebody runs it`, { state });
        task.#run = run;
      },
      release(task) {
        task.#run = undefined;
      },
      begin(task, run, event) {
        if (task.#run !== run) return;
        try {
          task.fire(event);
        } catch (error) {
          task.#run = undefined;
          throw error;
        }
      },
      started(task, run, worker) {
        if (task.#run !== run) return;
        try {
          task.#started(worker);
        } catch (error) {
          warnThrown(`the state of task '${task.name}'`, error);
        }
      },
      ended(task, run, outcome) {
        if (task.#run !== run) return;
        try {
          task.#finish(outcome);
        } catch (error) {
          // Whoever stores states elsewhere may throw, and nobody calls who could catch it.
          warnThrown(`the state of task '${task.name}'`, error);
        }
      },
      follow(task, follower) {
        const details = task.#more();
        details.times ??= {};
        details.followers = [...details.followers, follower];
      },
      unfollow(task, follower) {
        const details = task.#more();
        details.followers = details.followers.filter((one) => one !== follower);
      },
      restore(task, state, outcome) {
        task.store(state);
        task.#outcome = outcome;
      },
      want(task) {
        task.#run?.wanted?.();
      },
    };
  }
}

function print(
  name: string,
  { oldState, event, newState }: { oldState: string; event: string; newState: string },
): void {
  console.log(`${name} ${oldState}->${event}->${newState}`);
}
