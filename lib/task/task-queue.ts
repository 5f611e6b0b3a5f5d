// A queue of tasks that are taken as they become free: for a worker of one's own, and to run what there is.

import { checkKnown, flag, ownOptions } from '../own-options.js';
import { friends } from './graph-task.js';
import { checkTasks } from './make-options.js';
import { fateOf } from './readiness.js';
import type { Task } from './task.js';
import { isOver } from './task-life.js';
import { type TasksDotOptions, tasksAsDot } from './task-pictures.js';
import { QueueRun, type QueueRunOptions } from './task-queue-run.js';
import type { TaskState } from './task-states.js';

/** Options of a TaskQueue. */
export interface TaskQueueOptions {
  /** Whether what requires a task that `run` yields is added; false unless given. */
  readonly runDependentTasks?: boolean;
}

/** A task in the queue. */
interface Entry {
  readonly task: Task;
  /** One that it requires and that has not ended; known while it is PENDING. */
  blocker: Task | undefined;
  /** What is to be looked at when that one has ended. */
  rest: Iterator<Task> | undefined;
}

/**
 * Holds tasks until they may run, in the order in which they were added. It follows them, and what they require: also what
 * others run, cancel or retry.
 *
 * @example
 * for await (const task of new TaskQueue([compile, link]).run()) console.log(task.name, task.state);
 */
export class TaskQueue {
  readonly #entries = new Map<Task, Entry>();
  readonly #ended = new Set<Task>();
  readonly #free = new Set<Task>();
  /** Those that wait for a task. */
  readonly #waiting = new Map<Task, Set<Entry>>();
  readonly #runsDependents: boolean;
  #waiters: (() => void)[] = [];

  /** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) */
  constructor(tasks: Task | Iterable<Task> = [], options?: TaskQueueOptions) {
    const given = ownOptions(options, 'the options of a TaskQueue');
    checkKnown(given, ['runDependentTasks'], 'a TaskQueue');
    const { runDependentTasks = false } = given;
    this.#runsDependents = flag('runDependentTasks', runDependentTasks);
    for (const task of checkTasks(tasks)) this.add(task);
  }

  /** Those in the queue, in the order in which they were added. */
  get tasks(): Task[] {
    return [...this.#entries.keys()];
  }

  /** Its tasks in the DOT language: `tasksAsDot`. @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) */
  asDot(options?: TasksDotOptions): string {
    return tasksAsDot(this.tasks, options);
  }

  /** Does nothing for one that is in the queue already. @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) */
  add(task: Task): this {
    checkTasks([task]);
    if (this.#entries.has(task)) return this;
    const entry: Entry = { task, blocker: undefined, rest: undefined };
    this.#entries.set(task, entry);
    // It may be followed as what others wait for.
    if (!this.#waiting.has(task)) friends.follow(task, this.#follower);
    this.#place(entry);
    this.#wake();
    return this;
  }

  /**
   * Takes a task out of the queue: one that has ended, else a PENDING one that nothing blocks; null when there is none now.
   * One that requires a task which has failed, or was cancelled or aborted, ends likewise, as in a make, and is not to
   * be run.
   */
  get(): Task | null {
    for (const task of this.#ended) return this.#take(task);
    for (const task of this.#free) {
      const entry = this.#entries.get(task) as Entry;
      // Since then something may have been retried, or required.
      this.#place(entry);
      if (entry.blocker !== undefined || task.state !== 'PENDING') continue;
      this.#take(task);
      const fate = fateOf(task);
      if (fate !== undefined) task.fire(fate.event, fate.extra);
      return task;
    }
    return null;
  }

  /**
   * Takes tasks until none is left that can go on, runs them, and yields each when it has ended: it may be FAILED or CANCELLED.
   * Tasks that others run are waited for, if others wait for them here. With a manager, the portable ones run there, as many at
   * once as nothing blocks; else, and those that are not, one at a time in this thread: call it several times for more.
   * What it had taken and not yielded when it was left is in the queue again.
   *
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) at the call; from the iteration the reason of `signal`.
   */
  run(options?: QueueRunOptions): AsyncGenerator<Task, void, undefined> {
    return new QueueRun(this, options, {
      change: () => new Promise((resolve) => this.#waiters.push(resolve)),
      wake: () => this.#wake(),
      isMoving: () => this.#isMoving(),
      ended: (task) => this.#addDependents(task),
    }).tasks();
  }

  /** Those in the queue that nothing will let go on: they wait for tasks that are not in the queue, and that nobody runs. */
  get stuck(): Task[] {
    const { order, alive } = this.#survey();
    return order.filter((task) => this.#entries.has(task) && !alive.has(task));
  }

  #addDependents(task: Task): void {
    if (!this.#runsDependents) return;
    // Others may be on their way already.
    for (const other of friends.blockingOf(task)) if (!isOver(other.state) && !isRun(other.state)) this.add(other);
  }

  readonly #follower = (task: Task): void => {
    const entry = this.#entries.get(task);
    if (entry !== undefined) this.#place(entry);
    if (isOver(task.state)) {
      const waiting = this.#waiting.get(task);
      this.#waiting.delete(task);
      if (waiting !== undefined && entry === undefined) friends.unfollow(task, this.#follower);
      for (const one of waiting ?? []) this.#place(one);
    }
    this.#wake();
  };

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }

  /** Finds out anew where it belongs. */
  #place(entry: Entry): void {
    const { task } = entry;
    const { state } = task;
    this.#unblock(entry);
    if (isOver(state)) this.#ended.add(task);
    else this.#ended.delete(task);
    const isFree = state === 'PENDING' && !this.#isBlocked(entry);
    if (isFree) this.#free.add(task);
    else this.#free.delete(task);
  }

  /** Goes on where it has found something the last time, so that each of many is looked at once. */
  #isBlocked(entry: Entry): boolean {
    const { task } = entry;
    for (let isLast = false; ; ) {
      isLast = entry.rest === undefined;
      entry.rest ??= friends.requiredOf(task)[Symbol.iterator]();
      for (let next = entry.rest.next(); next.done !== true; next = entry.rest.next()) {
        if (isOver(next.value.state)) continue;
        this.#block(entry, next.value);
        return true;
      }
      entry.rest = undefined;
      // From the beginning once more: some of them may have been retried.
      if (isLast) return false;
    }
  }

  #block(entry: Entry, blocker: Task): void {
    entry.blocker = blocker;
    const waiting = this.#waiting.get(blocker);
    if (waiting !== undefined) {
      waiting.add(entry);
      return;
    }
    if (!this.#entries.has(blocker)) friends.follow(blocker, this.#follower);
    this.#waiting.set(blocker, new Set([entry]));
  }

  #unblock(entry: Entry): void {
    const { blocker } = entry;
    if (blocker === undefined) return;
    entry.blocker = undefined;
    const waiting = this.#waiting.get(blocker);
    if (waiting?.delete(entry) !== true || waiting.size > 0) return;
    this.#waiting.delete(blocker);
    if (!this.#entries.has(blocker)) friends.unfollow(blocker, this.#follower);
  }

  #take(task: Task): Task {
    const entry = this.#entries.get(task);
    if (entry !== undefined) this.#unblock(entry);
    this.#entries.delete(task);
    this.#ended.delete(task);
    this.#free.delete(task);
    if (!this.#waiting.has(task)) friends.unfollow(task, this.#follower);
    return task;
  }

  /** Whether somebody runs a task that is in here, or what one waits for. */
  #isMoving(): boolean {
    for (const { task, blocker } of this.#entries.values()) {
      if (isRun(task.state) || (blocker !== undefined && isRun(blocker.state))) return true;
    }
    return false;
  }

  /** Which tasks can go on: those that somebody runs, or will, and those that wait for no others. */
  #survey(): { readonly order: readonly Task[]; readonly alive: ReadonlySet<Task> } {
    const order = [...this.#entries.keys()];
    const alive = new Set<Task>();
    const waits = new Map<Task, number>();
    const dependents = new Map<Task, Task[]>();
    const live: Task[] = [];
    for (const task of order) {
      const blockers = [...friends.requiredOf(task)].filter(({ state }) => !isOver(state));
      if (task.state !== 'PENDING' ? task.state !== 'PREPARE' : blockers.length === 0) live.push(task);
      if (task.state !== 'PENDING') continue;
      waits.set(task, blockers.length);
      for (const blocker of blockers) {
        const others = dependents.get(blocker);
        if (others === undefined) dependents.set(blocker, [task]);
        else others.push(task);
        if (others === undefined && !this.#entries.has(blocker) && isRun(blocker.state)) live.push(blocker);
      }
    }
    for (const task of live) {
      alive.add(task);
      for (const other of dependents.get(task) ?? []) {
        const left = (waits.get(other) as number) - 1;
        waits.set(other, left);
        if (left === 0) live.push(other);
      }
    }
    return { order, alive };
  }
}

function isRun(state: TaskState): boolean {
  return state === 'RUNNING' || state === 'QUEUED';
}
