// Finds the place of what could not be cloned. Runs after a failure only, so it may be slow, but not endless.

import { types } from 'node:util';
import { DataCloneError } from '../errors.js';
import { isClonable, Refusal } from './clone.js';
import { isError } from './error-shape.js';

const MAX_VISITS = 100_000;

interface Place {
  readonly value: unknown;
  readonly path: string;
}

/**
 * The DataCloneError that says which part of `value` cannot be sent.
 *
 * @param name what the caller calls the value: `args`, `result`, `message`.
 * @param thrown what the encoder threw.
 */
export function explainRefusal(value: unknown, name: string, thrown: unknown): DataCloneError {
  const found = search(value, name);
  if (found !== undefined) return found;
  if (thrown instanceof RangeError) {
    return new DataCloneError(`${name} is nested too deeply to be sent to another process`, { cause: thrown });
  }
  if (thrown instanceof Refusal) {
    return new DataCloneError(`${name} cannot be sent to another process: ${thrown.message}`);
  }
  return new DataCloneError(`${name} cannot be sent to another process: something threw when it was read`, {
    cause: thrown,
  });
}

// Breadth first, so the path is the shortest one, and without recursion.
function search(value: unknown, name: string): DataCloneError | undefined {
  const places: Place[] = [{ value, path: name }];
  const seen = new Set<unknown>();
  for (const place of places) {
    if (typeof place.value === 'object' && place.value !== null) {
      if (seen.has(place.value)) continue;
      seen.add(place.value);
    }
    try {
      const what = offence(place.value);
      if (what !== undefined)
        return new DataCloneError(`${place.path} is ${what}, which cannot be sent to another process`);
      if (places.length < MAX_VISITS) enter(place, places);
    } catch (error) {
      if (error instanceof DataCloneError) return error;
    }
  }
  return undefined;
}

/** What `value` is, if it is not clonable by itself, its parts left aside. */
function offence(value: unknown): string | undefined {
  if (typeof value === 'function') return `a function`;
  if (typeof value === 'symbol') return 'a symbol';
  if (typeof value !== 'object' || value === null || isOpen(value) || isError(value)) return undefined;
  if (types.isProxy(value)) return 'a proxy';
  // Whether an instance is a host object shows only when it is cloned; with objects inside, one of those may be to blame.
  if (Object.values(value).some((item) => typeof item === 'object' || typeof item === 'function')) return undefined;
  if (isClonable(value)) return undefined;
  const className: unknown = value.constructor?.name;
  return typeof className === 'string' && className !== '' && className !== 'Object'
    ? `${/^[aeiou]/i.test(className) ? 'an' : 'a'} ${className}`
    : 'a host object';
}

/** Containers that are clonable if what they contain is. */
function isOpen(value: object): boolean {
  if (types.isProxy(value)) return false;
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype === Object.prototype) return !types.isArgumentsObject(value);
  return Array.isArray(value) || types.isMap(value) || types.isSet(value);
}

function enter({ value, path }: Place, places: Place[]): void {
  // An error's parts are described where they cannot be cloned, so they are never to blame.
  if (typeof value !== 'object' || value === null || isError(value) || ArrayBuffer.isView(value)) return;
  if (types.isMap(value)) {
    let entry = 0;
    for (const [key, item] of Map.prototype.entries.call(value)) {
      const shown = typeof key === 'string' || typeof key === 'number' ? JSON.stringify(key) : `key ${entry}`;
      places.push({ value: key, path: `${path}.keys()[${entry++}]` }, { value: item, path: `${path}.get(${shown})` });
    }
  } else if (types.isSet(value)) {
    let entry = 0;
    for (const item of Set.prototype.values.call(value))
      places.push({ value: item, path: `${path}.values()[${entry++}]` });
  } else {
    for (const key of Object.keys(value)) {
      const inner = path + step(key, Array.isArray(value));
      try {
        places.push({ value: (value as Record<string, unknown>)[key], path: inner });
      } catch (cause) {
        throw new DataCloneError(`${inner} threw when it was read, so it cannot be sent to another process`, { cause });
      }
    }
  }
}

function step(key: string, isArray: boolean): string {
  if (isArray && /^\d+$/.test(key)) return `[${key}]`;
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}
