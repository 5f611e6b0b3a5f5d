// How what a worker of a manager says, and what it is told to run, travels: within a host, or between two.

import { DataCloneError, ProtocolError } from '../errors.js';
import { encodeSpec } from '../task/encode.js';
import type { ModuleMap } from '../task/module-map.js';
import { checkSpec, renameModules, type TaskSpec } from '../task/spec.js';
import { encodeFailure } from '../wire/failure.js';
import { decodeForeign, encodeForeign } from '../wire/foreign.js';
import { type ByteRange, encodePayload, encodeRange, rangeOf } from '../wire/payload.js';

/** What is encoded is valid until the next call. The encoders throw a DataCloneError, but for the one of failures. */
export interface TaskCodec {
  message(value: unknown): Uint8Array;
  result(value: unknown): ByteRange;
  failure(name: string, error: unknown): Uint8Array;
  /** Of a task that a task schedules. */
  spec(spec: TaskSpec): Uint8Array;
  /** A task whose bytes are of another trust domain. @throws NotPortableError, ProtocolError, DataCloneError */
  foreignTask(bytes: Uint8Array, start: number, end: number): TaskSpec;
}

export const ownCodec: TaskCodec = {
  message: (value) => encodePayload(value, 'message'),
  result: (value) => encodeRange(value, 'result'),
  failure: (name, error) => encodeFailure(name, error),
  spec: encodeSpec,
  foreignTask: (bytes, start, end) => checkSpec(decodeForeign(bytes, start, end)),
};

/** Of a worker whose manager is on another host: plain values, and modules that are elsewhere there. */
export function remoteCodec(modules: ModuleMap): TaskCodec {
  return {
    message: (value) => encodeForeign(value, 'message'),
    result: (value) => rangeOf(encodeForeign(value, 'result')),
    failure: (name, error) => encodeFailure(name, error, true),
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
