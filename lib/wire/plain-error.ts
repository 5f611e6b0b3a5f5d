// Errors between hosts: as plain values, for V8's own format is not for bytes from another trust domain.

import { ProtocolError } from '../errors.js';
import { emptyError, errorClass, errorProperties, fillError, isError, describe as text } from './error-shape.js';
import { decodeForeign } from './foreign.js';
import { encodePayload } from './payload.js';
import { isPlain } from './plain.js';

/** Causes of causes; what is deeper becomes text. */
const MAX_DEPTH = 8;

type PlainProperty = [key: string, isError: boolean, value: unknown, enumerable: boolean];
type PlainError = [base: string, className: string, properties: PlainProperty[]];

/** Whatever was thrown, as bytes that `decodePlainError` reads; what is no plain value in it becomes text. Never throws. */
export function encodePlainError(thrown: unknown): Uint8Array {
  const value = isError(thrown) ? toPlain(thrown, 0) : plainOrText(thrown);
  // A Buffer: other views are no plain values.
  return Buffer.from(encodePayload({ isError: isError(thrown), value }));
}

/** What `encodePlainError` was given. Never throws: bytes that are none give the ProtocolError that says so. */
export function decodePlainError(bytes: Uint8Array): unknown {
  try {
    const { isError, value } = decodeForeign(bytes, 0, bytes.byteLength) as { isError: boolean; value: unknown };
    return isError ? fromPlain(value as PlainError) : value;
  } catch (cause) {
    return new ProtocolError('an error from another host cannot be decoded', { cause });
  }
}

function toPlain(error: Error, depth: number): PlainError {
  const known = errorClass(error);
  const properties = errorProperties(error, known).map(([key, value, enumerable]): PlainProperty => {
    if (isError(value) && depth < MAX_DEPTH) return [key, true, toPlain(value, depth + 1), enumerable];
    return [key, false, plainOrText(value), enumerable];
  });
  return [known.base, known.className, properties];
}

function fromPlain([base, className, properties]: PlainError): Error {
  const error = emptyError({ base, className });
  const revived = properties.map(
    ([key, isError, value, enumerable]) =>
      [key, isError ? fromPlain(value as PlainError) : value, enumerable] as [string, unknown, boolean],
  );
  fillError(error, revived);
  return error;
}

function plainOrText(value: unknown): unknown {
  return isPlain(value) ? value : text(value);
}
