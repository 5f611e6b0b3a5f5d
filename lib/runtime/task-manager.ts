// The manager as one task sees it: `ctx.manager`.

import { InvalidArgumentError, NotPortableError } from '../errors.js';
import { checkSignal, ownOptions } from '../own-options.js';
import { cancellationOf } from '../task/failures.js';
import { friends } from '../task/graph-task.js';
import type { Manager, ProgressListener, RunOptions, ScheduleOptions, TaskHandle } from '../task/manager.js';
import { checkPolicy, type LimitOptions, type TaskPolicy } from '../task/policy.js';
import { checkListener } from '../task/progress.js';
import { assertSchedulable } from '../task/readiness.js';
import type { RunContext } from '../task/run-context.js';
import { RunTargets } from '../task/run-targets.js';
import { priorityIn, refuseTo } from '../task/schedule-options.js';
import { equip, specName } from '../task/spec.js';
import { choosePriority, type RunTarget } from '../task/target.js';
import type { Task } from '../task/task.js';
import type { Run } from '../task/task-life.js';
import type { WorkerConfiguration } from './configuration.js';
import type { Forks } from './forks.js';

const STAYS = 'stays in the process that made it: a task that another task schedules can have none';

const targets = new RunTargets();

/**
 * Forwards over the worker's connection. What it was given is owned by the manager before the task that called it ends,
 * so nothing is lost when this worker dies later. Waiting for a result lends the task's place to what it waits for.
 */
export class TaskManager implements Manager {
  readonly #forks: Forks;
  readonly #context: RunContext;
  readonly #configuration: WorkerConfiguration;

  constructor(forks: Forks, context: RunContext, configuration: WorkerConfiguration) {
    this.#forks = forks;
    this.#context = context;
    this.#configuration = configuration;
  }

  schedule<R>(task: Task<R>, priority?: number | ScheduleOptions): TaskHandle<R> {
    assertSchedulable(task);
    const own = priorityIn(priority);
    const spec = equip(task, false);
    if (task.signal !== undefined) throw new NotPortableError(`the signal of task '${task.name}' ${STAYS}`);
    const level = choosePriority(own, task.priority, this.#configuration.levels);
    const policy = this.#policyOf(task.limits, task.name);
    const number = this.#forks.schedule(this.#context, { spec, name: specName(spec), level, policy });
    const child = new ChildTask<R>(this.#forks, this.#context, number, task);
    friends.hold(task, child);
    friends.begin(task, child, 'queue');
    return child;
  }

  run<R>(target: RunTarget, args: readonly unknown[] = [], options: RunOptions = {}): Promise<R> {
    const { module, exportName: name } = targets.resolve(target);
    if (!Array.isArray(args)) throw new InvalidArgumentError('args is an array of arguments');
    const given = ownOptions(options, 'the options of run');
    refuseTo(given);
    if (given.transferList !== undefined) {
      throw new InvalidArgumentError('transferList is for the owner of the manager: a task can move nothing');
    }
    const level = choosePriority(given.priority, undefined, this.#configuration.levels);
    const policy = this.#policyOf(given, name);
    const signal = checkSignal(given.signal);
    const onProgress = checkListener(given.onProgress);
    const fork = { spec: ['f', '', module, name, args] as const, name, level, policy };
    return this.#forks.run(this.#context, fork, { signal, onProgress }) as Promise<R>;
  }

  /** Resolves when the manager has accepted the message; await it to be slowed down to the reader's pace. */
  sendMessage(message: unknown): Promise<void> {
    return this.#forks.sendMessage(message);
  }

  #policyOf(limits: LimitOptions, name: string): TaskPolicy {
    const policy = checkPolicy(limits, this.#configuration.policy);
    if (policy.backoff !== undefined) throw new NotPortableError(`the backoff of task '${name}' ${STAYS}`);
    return policy;
  }
}

/** Its result is the manager's until somebody asks for it. */
class ChildTask<R> implements TaskHandle<R>, Run {
  readonly id: number;
  readonly task: Task<R>;
  readonly #forks: Forks;
  readonly #context: RunContext;
  readonly #number: number;
  #result: Promise<R> | undefined;
  #reason: Error | undefined;

  constructor(forks: Forks, context: RunContext, number: number, task: Task<R>) {
    this.id = forks.idOf(number);
    this.task = task;
    this.#forks = forks;
    this.#context = context;
    this.#number = number;
  }

  get result(): Promise<R> {
    if (this.#result === undefined) {
      this.#result = this.#forks.result(this.#context, this.#number, this.task.name, this.#reason) as Promise<R>;
      // Who asks for a result need not have looked at it yet.
      this.#result.then(
        (value) => friends.ended(this.task, this, { value }),
        (error: unknown) => friends.ended(this.task, this, { error }),
      );
    }
    return this.#result;
  }

  send(message: unknown): void {
    this.#forks.send(this.#number, message);
  }

  onProgress(listener: ProgressListener): this {
    checkListener(listener);
    this.#forks.listen(this.#number, listener);
    // Later nothing is heard of it here.
    this.#context.whenOver(() => this.#forks.unlisten(this.#number));
    return this;
  }

  wanted(): void {
    void this.result;
  }

  cancel(reason?: unknown): void {
    this.drop(cancellationOf(reason));
  }

  drop(error: Error): void {
    this.#reason ??= error;
    this.#forks.cancel(this.#number, this.#reason);
  }
}
