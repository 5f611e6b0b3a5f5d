// Whatever was thrown, as bytes. A task's failure must reach its caller, so nothing here throws on the way out.

import { describe } from './error-shape.js';
import { decodePayload, encodePayload } from './payload.js';

/**
 * Encodes what was thrown: an error with its class name, message, stack, causes and own properties, or any other value. What
 * cannot be sent becomes text within an error, and a thrown value that cannot be sent an Error that describes it. Never throws.
 *
 * The returned bytes may be a view that is valid only until the next call: copy them at once.
 */
export function encodeError(error: unknown): Uint8Array {
  try {
    return encodePayload(error, 'error');
  } catch (cause) {
    return encodeDescription(error, cause);
  }
}

/**
 * What encodeError was given. Built-in classes revive as themselves, others as the built-in class that they extend, under their
 * own name. No part of it lies in `bytes`. Never throws: bytes that cannot be decoded give the ProtocolError that says so.
 *
 * @param start where it begins in `bytes`.
 * @param end where it ends.
 */
export function decodeError(bytes: Uint8Array, start = 0, end = bytes.byteLength): unknown {
  try {
    return decodePayload(bytes, start, end);
  } catch (error) {
    return error;
  }
}

function encodeDescription(thrown: unknown, cause: unknown): Uint8Array {
  const message = `what was thrown cannot be sent to another process: ${describe(thrown)}`;
  try {
    return encodePayload(new Error(message, { cause }));
  } catch {
    return encodePayload(message.toWellFormed());
  }
}
