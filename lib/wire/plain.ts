// The proof that msgpackr carries a value faithfully. It costs less than half of the packing that follows, and what fails it takes
// the tagged tier, so a doubtful case is simply "no".

import { types } from 'node:util';

const { isProxy, isSharedArrayBuffer } = types;
const tagOf = Object.prototype.toString;

const MAX_DEPTH = 200;

/** Up to this many objects a linear search beats a Set. */
const FEW = 16;

const VIEWS = new Map<object, unknown>(
  [
    Buffer,
    Int8Array,
    Uint8Array,
    Uint8ClampedArray,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    Float32Array,
    Float64Array,
    BigInt64Array,
    BigUint64Array,
  ].map((view) => [view.prototype, view]),
);

// One scan runs at a time, so its state is the module's and costs no allocation. A getter that starts another scan while this one
// runs is told "not plain".
const few: (object | undefined)[] = new Array(FEW).fill(undefined);
let count = 0;
let many: Set<object> | undefined;
let bulk = 0;
let scanning = false;

/**
 * Whether msgpackr round-trips `value` as structuredClone would: plain objects, dense arrays without further properties,
 * well-formed strings, no -0, no object twice, at most 200 levels. Own getters are called.
 */
export function isPlain(value: unknown): boolean {
  bulk = 0;
  if (typeof value !== 'object' || value === null) return isPlainValue(value, 0);
  if (scanning) return false;
  scanning = true;
  try {
    return isPlainObject(value, 0);
  } catch {
    // A getter threw, or the stack is nearly used up. The tagged tier meets it again and reports it.
    return false;
  } finally {
    while (count > 0) few[--count] = undefined;
    many = undefined;
    scanning = false;
  }
}

/** The bytes of the Buffers and typed arrays in the value that isPlain accepted last. */
export function bulkBytes(): number {
  return bulk;
}

function isPlainValue(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string':
      return isPlainString(value);
    case 'number':
      return value !== 0 || 1 / value > 0;
    case 'boolean':
    case 'bigint':
    case 'undefined':
      return true;
    case 'object':
      return value === null || isPlainObject(value, depth);
    default:
      return false;
  }
}

function isPlainString(value: string): boolean {
  // msgpackr decodes with a TextDecoder, which drops a leading byte order mark.
  return value.isWellFormed() && value.charCodeAt(0) !== 0xfeff;
}

function isPlainObject(object: object, depth: number): boolean {
  if (depth >= MAX_DEPTH || isProxy(object) || isRepeated(object)) return false;
  const prototype = Object.getPrototypeOf(object) as object | null;
  if (prototype === Object.prototype || prototype === null) return isPlainRecord(object, depth + 1);
  if (prototype === Array.prototype) return Array.isArray(object) && isPlainArray(object, depth + 1);
  return ArrayBuffer.isView(object) && isPlainView(object, prototype);
}

function isPlainRecord(record: object, depth: number): boolean {
  // `arguments`, a module's namespace, a Date that was given Object.prototype: structuredClone sees what they are, and so does this.
  if (tagOf.call(record) !== '[object Object]') return false;
  for (const key in record) {
    // msgpackr renames `__proto__`, and trusts `constructor`.
    if (key === '__proto__' || key === 'constructor' || !isPlainString(key)) return false;
    if (!isPlainValue((record as Record<string, unknown>)[key], depth)) return false;
  }
  return true;
}

function isPlainArray(array: readonly unknown[], depth: number): boolean {
  const { length } = array;
  for (let i = 0; i < length; i++) {
    const item = array[i];
    // Long arrays are mostly of numbers; this saves them a third of the scan.
    if (typeof item === 'number' && item !== 0) continue;
    if (item === undefined ? !Object.hasOwn(array, i) : !isPlainValue(item, depth)) return false;
  }
  // Each index is there, so more values than that are named properties, as in the result of String.prototype.match.
  // Object.values is the cheapest question that tells.
  return Object.values(array).length === length;
}

function isPlainView(view: ArrayBufferView, prototype: object): boolean {
  const { buffer, byteLength } = view;
  if (isSharedArrayBuffer(buffer)) return false;
  if (VIEWS.get(prototype) !== view.constructor) return false;
  // A Buffer is its bytes, whatever pool they lie in. Any other view brings its whole ArrayBuffer along.
  if (prototype !== Buffer.prototype) {
    if (view.byteOffset !== 0 || byteLength !== buffer.byteLength) return false;
    if ((buffer as { resizable?: boolean }).resizable === true || isRepeated(buffer)) return false;
  }
  bulk += byteLength;
  return true;
}

function isRepeated(object: object): boolean {
  if (many !== undefined) {
    if (many.has(object)) return true;
    many.add(object);
    return false;
  }
  for (let i = 0; i < count; i++) if (few[i] === object) return true;
  if (count < FEW) {
    few[count++] = object;
  } else {
    many = new Set(few as object[]);
    many.add(object);
  }
  return false;
}
