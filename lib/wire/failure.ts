// The payload of a failed task: its name, which the manager may not know, and its error.

import { decodeError, encodeError } from './error-codec.js';
import { decodePlainError, encodePlainError } from './plain-error.js';

/** Names are for people; longer ones are cut. */
const MAX_NAME_BYTES = 1024;

/** Two bytes of length, the name, the error. @param isForeign it goes to another host. */
export function encodeFailure(name: string, error: unknown, isForeign = false): Uint8Array {
  const nameBytes = Buffer.from(name).subarray(0, MAX_NAME_BYTES);
  const length = Buffer.allocUnsafe(2);
  length.writeUInt16LE(nameBytes.byteLength);
  return Buffer.concat([length, nameBytes, isForeign ? encodePlainError(error) : encodeError(error)]);
}

/** @param isForeign it comes from another host. */
export function decodeFailure(
  payload: Uint8Array,
  isForeign = false,
): { readonly name: string; readonly error: unknown } {
  const { name, rest } = failureName(payload);
  return { name, error: (isForeign ? decodePlainError : decodeError)(rest) };
}

/** The name, and the bytes of the error. */
export function failureName(payload: Uint8Array): { readonly name: string; readonly rest: Uint8Array } {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const end = 2 + bytes.readUInt16LE(0);
  return { name: bytes.toString('utf8', 2, end), rest: bytes.subarray(end) };
}
