// The options of a task, checked.

import { InvalidArgumentError } from '../errors.js';
import { checkSignal, oneOf, ownOptions } from '../own-options.js';
import { checkPolicy, type LimitOptions, NO_POLICY } from './policy.js';
import { checkPriority } from './target.js';
import type { TaskEvent, TaskState } from './task-states.js';
import type { Transition } from './transitions.js';

/** Options of a task. */
export interface TaskOptions extends LimitOptions {
  /** For people: in errors, events and logs. The function's or the class's name unless given. */
  readonly name?: string;
  readonly args?: readonly unknown[];
  /** Passed behind `args` as one object. */
  readonly kwargs?: Readonly<Record<string, unknown>>;
  /** 0 is the most urgent. An argument of `schedule` beats it. */
  readonly priority?: number;
  /** Cancels it. It stays in this process: a task with one cannot be scheduled by another task. */
  readonly signal?: AbortSignal;
  /** PENDING unless given. A task in PREPARE is run by nobody until it is told `prepared`. */
  readonly state?: 'PREPARE' | 'PENDING';
  /** Whether its transitions are kept; false unless given. */
  readonly history?: boolean;
  /** True prints each transition, as `name OLD->event->NEW`; or a function that is called with each. */
  readonly track?: boolean | ((transition: Transition<TaskState, TaskEvent>) => unknown);
  /** What it throws cancels it; false unless given: then it fails. */
  readonly cancelOnException?: boolean;
  /** Given the result: true cancels the task, and drops the result. */
  readonly cancelOnResult?: (result: never) => boolean;
  /** Whether it stays blocked by a task that has failed; false unless given. */
  readonly requireSuccess?: boolean;
  /** In one make, those with the same key run once, and the others take the outcome. */
  readonly key?: string;
}

const NO_OPTIONS: TaskOptions = Object.freeze(Object.create(null));

/** Only what is given is looked at: there may be very many tasks. @throws InvalidArgumentError, OutOfRangeError */
export function checkTaskOptions(given: TaskOptions | undefined): TaskOptions {
  if (given === undefined) return NO_OPTIONS;
  const options = ownOptions(given, 'the options of a task');
  for (const name in options) {
    const value = options[name as keyof TaskOptions];
    if (value !== undefined) CHECKS.get(name)?.(value as never, name);
  }
  return options;
}

type Check = (value: never, name: string) => unknown;

const isString: Check = (value: unknown, name) => refuseUnless(typeof value === 'string', name, 'a string');
const isFlag: Check = (value: unknown, name) => refuseUnless(typeof value === 'boolean', name, 'true or false');
const isLimit: Check = (value: unknown, name) => checkPolicy({ [name]: value } as LimitOptions, NO_POLICY);

const CHECKS: ReadonlyMap<string, Check> = new Map<string, Check>([
  ['name', isString],
  ['key', isString],
  ['args', (value: unknown, name) => refuseUnless(Array.isArray(value), name, 'an array')],
  [
    'kwargs',
    (value: unknown, name) => {
      refuseUnless(typeof value === 'object' && value !== null && !Array.isArray(value), name, 'an object');
    },
  ],
  ['priority', (value: number) => checkPriority(value, 128)],
  ['timeout', isLimit],
  ['deadline', isLimit],
  ['retry', isLimit],
  ['signal', (value: unknown) => checkSignal(value)],
  ['state', (value: string) => oneOf("a task's first state", value, ['PREPARE', 'PENDING'])],
  ['history', isFlag],
  [
    'track',
    (value: unknown, name) => {
      refuseUnless(typeof value === 'boolean' || typeof value === 'function', name, 'true, false or a function');
    },
  ],
  ['cancelOnException', isFlag],
  ['cancelOnResult', (value: unknown, name) => refuseUnless(typeof value === 'function', name, 'a function')],
  ['requireSuccess', isFlag],
]);

function refuseUnless(isRight: boolean, name: string, kind: string): void {
  if (!isRight) throw new InvalidArgumentError(`${name} of a task is ${kind}`);
}
