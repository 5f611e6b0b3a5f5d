// What an Error is made of on the wire, and the way back. The property values are not encoded here; the tagged tier does that.

import { inspect, types } from 'node:util';

/** One own property: its name, its value, whether it is enumerable. */
export type ErrorProperty = [key: string, value: unknown, enumerable: boolean];

/** The class that an error revives as. */
export interface ErrorClass {
  /** The nearest built-in class, by name. */
  readonly base: string;
  /** The name of the class itself. */
  readonly className: string;
}

const MAX_STACK_CHARS = 64 * 1024;
const MAX_DESCRIPTION_CHARS = 1024;
const MAX_NAMED_CLASSES = 256;

const BASES = new Map<string, new (...args: never[]) => Error>(
  [
    Error,
    TypeError,
    RangeError,
    SyntaxError,
    ReferenceError,
    EvalError,
    URIError,
    AggregateError as unknown as ErrorConstructor,
  ].map((base) => [base.name, base]),
);
const DOM_EXCEPTION = 'DOMException';

/** Whether `value` travels as an error: errors of another realm and DOMExceptions do. */
export function isError(value: unknown): value is Error {
  return types.isNativeError(value) || value instanceof Error;
}

/** The class of `error`, found by names, since an error of another realm has the same names and other prototypes. */
export function errorClass(error: Error): ErrorClass {
  let className = '';
  try {
    for (let object = Object.getPrototypeOf(error); object !== null; object = Object.getPrototypeOf(object)) {
      const name: unknown = object.constructor?.name;
      if (typeof name !== 'string') continue;
      if (name === DOM_EXCEPTION) return { base: name, className: String(error.name) };
      if (className === '') className = name;
      if (BASES.has(name)) return { base: name, className };
    }
  } catch {
    // A proxy or a getter threw: it is an error of some class.
  }
  return { base: 'Error', className: className || 'Error' };
}

/**
 * What to send of `error`: message, stack, cause, errors, name and code wherever they lie, and all own enumerable properties.
 * Never throws: a property that cannot be read is described instead.
 */
export function errorProperties(error: Error, { base, className }: ErrorClass): ErrorProperty[] {
  const properties = new Map<string, ErrorProperty>();
  const read = (key: string, enumerable: boolean): void => {
    let value: unknown;
    try {
      value = (error as unknown as Record<string, unknown>)[key];
    } catch (thrown) {
      value = `[threw when it was read: ${describe(thrown)}]`;
    }
    properties.set(key, [key, value, enumerable]);
  };
  for (const key of ownKeys(error)) read(key, isEnumerable(error, key));
  for (const key of ['message', 'name', 'stack', 'code']) if (!properties.has(key)) read(key, false);

  const name = properties.get('name')?.[1];
  // A class that never set its name would come back as a bare Error otherwise.
  if (typeof name !== 'string' || (name === base && className !== base))
    properties.set('name', ['name', className, false]);
  const text = String(properties.get('name')?.[1]);
  const message = properties.get('message')?.[1];
  // What the revived error inherits anyway does not become its own.
  const isInherited = (key: string): boolean => properties.get(key)?.[2] === false;
  if ((text === base || base === DOM_EXCEPTION) && isInherited('name')) properties.delete('name');
  if (base === DOM_EXCEPTION || properties.get('code')?.[1] === undefined) {
    if (isInherited('code')) properties.delete('code');
  }
  if (message === '' && isInherited('message')) properties.delete('message');
  const stack = properties.get('stack')?.[1];
  properties.set('stack', [
    'stack',
    typeof stack === 'string' ? cutStack(stack) : `${text}: ${describe(message)}`,
    false,
  ]);
  return [...properties.values()];
}

/** A new error of that class, to be filled with its properties once they are there. */
export function emptyError({ base, className }: ErrorClass): Error {
  // The remote stack takes the place of the local one, whose capture would cost more than all else here.
  const { stackTraceLimit } = Error;
  Reflect.set(Error, 'stackTraceLimit', 0);
  try {
    if (base === DOM_EXCEPTION) return new DOMException('', className);
    const Base = BASES.get(base) ?? Error;
    return Reflect.construct(Base, base === 'AggregateError' ? [[]] : [], namedClass(Base, className)) as Error;
  } finally {
    Reflect.set(Error, 'stackTraceLimit', stackTraceLimit);
  }
}

/** Gives `error` the properties that were sent. Defined, never assigned: a key may be `__proto__` or have a setter. */
export function fillError(error: Error, properties: readonly ErrorProperty[]): void {
  for (const [key, value, enumerable] of properties) {
    Object.defineProperty(error, key, { value, enumerable, writable: true, configurable: true });
  }
}

/** A short text for a value that cannot be sent. Never throws. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return value;
  try {
    const text = inspect(value, { depth: 0, customInspect: false, maxArrayLength: 10, maxStringLength: 200 });
    return text.length <= MAX_DESCRIPTION_CHARS ? text : `${text.slice(0, MAX_DESCRIPTION_CHARS)}...`;
  } catch {
    return `[${typeof value}]`;
  }
}

// The revived error's `constructor.name` is the remote one's, while `instanceof` sees only what is there in this process.
const namedClasses = new Map<string, new (...args: never[]) => Error>();

function namedClass(Base: new (...args: never[]) => Error, className: string): new (...args: never[]) => Error {
  if (className === Base.name || className === '') return Base;
  const key = `${Base.name} ${className}`;
  let named = namedClasses.get(key);
  if (named === undefined) {
    // The names come from the peer; classes made at run time, one for each task, must not pile up here.
    if (namedClasses.size >= MAX_NAMED_CLASSES) return Base;
    named = { [className]: class extends Base {} }[className] as new (...args: never[]) => Error;
    namedClasses.set(key, named);
  }
  return named;
}

function ownKeys(error: Error): string[] {
  try {
    const keys = Object.keys(error);
    for (const key of ['cause', 'errors']) if (Object.hasOwn(error, key) && !keys.includes(key)) keys.push(key);
    return keys;
  } catch {
    return [];
  }
}

function isEnumerable(error: Error, key: string): boolean {
  return Object.prototype.propertyIsEnumerable.call(error, key);
}

function cutStack(stack: string): string {
  return stack.length <= MAX_STACK_CHARS ? stack : `${stack.slice(0, MAX_STACK_CHARS - 32)}\n    ... (cut at 64 KiB)`;
}
