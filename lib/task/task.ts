// The unit of work.

import { basename } from 'node:path';
import { type InspectOptions, inspect } from 'node:util';
import { InvalidArgumentError, NotPortableError } from '../errors.js';
import { type TaskKind, taskKind } from './base-task.js';
import { currentContext, type TaskContext } from './context.js';
import { FILL, type FillColors } from './fill-colors.js';
import { friends, GraphTask } from './graph-task.js';
import { type Here, HereRun, hereAlone } from './here.js';
import type { MakeOptions } from './make-options.js';
import type { LimitOptions } from './policy.js';
import { assertUnblocked } from './readiness.js';
import { RunContext } from './run-context.js';
import { exportOf, functionOf, importModule, moduleUrl, type TargetReference } from './target.js';
import { checkTaskJson, restoreFrom, type TaskJson, toJson } from './task-json.js';
import { checkTaskOptions, type TaskOptions } from './task-options.js';
import type { TasksDotOptions, TasksSvgOptions } from './task-pictures.js';

/** A task's own function: `args`, then `kwargs` as one object when there are any, then the context. */
// biome-ignore lint/suspicious/noExplicitAny: any argument list is a legal one, and only `any` accepts them all
export type TaskFunction<R> = (...args: any[]) => R | Promise<R>;

const PENDING = taskKind({ state: 'PENDING' });

function kindOf({ state = 'PENDING', history = false }: TaskOptions): TaskKind {
  return state === 'PENDING' && !history ? PENDING : taskKind({ state, history });
}

/** What stands on tasks itself, and puts itself here when it is loaded. */
export const above = {} as {
  make(task: Task, options?: MakeOptions): AsyncIterable<Task>;
  asDot(tasks: Task | Iterable<Task>, options?: TasksDotOptions): string;
  asSvg(tasks: Task | Iterable<Task>, options?: TasksSvgOptions): Promise<string>;
};

let fromJson: (Class: typeof Task, json: TaskJson) => Task;

/** Runs a PENDING or QUEUED task in this thread, now. @throws FSMError */
export let launch: (task: Task, environment: Here) => void;

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
 *
 * Its state stays here: PENDING until somebody runs it, which is a manager (`schedule`), this thread (`dispatch`) or a make,
 * with all that it requires (`make`); then QUEUED, RUNNING, and DONE, FAILED or CANCELLED.
 */
export class Task<R = unknown> extends GraphTask<R> {
  /** Where a worker finds the class: `static module = import.meta.url`. Without it the task stays in this process. */
  static readonly module?: string;
  /** The export to look for; the class's name unless given. */
  static readonly exportName?: string;

  #name: string | undefined;
  /** A function that is here, or the name of one. */
  #body: TaskFunction<R> | TargetReference | undefined;

  constructor(name: string, fn: TaskFunction<R>, options?: TaskOptions);
  constructor(fn: TaskFunction<R>, options?: TaskOptions);
  constructor(options?: TaskOptions);
  constructor(
    first?: string | TaskFunction<R> | TaskOptions,
    second?: TaskFunction<R> | TaskOptions,
    third?: TaskOptions,
  ) {
    const [name, middle, last] = typeof first === 'string' ? [first, second, third] : [undefined, first, second];
    const fn = typeof middle === 'function' ? middle : undefined;
    if (fn === undefined && name !== undefined) {
      throw new InvalidArgumentError(`task '${name}' needs a function as its second argument`);
    }
    if (fn === undefined && last !== undefined) {
      throw new InvalidArgumentError('a task takes a name, a function and options, in order');
    }
    const options = checkTaskOptions((fn === undefined ? middle : last) as TaskOptions | undefined);
    super(kindOf(options), options);
    this.#body = fn;
    this.#name = name ?? options.name;
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
    task.#body = reference;
    return task;
  }

  /**
   * The task that `toJSON` gave: also how it stood and ended, but what had begun is PENDING. What it required it does not
   * know.
   *
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for anything else, and for a subclass that is not this one.
   */
  static fromJSON(json: TaskJson): Task {
    // biome-ignore lint/complexity/noThisInStatic: the subclass that it is called on
    return fromJson(this, json);
  }

  /** Colours of the nodes of pictures, by state; for subclasses to override. */
  static readonly dotFillColors: FillColors = FILL;

  /** Several tasks in the DOT language: `tasksAsDot`. @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) */
  static tasksAsDot(tasks: Task | Iterable<Task>, options?: TasksDotOptions): string {
    return above.asDot(tasks, options);
  }

  /** Several tasks as SVG: `tasksAsSvg`. @throws as that. */
  static tasksAsSvg(tasks: Task | Iterable<Task>, options?: TasksSvgOptions): Promise<string> {
    return above.asSvg(tasks, options);
  }

  /** The task whose body is running here; undefined outside of one, and where a function is called by itself. */
  static current(): Task | undefined {
    const context = currentContext();
    return context instanceof RunContext ? context.task : undefined;
  }

  get name(): string {
    if (this.#name !== undefined) return this.#name;
    const body = this.#body;
    if (typeof body !== 'object') return body?.name || this.constructor.name;
    return body.exportName === 'default' ? basename(body.module) : body.exportName;
  }

  get priority(): number | undefined {
    return friends.optionsOf(this).priority;
  }

  /** `timeout`, `deadline` and `retry`. */
  get limits(): LimitOptions {
    return friends.optionsOf(this);
  }

  get signal(): AbortSignal | undefined {
    return friends.optionsOf(this).signal;
  }

  get args(): readonly unknown[] {
    return friends.optionsOf(this).args ?? [];
  }

  get kwargs(): Readonly<Record<string, unknown>> | undefined {
    return friends.optionsOf(this).kwargs;
  }

  /** The exported function that `Task.from` named. */
  get target(): TargetReference | undefined {
    return typeof this.#body === 'object' ? this.#body : undefined;
  }

  /** True when it was constructed around a function, which cannot travel. */
  get isLocal(): boolean {
    return typeof this.#body === 'function';
  }

  /**
   * The body. Override it, and leave everything else alone.
   *
   * @throws NotPortableError (ERR_BOSUN_NOT_PORTABLE) when there is no body: neither an override nor a function.
   */
  run(ctx: TaskContext): R | Promise<R> {
    const body = this.#body;
    if (typeof body === 'object') return this.#callTarget(body);
    if (body === undefined) {
      throw new NotPortableError(
        `${this.constructor.name} has no body: override run(ctx) or construct it with a function`,
      );
    }
    return body(...this.#arguments(), ctx);
  }

  /**
   * Runs the body in this thread, now, whatever blocks the task.
   *
   * @returns `result`. Rejects with an FSMError (ERR_BOSUN_FSM) as well when the task is neither PENDING nor QUEUED, or a
   * manager has it.
   */
  execute(): Promise<R> {
    return this.#execute((ctx) => this.run(ctx));
  }

  /**
   * Runs it in this thread, now, and resolves when it has ended, however. It never throws.
   *
   * @returns rejects with a BlockedError (ERR_BOSUN_BLOCKED), and with an FSMError (ERR_BOSUN_FSM) as `execute`.
   */
  async dispatch(): Promise<void> {
    assertUnblocked(this);
    this.#launch((ctx) => this.run(ctx), hereAlone());
    await this.join();
  }

  /**
   * Runs it in this thread, now: its own body, or in place of that `fn(...args)`, inside of which `currentContext()` is the
   * context.
   *
   * @returns `result`. Rejects as `dispatch` does as well.
   */
  call<A extends unknown[]>(fn?: (...args: A) => R | Promise<R>, ...args: A): Promise<R> {
    const refusal = this.#refusal(fn);
    if (refusal !== undefined) return refusal;
    return this.#execute((ctx) => (fn === undefined ? this.run(ctx) : fn(...args)));
  }

  /** As `call`, but it begins when the code that is running now has let go of the thread. */
  bg<A extends unknown[]>(fn?: (...args: A) => R | Promise<R>, ...args: A): Promise<R> {
    const refusal = this.#refusal(fn);
    if (refusal !== undefined) return refusal;
    const result = new Promise((resolve) => setImmediate(resolve)).then(() => this.call(fn, ...args));
    // As `result` is: nobody need look at it.
    result.catch(() => {});
    return result;
  }

  /**
   * Makes it, with all that it requires: as the function `make`. Resolves to `isCompleted()`.
   *
   * @throws as `make`; all rejects.
   */
  async make(options?: MakeOptions): Promise<boolean> {
    for await (const _ of above.make(this as Task, options));
    return this.isCompleted();
  }

  /** The task, or a new one around the function, requires this one. Returns it. @throws as `require` of the other. */
  andThen<T extends Task>(task: T): T;
  andThen<Q>(name: string, fn: TaskFunction<Q>, options?: TaskOptions): Task<Q>;
  andThen<Q>(fn: TaskFunction<Q>, options?: TaskOptions): Task<Q>;
  andThen(...given: unknown[]): unknown {
    const [first] = given;
    if (first instanceof Task && given.length > 1) {
      throw new InvalidArgumentError('andThen takes a task alone: its options are its own');
    }
    const task = first instanceof Task ? first : new Task(...(given as [TaskFunction<unknown>]));
    task.require(this);
    return task;
  }

  /**
   * The same work once more: another task with the same body, options and own fields, which requires what this one does. It
   * is PENDING, or in PREPARE if this one began there. A subclass's constructor is not called.
   */
  clone(): Task<R> {
    const copy = makeTask(this.constructor, { ...friends.optionsOf(this), name: this.#name }, this) as Task<R>;
    copy.#body = this.#body;
    for (const task of friends.requiredOf(this)) copy.require(task);
    return copy;
  }

  /** What it does, how it stands and how it ended, for `fromJSON`; its args, fields and result as far as JSON goes. */
  toJSON(): TaskJson {
    return toJson(this as Task);
  }

  /** The text of its node in pictures: its name and its state; for subclasses to override. */
  dotNodeLabel(): string {
    return `${this.name}\n${this.state}`;
  }

  /**
   * The task in the DOT language, with the edges to those that require it; with `followBlocking` those too. What its states
   * lead to is another picture: `FSM.prototype.asDot.call(task)`.
   *
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT)
   */
  override asDot(options?: TasksDotOptions): string {
    return above.asDot(this as Task, options);
  }

  /** The same as SVG. @throws as `tasksAsSvg`. */
  asSvg(options?: TasksSvgOptions): Promise<string> {
    return above.asSvg(this as Task, options);
  }

  override toString(): string {
    return `${this.constructor.name}('${this.name}', ${this.state})`;
  }

  [inspect.custom](_depth: number, options: InspectOptions): string {
    const fields = Object.keys(this).length === 0 ? '' : ` ${inspect({ ...this }, options)}`;
    return `${this}${fields}`;
  }

  /** Rejects with why it cannot be called; undefined when it can. */
  #refusal(fn: unknown): Promise<never> | undefined {
    try {
      checkFunction(fn);
      assertUnblocked(this);
      return undefined;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #execute(body: (ctx: TaskContext) => unknown): Promise<R> {
    try {
      this.#launch(body, hereAlone());
    } catch (error) {
      return Promise.reject(error);
    }
    return this.result;
  }

  /** @throws FSMError when it can be dispatched no more, or somebody else runs it. */
  #launch(body: (ctx: TaskContext) => unknown, environment: Here): void {
    const { signal } = friends.optionsOf(this);
    if (signal?.aborted === true && this.isAllowed('dispatch')) this.cancel(signal.reason);
    else new HereRun(this as Task, body, environment).start();
  }

  async #callTarget({ module, exportName }: TargetReference): Promise<R> {
    return functionOf(await importModule(module), module, exportName)(...this.#arguments()) as R;
  }

  #arguments(): unknown[] {
    const { kwargs } = this;
    return kwargs === undefined ? [...this.args] : [...this.args, kwargs];
  }

  static {
    fromJson = (Class, json) => {
      const { name, module, exportName, fields, options } = checkTaskJson(json);
      if (fields !== undefined && (Class.exportName ?? Class.name) !== exportName) {
        throw new InvalidArgumentError(`task '${name}' is a ${exportName}: call ${exportName}.fromJSON`);
      }
      const isFunction = fields === undefined && module !== undefined && exportName !== undefined;
      const task = makeTask(Class, { ...options, name }, fields ?? {});
      if (isFunction) task.#body = { module: moduleUrl(module), exportName: exportOf(exportName) };
      restoreFrom(task, json);
      return task;
    };
    launch = (task, environment) => task.#launch((ctx) => task.run(ctx), environment);
  }
}

function checkFunction(fn: unknown): void {
  if (fn !== undefined && typeof fn !== 'function')
    throw new InvalidArgumentError('it takes a function and its arguments');
}

/** An instance of a subclass with these fields, whatever its constructor would want: only Task's own is called. */
export function makeTask(constructor: object, options: object, fields: object): Task {
  const task = Reflect.construct(Task, [options], constructor as new () => Task) as Task;
  for (const [key, value] of Object.entries(fields)) {
    Object.defineProperty(task, key, { value, writable: true, enumerable: true, configurable: true });
  }
  return task;
}
