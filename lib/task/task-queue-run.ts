// One run of a TaskQueue.

import { checkKnown, checkSignal, flag, ownOptions } from '../own-options.js';
import { friends } from './graph-task.js';
import { type Here, here, hereAlone } from './here.js';
import { checkManager } from './make-options.js';
import type { Manager } from './manager.js';
import { isPortable } from './spec.js';
import { submit } from './submit.js';
import { launch, type Task } from './task.js';
import { isOver } from './task-life.js';
import type { TaskQueue } from './task-queue.js';

/** Options of a run of a TaskQueue. */
export interface QueueRunOptions {
  /** Cancels what it runs; the iteration throws the reason. */
  readonly signal?: AbortSignal;
  /** Whether it ends behind one task; false unless given. */
  readonly once?: boolean;
  /** Where portable tasks run; in this thread unless given. */
  readonly manager?: Manager;
}

/** What it asks of its queue. */
export interface QueueParts {
  /** Resolves when anything has changed. */
  change(): Promise<void>;
  wake(): void;
  /** Whether something may become free because of what others run. */
  isMoving(): boolean;
  /** A task is to be yielded. */
  ended(task: Task): void;
}

export class QueueRun {
  readonly #queue: TaskQueue;
  readonly #parts: QueueParts;
  readonly #manager: Manager | undefined;
  readonly #here: Here;
  readonly #signal: AbortSignal | undefined;
  readonly #once: boolean;
  /** Taken, and neither begun nor ended. */
  readonly #taken: Task[] = [];
  readonly #running = new Set<Task>();
  readonly #ended: Task[] = [];
  /** The one that runs in this thread. */
  #own: Task | undefined;
  #isFull = false;

  /** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) */
  constructor(queue: TaskQueue, options: QueueRunOptions | undefined, parts: QueueParts) {
    const given = ownOptions(options, 'the options of run');
    checkKnown(given, ['signal', 'once', 'manager'], 'run');
    const { once = false } = given;
    flag('once', once);
    this.#queue = queue;
    this.#parts = parts;
    this.#once = once;
    this.#signal = checkSignal(given.signal);
    this.#manager = checkManager(given.manager);
    this.#here = this.#manager === undefined ? hereAlone() : here(this.#manager);
  }

  async *tasks(): AsyncGenerator<Task, void, undefined> {
    this.#signal?.addEventListener('abort', this.#onAbort);
    try {
      for (;;) {
        this.#signal?.throwIfAborted();
        this.#begin();
        const task = this.#ended.shift();
        if (task !== undefined) {
          this.#parts.ended(task);
          yield task;
          if (this.#once) return;
        } else if (this.#running.size + this.#taken.length > 0 || this.#parts.isMoving()) {
          await this.#parts.change();
        } else {
          return;
        }
      }
    } finally {
      this.#signal?.removeEventListener('abort', this.#onAbort);
      this.#giveBack();
    }
  }

  /** Takes what is free, and begins it, as far as there is a place. */
  #begin(): void {
    for (let task = this.#next(); task !== undefined; task = this.#next()) {
      if (isOver(task.state)) {
        this.#ended.push(task);
      } else {
        friends.follow(task, this.#follower);
        this.#running.add(task);
        if (this.#manager !== undefined && isPortable(task)) this.#schedule(task, this.#manager);
        else this.#launch(task);
      }
    }
  }

  #next(): Task | undefined {
    if (this.#once && this.#running.size + this.#taken.length + this.#ended.length > 0) {
      return this.#running.size + this.#ended.length > 0 ? undefined : this.#fromTaken();
    }
    const taken = this.#fromTaken();
    if (taken !== undefined) return taken;
    // Without a manager nothing is taken that cannot begin: others may run the queue as well.
    if (this.#manager === undefined && this.#own !== undefined) return undefined;
    for (let task = this.#queue.get(); task !== null; task = this.#queue.get()) {
      if (this.#hasPlace(task)) return task;
      this.#taken.push(task);
    }
    return undefined;
  }

  #fromTaken(): Task | undefined {
    const index = this.#taken.findIndex((task) => this.#hasPlace(task));
    return index === -1 ? undefined : this.#taken.splice(index, 1)[0];
  }

  #hasPlace(task: Task): boolean {
    if (isOver(task.state)) return true;
    return this.#manager !== undefined && isPortable(task) ? !this.#isFull : this.#own === undefined;
  }

  #launch(task: Task): void {
    this.#own = task;
    launch(task, this.#here);
  }

  #schedule(task: Task, manager: Manager): void {
    const room = submit(task, manager);
    if (room === undefined) return;
    this.#drop(task);
    this.#taken.unshift(task);
    this.#isFull = true;
    void room.then(() => {
      this.#isFull = false;
      this.#parts.wake();
    });
  }

  readonly #follower = (task: Task): void => {
    if (!isOver(task.state)) return;
    this.#drop(task);
    if (this.#own === task) this.#own = undefined;
    this.#ended.push(task);
    this.#parts.wake();
  };

  readonly #onAbort = (): void => {
    for (const task of [...this.#running]) task.cancel(this.#signal?.reason);
    this.#parts.wake();
  };

  #drop(task: Task): void {
    friends.unfollow(task, this.#follower);
    this.#running.delete(task);
  }

  #giveBack(): void {
    const running = [...this.#running];
    for (const task of running) this.#drop(task);
    for (const task of [...this.#ended, ...this.#taken, ...running]) this.#queue.add(task);
  }
}
