// Task arguments, results and messages as bytes: one tag, then data. Plain values take msgpackr, all others V8's structured clone.

// This entry of msgpackr has everything but its stream classes and its native string reader, which together cost a worker's start
// 13 ms.
import { Packr, RESERVE_START_SPACE, RESET_BUFFER_MODE, REUSE_BUFFER_MODE } from 'msgpackr/pack';
import { ProtocolError } from '../errors.js';
import { CLONE_TAG, decodeClone, encodeClone } from './clone.js';
import { bulkBytes, isPlain } from './plain.js';
import { explainRefusal } from './refusal.js';
import { copyOf, POOLED_BYTES } from './slab.js';

/** The payload is msgpack. */
export const PLAIN = 0x00;
/** The payload is the bytes of a Buffer. */
export const BYTES_TAG = 0x01;

/** Results up to this length lie in memory that the next call uses again; longer ones have their own. */
const SHARED_BYTES = 64 * 1024;

/** What msgpackr starts with; it grows by itself. */
const FIRST_BYTES = 8 * 1024;

/** Payloads up to this length hold no Buffer that would be worth a thought. */
const FEW_BYTES = 64;

/** Room beside the Buffers of a long payload for all else. */
const SLACK_BYTES = 4 * 1024;

const scratch = Buffer.allocUnsafeSlow(SHARED_BYTES);

const OPTIONS = {
  useRecords: false,
  mapsAsObjects: true,
  // The default ends at 65 535 keys.
  variableMapSize: true,
  // Typed arrays keep their kind.
  moreTypes: true,
  // A decoded Buffer lies in memory of its own.
  copyBuffers: true,
  useToJSON: false,
};

const codec = new Packr(OPTIONS);

/** For bytes that belong to the value alone: its Buffers lie in them. */
const owningCodec = new Packr({ ...OPTIONS, copyBuffers: false });

/** Bytes from `start` to `end` of themselves: a range costs less than a view. */
export type ByteRange = Uint8Array & { start: number; end: number };

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
  const range = encodeRange(value, name);
  return range.start === 0 && range.end === range.byteLength ? range : range.subarray(range.start, range.end);
}

/**
 * The same as a range; its fields too are valid only until the next call. Short payloads lie in the same memory mostly,
 * but not always: it is msgpackr's, which other users of msgpackr here share.
 */
export function encodeRange(value: unknown, name = 'value'): ByteRange {
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
    return rangeOf(encodeClone(value));
  } catch (error) {
    throw explainRefusal(value, name, error);
  }
}

/**
 * A part of a payload whose tag is PLAIN, to be copied at once; undefined for what takes another tier, has much in Buffers,
 * or cannot be encoded at all.
 */
export function encodePlain(value: unknown): ByteRange | undefined {
  if (!isPlain(value) || bulkBytes() > SHARED_BYTES / 4) return undefined;
  try {
    // Where msgpackr likes: its memory is shared with whoever else uses it in this process.
    return codec.pack(value, REUSE_BUFFER_MODE | RESET_BUFFER_MODE) as unknown as ByteRange;
  } catch {
    // A getter that threw when it was read again: it is met once more, and explained, elsewhere.
    return undefined;
  }
}

/** Whether the payload of `value` is BYTES_TAG and then its own bytes, above 64 KiB: who can write both need not encode it. */
export function isLongBuffer(value: unknown): value is Buffer {
  return isBuffer(value) && value.length > SHARED_BYTES && isPlain(value);
}

/**
 * Decodes what encodePayload returned. No part of the value lies in `bytes`, which may be written to afterwards.
 *
 * @param start where the payload begins in `bytes`; a range of a larger buffer decodes faster than a view on it.
 * @param end where it ends.
 * @param isOwned nobody else has `bytes`, and nobody writes to them any more: Buffers of the value may lie in them.
 * @throws ProtocolError (ERR_BOSUN_PROTOCOL) for bytes that encodePayload did not make.
 */
export function decodePayload(bytes: Uint8Array, start = 0, end = bytes.byteLength, isOwned = false): unknown {
  const source = isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    if (start < 0 || start >= end || end > source.length)
      throw new RangeError('the range is empty or not within the bytes');
    switch (source[start]) {
      case PLAIN:
        return isOwned ? owningCodec.unpack(source, { start: start + 1, end }) : unpack(source, start + 1, end);
      case BYTES_TAG:
        return isOwned ? source.subarray(start + 1, end) : copyOf(source, start + 1, end);
      case CLONE_TAG:
        return decodeClone(source.subarray(start, end), isOwned);
      default:
        throw new TypeError(`the tag ${source[start]} is unknown`);
    }
  } catch (cause) {
    throw new ProtocolError(`a payload of ${end - start} bytes cannot be decoded; are both sides of one version?`, {
      cause,
    });
  }
}

/** One value inside a payload of plain values, whose place is known. @throws ProtocolError as decodePayload. */
export function decodePart(bytes: Buffer, start: number, end: number): unknown {
  try {
    return unpack(bytes, start, end);
  } catch (cause) {
    throw new ProtocolError(`${end - start} bytes inside a payload cannot be decoded`, { cause });
  }
}

function unpack(bytes: Buffer, start: number, end: number): unknown {
  const length = end - start;
  // Here a Buffer would cost less to copy than to make memory for. Whatever else is in it is copied in vain, which costs less.
  if (length > FEW_BYTES && length <= POOLED_BYTES) return owningCodec.unpack(copyOf(bytes, start, end));
  return codec.unpack(bytes, { start, end });
}

function pack(value: unknown): ByteRange {
  const range = codec.pack(
    value,
    REUSE_BUFFER_MODE | RESERVE_START_SPACE | RESET_BUFFER_MODE | 1,
  ) as unknown as ByteRange;
  range[range.start] = PLAIN;
  if (range.end - range.start > SHARED_BYTES) codec.useBuffer(Buffer.allocUnsafeSlow(FIRST_BYTES));
  return range;
}

// Into memory of the right size: one copy of each Buffer and no growing on the way.
function packBulk(value: unknown, bulk: number): ByteRange {
  codec.useBuffer(Buffer.allocUnsafeSlow(bulk + SLACK_BYTES));
  try {
    return pack(value);
  } finally {
    codec.useBuffer(Buffer.allocUnsafeSlow(FIRST_BYTES));
  }
}

function bytesOf(buffer: Buffer): ByteRange {
  const length = 1 + buffer.length;
  const bytes = length <= SHARED_BYTES ? scratch : Buffer.allocUnsafeSlow(length);
  bytes[0] = BYTES_TAG;
  bytes.set(buffer, 1);
  const range = bytes as Buffer as unknown as ByteRange;
  range.start = 0;
  range.end = length;
  return range;
}

/** All of the bytes. */
export function rangeOf(bytes: Uint8Array): ByteRange {
  const range = bytes as ByteRange;
  range.start = 0;
  range.end = bytes.byteLength;
  return range;
}

function isBuffer(value: unknown): value is Buffer {
  // `instanceof` costs ten times as much.
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Buffer.prototype;
}
