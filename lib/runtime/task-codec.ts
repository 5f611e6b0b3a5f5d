// How what a worker of a manager says, and what it is told to run, travels: within a host, or between two.

import { DataCloneError, ProtocolError } from '../errors.js';
import { encodeSpec } from '../task/encode.js';
import type { ModuleMap } from '../task/module-map.js';
import { checkSpec, renameModules, type TaskSpec } from '../task/spec.js';
import { decodeFailure, encodeFailure, failureName } from '../wire/failure.js';
import { decodeForeign, encodeForeign } from '../wire/foreign.js';
import { type ByteRange, decodePayload, encodePayload, encodeRange, rangeOf } from '../wire/payload.js';

/** Longer values are not copied out of what arrived with them. */
const LONG_BYTES = 64 * 1024;

/** What is encoded is valid until the next call. The encoders throw a DataCloneError, but for the one of failures. */
export interface TaskCodec {
  message(value: unknown, name?: string): Uint8Array;
  result(value: unknown): ByteRange;
  failure(name: string, error: unknown): Uint8Array;
  /** Of a task that a task schedules. */
  spec(spec: TaskSpec): Uint8Array;
  /** What the manager passes on to a task. @param isForeign it comes from another host. */
  received(bytes: Uint8Array, start: number, end: number, isForeign: boolean): unknown;
  /** How a task failed that a task has scheduled. */
  receivedFailure(bytes: Uint8Array, isForeign: boolean): { readonly name: string; readonly error: unknown };
  /** A task whose bytes are of another trust domain. @throws NotPortableError, ProtocolError, DataCloneError */
  foreignTask(bytes: Uint8Array, start: number, end: number): TaskSpec;
}

export const ownCodec: TaskCodec = {
  message: (value, name = 'message') => encodePayload(value, name),
  result: (value) => encodeRange(value, 'result'),
  failure: (name, error) => encodeFailure(name, error),
  spec: encodeSpec,
  received: (bytes, start, end, isForeign) =>
    isForeign ? decodeForeign(bytes, start, end) : decodePayload(bytes, start, end, end - start > LONG_BYTES),
  receivedFailure: (bytes, isForeign) => decodeFailure(bytes, isForeign),
  foreignTask: (bytes, start, end) => checkSpec(decodeForeign(bytes, start, end)),
};

/** Of a worker whose manager is on another host: plain values, and modules that are elsewhere there. */
export function remoteCodec(modules: ModuleMap): TaskCodec {
  return {
    message: (value, name = 'message') => encodeForeign(value, name),
    result: (value) => rangeOf(encodeForeign(value, 'result')),
    failure: (name, error) => encodeFailure(name, error, true),
    received: (bytes, start, end) => decodeForeign(bytes, start, end),
    // Of a task that a worker of the manager's own host has run nothing but the name can be read.
    receivedFailure: (bytes, isForeign) => (isForeign ? decodeFailure(bytes, true) : nameOnly(bytes)),
    spec: (spec) => encodeForeign(renameModules(spec, (module) => modules.toThere(module))),
    foreignTask(bytes, start, end) {
      try {
        return checkSpec(decodeForeign(bytes, start, end));
      } catch (cause) {
        if (!(cause instanceof ProtocolError)) throw cause;
        throw new DataCloneError(
          'the arguments of this task are no plain values, which alone travel to a remote worker: numbers, strings, ' +
            'booleans, Buffers, arrays and plain objects',
          { cause },
        );
      }
    },
  };
}

function nameOnly(bytes: Uint8Array): { readonly name: string; readonly error: unknown } {
  const { name } = failureName(bytes);
  return { name, error: new DataCloneError(`the error of '${name}', which does not travel to another host`) };
}
