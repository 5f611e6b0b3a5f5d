// Any value that a message or a result can be, as JSON.
//
// JSON knows fewer values than a structured clone does. What it has no place for becomes the nearest that it has:
//
//   bigint                      a string of digits
//   undefined                   null; absent as a property
//   NaN, Infinity               null
//   Date                        an ISO string, null when invalid
//   Map                         an object when every key is a string, otherwise an array of [key, value]
//   Set                         an array
//   Buffer, ArrayBuffer, Uint8Array, DataView     a base64 string
//   other typed arrays          an array
//   RegExp                      a string
//   Error                       { name, message, stack, ...its own properties, cause }
//   a cycle                     "[Circular]"

import { WorkerException } from '../errors.js';

/** A failed task's error: the original one, with the task's name and the worker's pid. */
export function failureJson(error: unknown): unknown {
  const value = jsonValue(error, []);
  if (!(error instanceof WorkerException)) return error instanceof Error ? value : { name: null, message: value };
  const { cause, taskName, taskId, pid } = error;
  // Its own stack is that of this process, which says nothing.
  if (cause === undefined) return { ...(value as object), stack: undefined };
  return { ...(failureJson(cause) as object), taskName, taskId, pid };
}

/** One line, without a line end. */
export function jsonText(value: unknown): string {
  return JSON.stringify(typeof value === 'object' ? jsonValue(value, []) : scalar(value));
}

function scalar(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  return value === undefined ? null : value;
}

/** `path` holds the objects around it: an object inside itself is a cycle, one that is met twice is not. */
function jsonValue(value: unknown, path: object[]): unknown {
  if (typeof value !== 'object' || value === null) return scalar(value);
  const atom = atomValue(value);
  if (atom !== undefined) return atom;
  if (path.includes(value)) return '[Circular]';
  path.push(value);
  const result = containerValue(value, path);
  path.pop();
  return result;
}

/** Objects that hold no others; undefined for those that do. */
function atomValue(value: object): unknown {
  if (value instanceof Date) return value;
  if (value instanceof RegExp) return String(value);
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return Buffer.from(value).toString('base64');
  if (value instanceof Uint8Array || value instanceof DataView) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
  }
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<number | bigint>, scalar);
  if (value instanceof Number || value instanceof String || value instanceof Boolean) return value.valueOf();
  return value instanceof BigInt ? value.toString() : undefined;
}

function containerValue(value: object, path: object[]): unknown {
  const inner = (item: unknown) => jsonValue(item, path);
  if (Array.isArray(value)) return Array.from(value, inner);
  if (value instanceof Set) return Array.from(value, inner);
  if (value instanceof Map) {
    const isRecord = [...value.keys()].every((key) => typeof key === 'string');
    return isRecord
      ? record(value as Map<string, unknown>, inner)
      : Array.from(value, ([key, item]) => [inner(key), inner(item)]);
  }
  if (value instanceof Error) {
    const { name, message, stack } = value;
    const cause = 'cause' in value ? [['cause', value.cause] as const] : [];
    return record([['name', name], ['message', message], ['stack', stack], ...Object.entries(value), ...cause], inner);
  }
  return record(Object.entries(value), inner);
}

function record(entries: Iterable<readonly [string, unknown]>, inner: (item: unknown) => unknown): object {
  // Without a prototype, so that a key `__proto__` is a key.
  const result = Object.create(null) as Record<string, unknown>;
  for (const [key, item] of entries) if (item !== undefined) result[key] = inner(item);
  return result;
}
