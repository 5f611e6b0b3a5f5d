// The unit of work.

import { basename } from 'node:path';
import { InvalidArgumentError, NotPortableError } from '../errors.js';
import { checkSignal, ownOptions } from '../own-options.js';
import type { TaskContext } from './context.js';
import { checkPolicy, type LimitOptions, NO_POLICY, type RetryPolicy } from './policy.js';
import { checkPriority, exportOf, functionOf, importModule, moduleUrl, type TargetReference } from './target.js';

/** A task's own function: `args`, then `kwargs` as one object when there are any, then the context. */
// biome-ignore lint/suspicious/noExplicitAny: any argument list is a legal one, and only `any` accepts them all
export type TaskFunction<R> = (...args: any[]) => R | Promise<R>;

/** Options of a task. */
export interface TaskOptions {
  /** For people: in errors, events and logs. The function's or the class's name unless given. */
  readonly name?: string;
  readonly args?: readonly unknown[];
  /** Passed behind `args` as one object. */
  readonly kwargs?: Readonly<Record<string, unknown>>;
  /** 0 is the most urgent. An argument of `schedule` beats it. */
  readonly priority?: number;
  /** Milliseconds that one run may take; the manager's unless given. */
  readonly timeout?: number;
  /** Milliseconds by which it must have begun; the manager's unless given. */
  readonly deadline?: number;
  /** When it is run again; the manager's unless given. */
  readonly retry?: RetryPolicy;
  /** Cancels it. It stays in this process: a task with one cannot be scheduled by another task. */
  readonly signal?: AbortSignal;
}

/**
 * Something to be run. Extend it and override `run(ctx)`, or construct it around a function, or name an exported
 * function with `Task.from`.
 *
 * A subclass can travel to another process when its class is exported and says where:
 *
 * @example
 * export class Resize extends Task<Buffer> {
 *   static override readonly module = import.meta.url;
 *   constructor(readonly file: string) { super(); }
 *   override async run(ctx: TaskContext) { ... }
 * }
 *
 * Its own enumerable fields travel with it; the constructor is not called again.
 */
export class Task<R = unknown> {
  /** Where a worker finds the class: `static module = import.meta.url`. Without it the task stays in this process. */
  static readonly module?: string;
  /** The export to look for; the class's name unless given. */
  static readonly exportName?: string;

  readonly #name: string | undefined;
  readonly #fn: TaskFunction<R> | undefined;
  readonly #options: TaskOptions;
  #target: TargetReference | undefined;

  constructor(name: string, fn: TaskFunction<R>, options?: TaskOptions);
  constructor(fn: TaskFunction<R>, options?: TaskOptions);
  constructor(options?: TaskOptions);
  constructor(
    first?: string | TaskFunction<R> | TaskOptions,
    second?: TaskFunction<R> | TaskOptions,
    third?: TaskOptions,
  ) {
    const [name, fn, options] = typeof first === 'string' ? [first, second, third] : [undefined, first, second];
    if (typeof fn === 'function') {
      this.#fn = fn;
      this.#options = checkOptions(options as TaskOptions | undefined);
    } else {
      if (name !== undefined) throw new InvalidArgumentError(`task '${name}' needs a function as its second argument`);
      if (options !== undefined)
        throw new InvalidArgumentError('a task takes a name, a function and options, in order');
      this.#options = checkOptions(fn);
    }
    this.#name = name ?? this.#options.name;
  }

  /**
   * A task that calls an exported function as `fn(...args)`; inside, `currentContext()` is its context.
   *
   * @param module a URL, or a path relative to the current directory.
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for what can be no module or export.
   */
  static from<R>(
    module: string | URL,
    exportName: string,
    args: readonly unknown[] = [],
    options: TaskOptions = {},
  ): Task<R> {
    const reference = { module: moduleUrl(module), exportName: exportOf(exportName) };
    if (!Array.isArray(args)) throw new InvalidArgumentError('args is an array of arguments');
    const task = new Task<R>({ ...options, args: args as unknown[] });
    task.#target = reference;
    return task;
  }

  /** For people. */
  get name(): string {
    if (this.#name !== undefined) return this.#name;
    const target = this.#target;
    if (target === undefined) return this.#fn?.name || this.constructor.name;
    return target.exportName === 'default' ? basename(target.module) : target.exportName;
  }

  get priority(): number | undefined {
    return this.#options.priority;
  }

  /** `timeout`, `deadline` and `retry`. */
  get limits(): LimitOptions {
    return this.#options;
  }

  get signal(): AbortSignal | undefined {
    return this.#options.signal;
  }

  get args(): readonly unknown[] {
    return this.#options.args ?? [];
  }

  get kwargs(): Readonly<Record<string, unknown>> | undefined {
    return this.#options.kwargs;
  }

  /** The exported function that `Task.from` named. */
  get target(): TargetReference | undefined {
    return this.#target;
  }

  /** True when it was constructed around a function, which cannot travel. */
  get isLocal(): boolean {
    return this.#fn !== undefined;
  }

  /**
   * The body. Override it, and leave everything else alone.
   *
   * @throws NotPortableError (ERR_BOSUN_NOT_PORTABLE) when there is no body: neither an override nor a function.
   */
  run(ctx: TaskContext): R | Promise<R> {
    if (this.#target !== undefined) return this.#callTarget(this.#target);
    if (this.#fn === undefined) {
      throw new NotPortableError(
        `${this.constructor.name} has no body: override run(ctx) or construct it with a function`,
      );
    }
    return this.#fn(...this.#arguments(), ctx);
  }

  async #callTarget({ module, exportName }: TargetReference): Promise<R> {
    return functionOf(await importModule(module), module, exportName)(...this.#arguments()) as R;
  }

  #arguments(): unknown[] {
    const { kwargs } = this;
    return kwargs === undefined ? [...this.args] : [...this.args, kwargs];
  }
}

function checkOptions(given: TaskOptions | undefined): TaskOptions {
  const options = ownOptions(given, 'the options of a task');
  const { name, args, kwargs, priority } = options;
  if (name !== undefined && typeof name !== 'string') throw new InvalidArgumentError("a task's name is a string");
  if (args !== undefined && !Array.isArray(args)) throw new InvalidArgumentError("a task's args are an array");
  if (kwargs !== undefined && (typeof kwargs !== 'object' || kwargs === null || Array.isArray(kwargs))) {
    throw new InvalidArgumentError("a task's kwargs are an object");
  }
  if (priority !== undefined) checkPriority(priority, 128);
  checkPolicy(options, NO_POLICY);
  checkSignal(options.signal);
  return options;
}
