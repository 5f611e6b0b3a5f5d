// Puts stand-ins in the place of errors before V8 serializes a value: V8's own form of an error loses its class, code and further
// properties, and one property that cannot be cloned would fail the whole.

import { types } from 'node:util';
import { describe, type ErrorClass, type ErrorProperty, errorClass, errorProperties, isError } from './error-shape.js';

const MAX_CAUSES = 100;

/** V8 reads with more stack than it writes with, and less may be left over there. On an empty one it reads about twice this. */
const MAX_DEPTH = 1000;

// Subclasses may iterate in another way; structuredClone does not ask them.
const mapForEach = Map.prototype.forEach;
const setForEach = Set.prototype.forEach;

/** Stands for one error in what V8 is given. It is a view because V8 hands views to the serializer's host object hook. */
export class ErrorStandIn extends Uint8Array {
  readonly index: number;
  readonly errorClass: ErrorClass;

  constructor(index: number, errorClass: ErrorClass) {
    super(0);
    this.index = index;
    this.errorClass = errorClass;
  }
}

/** V8 would write nothing at all for a WebAssembly.Module, and the reader would go astray. */
export function isModule(value: unknown): boolean {
  return Object.prototype.toString.call(value) === '[object WebAssembly.Module]';
}

/**
 * Whether an error is anywhere in `value`.
 *
 * @throws RangeError beyond 1000 levels; so does ErrorSwap.
 */
export function holdsError(value: unknown, seen = new Set<object>(), depth = 0): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (isError(value)) return true;
  if (isLeaf(value) || seen.has(value)) return false;
  seen.add(value);
  if (depth >= MAX_DEPTH) throw tooDeep();
  return children(value).some((child) => holdsError(child, seen, depth + 1));
}

/** Copies values with stand-ins for their errors, and collects what is to be sent of each. */
export class ErrorSwap {
  readonly #copies = new Map<object, unknown>();
  readonly #errors: { readonly error: Error; readonly errorClass: ErrorClass; readonly causes: number }[] = [];
  readonly #isClonable: (value: unknown) => boolean;
  #unfinished: object[] = [];
  #causes = 0;
  #depth = 0;

  /** @param isClonable asked for each object that is a property of an error, after the errors within it were swapped. */
  constructor(isClonable: (value: unknown) => boolean) {
    this.#isClonable = isClonable;
  }

  /** `value` with stand-ins for its errors; the containers on the way are copied, all else is the same object. */
  swap(value: unknown): unknown {
    if (typeof value !== 'object' || value === null) return value;
    const known = this.#copies.get(value);
    if (known !== undefined) return known;
    if (isError(value)) return this.#swapError(value);
    if (isLeaf(value)) return value;
    if (this.#depth >= MAX_DEPTH) throw tooDeep();
    this.#depth++;
    try {
      return this.#swapContents(value);
    } finally {
      this.#depth--;
    }
  }

  /**
   * The properties of each error, by the index of its stand-in. Errors that are met on the way join the list, so a chain of causes
   * is a loop here, not a recursion.
   */
  drain(): ErrorProperty[][] {
    const drained: ErrorProperty[][] = [];
    for (const { error, errorClass, causes } of this.#errors) {
      this.#causes = causes + 1;
      const properties = errorProperties(error, errorClass);
      for (const property of properties) property[1] = this.#swapOrDescribe(property[1]);
      drained.push(properties);
    }
    return drained;
  }

  #swapContents(value: object): object {
    if (types.isMap(value)) {
      const copy = this.#keep(value, new Map());
      mapForEach.call(value, (item, key) => copy.set(this.swap(key), this.swap(item)));
      return copy;
    }
    if (types.isSet(value)) {
      const copy = this.#keep(value, new Set());
      setForEach.call(value, (item) => copy.add(this.swap(item)));
      return copy;
    }
    return this.#swapProperties(value);
  }

  #swapError(error: Error): ErrorStandIn | string {
    if (this.#causes >= MAX_CAUSES) return `[cut after ${MAX_CAUSES} causes: ${describe(error)}]`;
    const standIn = new ErrorStandIn(this.#errors.length, errorClass(error));
    this.#errors.push({ error, errorClass: standIn.errorClass, causes: this.#causes });
    this.#copies.set(error, standIn);
    return standIn;
  }

  #swapProperties(value: object): object {
    const values = Object.entries(value);
    const isArray = Array.isArray(value);
    if (!isArray && isInstance(value) && values.every(([, item]) => typeof item !== 'object' || item === null)) {
      // V8 is the judge of instances: some of them are host objects, which cannot be cloned.
      return value;
    }
    const copy = this.#keep(value, isArray ? new Array(value.length) : {});
    for (const [key, item] of values) {
      // Defined, never assigned: the key may be `__proto__`.
      const swapped = this.swap(item);
      Object.defineProperty(copy, key, { value: swapped, enumerable: true, writable: true, configurable: true });
    }
    return copy;
  }

  #swapOrDescribe(value: unknown): unknown {
    if (value === null || !/^(object|function|symbol)$/.test(typeof value)) return value;
    this.#unfinished = [];
    try {
      const swapped = this.swap(value);
      if (this.#isClonable(swapped)) return swapped;
    } catch {
      // A getter threw, or it is nested too deeply. Another property must not find these copies: they lack what came after.
      for (const object of this.#unfinished) this.#copies.delete(object);
    }
    return describe(value);
  }

  #keep<Copy>(value: object, copy: Copy): Copy {
    this.#copies.set(value, copy);
    this.#unfinished.push(value);
    return copy;
  }
}

function children(value: object): unknown[] {
  const found: unknown[] = [];
  if (types.isMap(value)) mapForEach.call(value, (item, key) => found.push(key, item));
  else if (types.isSet(value)) setForEach.call(value, (item) => found.push(item));
  else return Object.values(value);
  return found;
}

function tooDeep(): RangeError {
  return new RangeError(`nested more than ${MAX_DEPTH} levels deep`);
}

function isInstance(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype !== null && prototype !== Object.prototype;
}

/** Objects in which structuredClone looks at no own properties, or which it refuses. */
function isLeaf(value: object): boolean {
  if (isModule(value)) throw new TypeError('a WebAssembly.Module could not be cloned');
  return (
    types.isProxy(value) ||
    ArrayBuffer.isView(value) ||
    types.isAnyArrayBuffer(value) ||
    types.isDate(value) ||
    types.isRegExp(value) ||
    types.isBoxedPrimitive(value) ||
    types.isPromise(value) ||
    types.isArgumentsObject(value) ||
    types.isModuleNamespaceObject(value) ||
    types.isWeakMap(value) ||
    types.isWeakSet(value) ||
    types.isGeneratorObject(value)
  );
}
