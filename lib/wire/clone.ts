// The tagged tier: V8's own structured clone, with Buffers and errors written by us. It is for the processes of one manager only;
// V8 does not defend its reader against bytes from another trust domain.

import { types } from 'node:util';
import { Deserializer, Serializer } from 'node:v8';
import { type ErrorProperty, emptyError, fillError } from './error-shape.js';
import { ErrorStandIn, ErrorSwap, holdsError, isModule } from './error-swap.js';

/** The first byte of what encodeClone returns: V8's version tag, which starts every header that it writes. */
export const CLONE_TAG = 0xff;

/** V8 found something that cannot be cloned; its message names the thing, not the place. */
export class Refusal extends Error {}

/**
 * The bytes of `value`. The first is CLONE_TAG.
 *
 * @throws Refusal for what cannot be cloned, RangeError for more than 1000 levels, and whatever a getter throws.
 */
export function encodeClone(value: unknown): Uint8Array {
  const writer = new CloneWriter();
  writer.writeHeader();
  if (!holdsError(value)) {
    writer.writeUint32(0);
    write(writer, value);
    return writer.releaseBuffer();
  }
  const swap = new ErrorSwap(isClonable);
  const swapped = swap.swap(value);
  const errors = swap.drain();
  writer.writeUint32(errors.length);
  write(writer, swapped);
  write(writer, errors);
  return writer.releaseBuffer();
}

/** The value that encodeClone was given. Nothing of it lies in `bytes`, unless `isOwned` allows that Buffers do. */
export function decodeClone(bytes: Buffer, isOwned = false): unknown {
  const reader = new CloneReader(bytes);
  reader.isOwned = isOwned;
  reader.readHeader();
  const hasErrors = reader.readUint32() > 0;
  const value: unknown = reader.readValue();
  if (hasErrors) {
    // Filled last, when every error that another one refers to is there.
    const errors = reader.readValue() as ErrorProperty[][];
    for (const [index, properties] of errors.entries()) {
      // Absent if it was met only inside a property that could not be cloned.
      const error = reader.errors.get(index);
      if (error !== undefined) fillError(error, properties);
    }
  }
  return value;
}

/** Whether V8 would clone `value`, which must not hold errors. */
export function isClonable(value: unknown): boolean {
  try {
    write(new CloneWriter(), value);
    return true;
  } catch {
    return false;
  }
}

function write(writer: Serializer, value: unknown): void {
  if (isModule(value)) throw new Refusal('#<Module> could not be cloned.');
  writer.writeValue(value);
}

const BUFFER = 0;
const ERROR = 1;
const FIRST_VIEW = 2;
// By name: Node.js 20 has no Float16Array.
const VIEWS = [
  'DataView',
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
  'Float16Array',
];
type View = new (buffer: ArrayBuffer, offset: number, length: number) => ArrayBufferView;

// The hooks with underscores are Node's documented interface to V8; its types leave them out.
type WithViewHook = { _setTreatArrayBufferViewsAsHostObjects(flag: boolean): void };

class CloneWriter extends Serializer {
  constructor() {
    super();
    (this as unknown as WithViewHook)._setTreatArrayBufferViewsAsHostObjects(true);
  }

  _getDataCloneError(message: string): Refusal {
    return new Refusal(message);
  }

  _writeHostObject(object: object): void {
    if (!ArrayBuffer.isView(object)) throw new Refusal('a host object could not be cloned.');
    if (object instanceof ErrorStandIn) {
      this.writeUint32(ERROR);
      this.writeUint32(object.index);
      writeText(this, object.errorClass.base);
      writeText(this, object.errorClass.className);
    } else if (object instanceof Buffer && !types.isSharedArrayBuffer(object.buffer) && !isDetached(object.buffer)) {
      // Its bytes alone. The pool that they lie in holds what other parts of the program put there.
      this.writeUint32(BUFFER);
      this.writeDouble(object.byteLength);
      this.writeRawBytes(object);
    } else {
      this.writeUint32(FIRST_VIEW + viewKind(object));
      // The ArrayBuffer goes first and once, whatever number of views lie on it; V8 refuses a shared or a detached one.
      this.writeValue(object.buffer);
      this.writeDouble(object.byteOffset);
      this.writeDouble(object instanceof DataView ? object.byteLength : (object as Uint8Array).length);
    }
  }
}

class CloneReader extends Deserializer {
  readonly errors = new Map<number, Error>();
  isOwned = false;

  _readHostObject(): object {
    const kind = this.readUint32();
    if (kind === BUFFER) {
      const bytes = this.readRawBytes(this.readDouble());
      return this.isOwned ? bytes : Buffer.from(bytes);
    }
    if (kind === ERROR) {
      const index = this.readUint32();
      const error = emptyError({ base: readText(this), className: readText(this) });
      this.errors.set(index, error);
      return error;
    }
    const name = VIEWS[kind - FIRST_VIEW];
    if (name === undefined) throw new RangeError(`a host object of the unknown kind ${kind}`);
    const View = (globalThis as unknown as Record<string, View>)[name] as View;
    const buffer = this.readValue() as ArrayBuffer;
    const offset = this.readDouble();
    return new View(buffer, offset, this.readDouble());
  }
}

function writeText(writer: Serializer, text: string): void {
  const bytes = Buffer.from(text);
  writer.writeDouble(bytes.length);
  writer.writeRawBytes(bytes);
}

function readText(reader: Deserializer): string {
  return reader.readRawBytes(reader.readDouble()).toString();
}

/** The index in VIEWS. By tag, not by class: a subclass clones as what it extends. */
function viewKind(view: ArrayBufferView): number {
  const tag = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag);
  const name = (tag?.get?.call(view) as string | undefined) ?? 'DataView';
  const kind = VIEWS.indexOf(name);
  if (kind < 0) throw new Refusal(`#<${name}> could not be cloned.`);
  return kind;
}

function isDetached(buffer: ArrayBufferLike): boolean {
  // Building a view is the test that Node.js 20 has for it.
  try {
    new Uint8Array(buffer);
    return false;
  } catch {
    return true;
  }
}
