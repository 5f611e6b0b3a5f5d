// Task arguments, results and messages as bytes: one tag, then data. Plain values take msgpackr, all others V8's structured clone.

// This entry of msgpackr has everything but its stream classes and its native string reader, which together cost a worker's start
// 13 ms.
import { Packr, RESERVE_START_SPACE, RESET_BUFFER_MODE } from 'msgpackr/pack';
import { ProtocolError } from '../errors.js';
import { CLONE_TAG, decodeClone, encodeClone } from './clone.js';
import { bulkBytes, isPlain } from './plain.js';
import { explainRefusal } from './refusal.js';

/** The payload is msgpack. */
export const PLAIN = 0x00;
/** The payload is the bytes of a Buffer. */
const BYTES = 0x01;

/** Results up to this length lie in memory that the next call uses again; longer ones have their own. */
const SHARED_BYTES = 64 * 1024;

/** What msgpackr starts with; it grows by itself. */
const FIRST_BYTES = 8 * 1024;

/** Room beside the Buffers of a long payload for all else. */
const SLACK_BYTES = 4 * 1024;

const scratch = Buffer.allocUnsafeSlow(SHARED_BYTES);

/** One of them packs one value at a time; whoever packs elsewhere meanwhile has one of his own. */
export function newCodec(): Packr & { position: number } {
  return new Packr({
    useRecords: false,
    mapsAsObjects: true,
    // The default ends at 65 535 keys.
    variableMapSize: true,
    // Typed arrays keep their kind.
    moreTypes: true,
    // A decoded Buffer lies in memory of its own.
    copyBuffers: true,
    useToJSON: false,
  }) as Packr & { position: number };
}

const codec = newCodec();

/** Whether a value takes the first tier, and is not so long that it is better encoded by itself. */
export function isPlainPayload(value: unknown): boolean {
  return isPlain(value) && bulkBytes() < SHARED_BYTES / 4 && !isBuffer(value);
}

/**
 * Encodes any value that structuredClone would clone, up to 1000 levels deep, and errors with all that they carry. A Buffer stays a
 * Buffer.
 *
 * The returned bytes are a view that is valid only until the next call, so copy them at once; but longer than 64 KiB they are the
 * caller's to keep and to hand on.
 *
 * @param name what messages call the value: `args`, `result`, `message`.
 * @throws DataCloneError (ERR_BOSUN_DATA_CLONE), naming the path to what cannot be cloned; `cause` is what a getter threw.
 */
export function encodePayload(value: unknown, name = 'value'): Uint8Array {
  if (isPlain(value)) {
    const bulk = bulkBytes();
    try {
      if (isBuffer(value)) return bytesOf(value);
      return bulk < SHARED_BYTES ? pack(value) : packBulk(value, bulk);
    } catch {
      // A detached view, or a getter that threw when it was read again: the same happens below and is explained.
    }
  }
  try {
    return encodeClone(value);
  } catch (error) {
    throw explainRefusal(value, name, error);
  }
}

/**
 * Decodes what encodePayload returned. No part of the value lies in `bytes`, which may be written to afterwards.
 *
 * @param start where the payload begins in `bytes`; a range of a larger buffer decodes faster than a view on it.
 * @param end where it ends.
 * @throws ProtocolError (ERR_BOSUN_PROTOCOL) for bytes that encodePayload did not make.
 */
export function decodePayload(bytes: Uint8Array, start = 0, end = bytes.byteLength): unknown {
  const source = isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    if (start < 0 || start >= end || end > source.length)
      throw new RangeError('the range is empty or not within the bytes');
    switch (source[start]) {
      case PLAIN:
        return codec.unpack(source, { start: start + 1, end });
      case BYTES:
        return Buffer.from(source.subarray(start + 1, end));
      case CLONE_TAG:
        return decodeClone(source.subarray(start, end));
      default:
        throw new TypeError(`the tag ${source[start]} is unknown`);
    }
  } catch (cause) {
    throw new ProtocolError(`a payload of ${end - start} bytes cannot be decoded; are both sides of one version?`, {
      cause,
    });
  }
}

function pack(value: unknown): Uint8Array {
  const bytes = codec.pack(value, RESERVE_START_SPACE | RESET_BUFFER_MODE | 1);
  bytes[0] = PLAIN;
  if (bytes.length > SHARED_BYTES) codec.useBuffer(Buffer.allocUnsafeSlow(FIRST_BYTES));
  return bytes;
}

// Into memory of the right size: one copy of each Buffer and no growing on the way.
function packBulk(value: unknown, bulk: number): Uint8Array {
  codec.useBuffer(Buffer.allocUnsafeSlow(bulk + SLACK_BYTES));
  try {
    return pack(value);
  } finally {
    codec.useBuffer(Buffer.allocUnsafeSlow(FIRST_BYTES));
  }
}

function bytesOf(buffer: Buffer): Uint8Array {
  const length = 1 + buffer.length;
  const bytes = length <= SHARED_BYTES ? scratch.subarray(0, length) : Buffer.allocUnsafeSlow(length);
  bytes[0] = BYTES;
  bytes.set(buffer, 1);
  return bytes;
}

function isBuffer(value: unknown): value is Buffer {
  return value instanceof Buffer;
}
