// A task as it travels: plain data that names code, and the way back to something that runs.

import { NotPortableError } from '../errors.js';
import { Chain, runInOrder } from './chain.js';
import type { TaskContext } from './context.js';
import { takeArguments } from './handover.js';
import { type Prerequisite, prerequisitesOf } from './prerequisites.js';
import { RunContext } from './run-context.js';
import { streamOut } from './stream-out.js';
import { exportOf, functionOf, importModule, moduleUrl } from './target.js';
import { makeTask, Task } from './task.js';
import type { TaskOptions } from './task-options.js';

/** An exported function and its arguments; `kwargs` are the last of them. Here and below, `''` for its export's name. */
export type FunctionSpec = readonly [
  kind: 'f',
  name: string,
  module: string,
  exportName: string,
  args: readonly unknown[],
];
type ClassSpec = readonly [
  kind: 'c',
  name: string,
  module: string,
  exportName: string,
  fields: object,
  /** What its constructor passed to Task's, if anything. */
  options?: Pick<TaskOptions, 'args' | 'kwargs'>,
];
/** A function whose arguments are handed over from thread to thread. */
type HandedSpec = readonly [kind: 'h', name: string, module: string, exportName: string, handover: number];
/** A function that returns a generator, whose values are told as progress. */
type StreamSpec = readonly [kind: 'g', name: string, module: string, exportName: string, args: readonly unknown[]];
/** A task with what it is to know besides; `name` is that of the task, always. */
type EquippedSpec = readonly [
  kind: 'w',
  name: '',
  task: TaskSpec,
  /** Its worker says when it begins. */
  tellsStart: boolean,
  prerequisites: readonly Prerequisite[],
];
type ChainSpec = readonly [kind: 's', name: string, tasks: readonly TaskSpec[]];

/** What a payload of a task decodes to. */
export type TaskSpec = FunctionSpec | ClassSpec | HandedSpec | StreamSpec | ChainSpec | EquippedSpec;

/** The name of a task, for people. */
export function specName(spec: TaskSpec): string {
  if (spec[0] === 'w') return specName(spec[2]);
  return spec[0] !== 's' && spec[1] === '' ? spec[3] : spec[1];
}

/** What a program that is not bosun has sent as a task. @throws NotPortableError when it is none. */
export function checkSpec(value: unknown): TaskSpec {
  if (isSpec(value)) return value;
  throw new NotPortableError('what a peer has scheduled is no task that a worker could run: see docs/protocol.md');
}

function isSpec(value: unknown): value is TaskSpec {
  if (!Array.isArray(value) || typeof value[1] !== 'string') return false;
  const [kind, , module, exportName, details] = value as unknown[];
  if (kind === 's') return Array.isArray(module) && module.every(isSpec);
  if (kind === 'w') return isSpec(module) && Array.isArray(details) && details.every(Array.isArray);
  if (typeof module !== 'string' || typeof exportName !== 'string') return false;
  if (kind === 'f' || kind === 'g') return Array.isArray(details);
  return kind === 'c' && typeof details === 'object' && details !== null;
}

/** A revived task, ready to run. */
export interface TaskBody {
  run(ctx: TaskContext): unknown;
  /** The exported function or class: tasks of one are alike. Undefined for a chain. */
  readonly exported: object | undefined;
}

/** @throws NotPortableError (ERR_BOSUN_NOT_PORTABLE) when a worker could not rebuild the task. */
export function toSpec(task: Task): TaskSpec {
  const { name, target } = task;
  if (task instanceof Chain) {
    if (task.run === Chain.prototype.run) return ['s', name, task.tasks.map(toSpec)];
    throw new NotPortableError(
      `${task.constructor.name} overrides run of Chain: extend Task and keep the chain in a field`,
    );
  }
  if (target !== undefined) {
    const { kwargs } = task;
    const { module, exportName } = target;
    const args = kwargs === undefined ? task.args : [...task.args, kwargs];
    return ['f', ownName(name, exportName), module, exportName, args];
  }
  const { module, exportName, name: className } = task.constructor as typeof Task;
  if (task.isLocal || module === undefined) {
    throw new NotPortableError(
      `task '${name}' cannot be sent to a worker: ` +
        (task.isLocal
          ? 'a function has no address there. Export it from a module and use Task.from(module, exportName, args)'
          : `its class does not say where it is. Add: static module = import.meta.url, and export ${className}`),
    );
  }
  const exported = exportOf(exportName ?? className);
  const spec: ClassSpec = ['c', ownName(name, exported), moduleUrl(module), exported, { ...task }];
  const { args, kwargs } = task;
  if (args.length === 0 && kwargs === undefined) return spec;
  return [...spec, { args, ...(kwargs !== undefined && { kwargs }) }] as unknown as ClassSpec;
}

/**
 * What a manager is given: with the results of the tasks that it requires, if it requires any.
 *
 * @param tellsStart whether somebody would like to know when it begins.
 * @throws NotPortableError (ERR_BOSUN_NOT_PORTABLE) when a worker could not rebuild the task.
 */
export function equip(task: Task, tellsStart: boolean): TaskSpec {
  const spec = toSpec(task);
  const prerequisites = prerequisitesOf(task);
  if (!tellsStart && prerequisites === undefined) return spec;
  return ['w', '', spec, tellsStart, prerequisites ?? []];
}

/** Whether a worker could rebuild it, as far as can be seen from here. */
export function isPortable(task: Task): boolean {
  if (task instanceof Chain) return task.tasks.every(isPortable);
  return task.target !== undefined || (!task.isLocal && (task.constructor as typeof Task).module !== undefined);
}

/** Tasks of one function or class without names of their own all begin alike, see Prefixes. */
function ownName(name: string, exportName: string): string {
  return name === exportName ? '' : name;
}

/** The same task with other names for its modules. */
export function renameModules(spec: TaskSpec, rename: (module: string) => string): TaskSpec {
  if (spec[0] === 's') return ['s', spec[1], spec[2].map((task) => renameModules(task, rename))];
  if (spec[0] === 'w') return ['w', '', renameModules(spec[2], rename), spec[3], spec[4]];
  const [kind, name, module, ...others] = spec;
  return [kind, name, rename(module), ...others] as unknown as TaskSpec;
}

/** What runs a spec here. A promise only for a module that has yet to be imported. */
export function revive(spec: TaskSpec): TaskBody | Promise<TaskBody> {
  if (spec[0] === 's') return reviveChain(spec);
  if (spec[0] === 'w') return reviveEquipped(spec);
  const namespace = importModule(spec[2]);
  if (namespace instanceof Promise) return namespace.then((loaded) => bind(spec, loaded));
  return bind(spec, namespace);
}

function bind(
  spec: FunctionSpec | ClassSpec | HandedSpec | StreamSpec,
  namespace: Readonly<Record<string, unknown>>,
): TaskBody {
  const exported = functionOf(namespace, spec[2], spec[3]);
  if (spec[0] === 'f') return { run: () => exported(...spec[4]), exported };
  if (spec[0] === 'g') return { run: (ctx) => streamOut(exported(...spec[4]), ctx), exported: undefined };
  // It is not known by its bytes: they have its arguments' number.
  if (spec[0] === 'h') return { run: async () => exported(...(await takeArguments(spec[4]))), exported: undefined };
  if (!(exported.prototype instanceof Task)) {
    throw new NotPortableError(`${spec[3]} of ${spec[2]} is no subclass of this bosun's Task`);
  }
  const task = makeTask(exported, { ...spec[5], name: specName(spec) }, spec[4]);
  return { run: (ctx) => runTask(task, ctx), exported };
}

/** Inside, it is `Task.current()`. */
export function runTask(task: Task, ctx: TaskContext): unknown {
  if (ctx instanceof RunContext) ctx.task = task;
  return task.run(ctx);
}

function reviveEquipped([, , task, , prerequisites]: EquippedSpec): TaskBody | Promise<TaskBody> {
  const equipped = ({ run, exported }: TaskBody): TaskBody => ({
    run(ctx) {
      if (ctx instanceof RunContext) ctx.received = prerequisites;
      return run(ctx);
    },
    exported,
  });
  const body = revive(task);
  return body instanceof Promise ? body.then(equipped) : equipped(body);
}

async function reviveChain(spec: ChainSpec): Promise<TaskBody> {
  const bodies = await Promise.all(spec[2].map(revive));
  return { run: (ctx) => runInOrder(bodies, ctx), exported: undefined };
}
