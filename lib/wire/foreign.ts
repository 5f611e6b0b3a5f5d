// Payloads from peers on a listening socket: bytes of another trust domain, checked before anything decodes them.

import { DataCloneError, ProtocolError } from '../errors.js';
import { decodePayload, encodePayload } from './payload.js';

/**
 * The payload of a plain value, as `decodeForeign` takes it; valid until the next call.
 *
 * @param name what messages call the value.
 * @throws DataCloneError (ERR_BOSUN_DATA_CLONE) for any other.
 */
export function encodeForeign(value: unknown, name = 'value'): Uint8Array {
  const payload = encodePayload(value, name);
  try {
    checkForeign(payload, 0, payload.byteLength);
  } catch (cause) {
    throw new DataCloneError(
      'only plain values travel to another host: numbers, strings, booleans, Buffers, arrays and plain objects',
      { cause },
    );
  }
  return payload;
}

/** As plain values may be. */
const MAX_DEPTH = 200;

/** The tags of payloads that are safe once they were checked; V8's own format is not. */
const PLAIN = 0x00;
const BYTES = 0x01;

/**
 * Decodes a payload of plain values: nil, booleans, numbers, strings, bytes, arrays and maps with string keys, in
 * MessagePack without extensions but the one for `undefined`.
 *
 * @throws ProtocolError (ERR_BOSUN_PROTOCOL) for anything else, before anything is decoded.
 */
export function decodeForeign(bytes: Uint8Array, start: number, end: number): unknown {
  checkForeign(bytes, start, end);
  return decodePayload(bytes, start, end);
}

/** @throws ProtocolError (ERR_BOSUN_PROTOCOL) for a payload that decodeForeign would refuse. */
export function checkForeign(bytes: Uint8Array, start: number, end: number): void {
  const tag = bytes[start];
  if (tag === PLAIN) new Checker(bytes, start + 1, end).check();
  else if (tag !== BYTES) throw new ProtocolError(`a payload from a peer begins with ${PLAIN} or ${BYTES}, not ${tag}`);
}

/** The longest first part of a pair that is decoded. */
const MAX_FIRST_BYTES = 16 * 1024;

const PAIR = 0x92;

/**
 * Of a payload that is an array of two, checked before: the first part decoded, the second as it is.
 *
 * @throws ProtocolError (ERR_BOSUN_PROTOCOL) for any other.
 */
export function splitPair(payload: Uint8Array): [first: unknown, second: Uint8Array] {
  if (payload[0] !== PLAIN || payload[1] !== PAIR) throw new ProtocolError('a payload of two parts was expected');
  const end = new Checker(payload, 2, payload.byteLength).skipValue();
  if (end - 2 > MAX_FIRST_BYTES)
    throw new ProtocolError(`the first part of a pair is longer than ${MAX_FIRST_BYTES} bytes`);
  const first = Uint8Array.of(PLAIN, ...payload.subarray(2, end));
  return [decodePayload(first), payload.subarray(end)];
}

/** The other way round. */
export function joinPair(first: unknown, second: Uint8Array): Uint8Array {
  const encoded = encodeForeign(first).subarray(1);
  const pair = new Uint8Array(2 + encoded.byteLength + second.byteLength);
  pair.set([PLAIN, PAIR]);
  pair.set(encoded, 2);
  pair.set(second, 2 + encoded.byteLength);
  return pair;
}

/** Walks through one MessagePack value and refuses what is cut, too deep, too long or an extension. */
class Checker {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  check(): void {
    this.#value(0);
    if (this.#at !== this.#end) throw new ProtocolError('a payload from a peer has bytes behind its value');
  }

  /** Where the value ends. */
  skipValue(): number {
    this.#value(0);
    return this.#at;
  }

  #value(depth: number): void {
    if (depth > MAX_DEPTH) throw new ProtocolError(`a payload from a peer is more than ${MAX_DEPTH} levels deep`);
    const type = this.#uint(1);
    if (type <= 0x7f || type >= 0xe0) return;
    if (type <= 0x8f) this.#map(type & 0x0f, depth);
    else if (type <= 0x9f) this.#values(type & 0x0f, depth);
    else if (type <= 0xbf) this.#skip(type & 0x1f);
    else this.#marked(type, depth);
  }

  #marked(type: number, depth: number): void {
    switch (type) {
      case 0xc0: // nil
      case 0xc2: // false
      case 0xc3: // true
        return;
      case 0xc4: // bytes
      case 0xc5:
      case 0xc6:
        this.#skip(this.#uint(2 ** (type - 0xc4)));
        return;
      case 0xca: // float
        this.#skip(4);
        return;
      case 0xcb:
        this.#skip(8);
        return;
      case 0xcc: // unsigned
      case 0xcd:
      case 0xce:
      case 0xcf:
        this.#skip(2 ** (type - 0xcc));
        return;
      case 0xd0: // signed
      case 0xd1:
      case 0xd2:
      case 0xd3:
        this.#skip(2 ** (type - 0xd0));
        return;
      case 0xd9: // string
      case 0xda:
      case 0xdb:
        this.#skip(this.#uint(2 ** (type - 0xd9)));
        return;
      case 0xdc: // array
      case 0xdd:
        this.#values(this.#uint(2 ** (type - 0xdb)), depth);
        return;
      case 0xde: // map
      case 0xdf:
        this.#map(this.#uint(2 ** (type - 0xdd)), depth);
        return;
      case 0xd4: // undefined, the one extension that is a plain value
        if (this.#uint(1) === 0 && this.#uint(1) === 0) return;
        throw extension();
      default:
        throw extension();
    }
  }

  #values(count: number, depth: number): void {
    // Each takes a byte at least: a length that cannot be true is no reason to walk.
    if (count > this.#end - this.#at) throw cut();
    for (let i = 0; i < count; i++) this.#value(depth + 1);
  }

  #map(count: number, depth: number): void {
    if (2 * count > this.#end - this.#at) throw cut();
    for (let i = 0; i < count; i++) {
      const type = this.#bytes[this.#at] as number;
      const isString = (type >= 0xa0 && type <= 0xbf) || (type >= 0xd9 && type <= 0xdb);
      if (!isString) throw new ProtocolError('a payload from a peer has a map with a key that is no string');
      this.#value(depth + 1);
      this.#value(depth + 1);
    }
  }

  #uint(length: number): number {
    this.#skip(length);
    let value = 0;
    for (let i = this.#at - length; i < this.#at; i++) value = value * 256 + (this.#bytes[i] as number);
    return value;
  }

  #skip(length: number): void {
    if (length > this.#end - this.#at) throw cut();
    this.#at += length;
  }
}

function extension(): ProtocolError {
  return new ProtocolError('a payload from a peer has a MessagePack extension in it; plain values only');
}

function cut(): ProtocolError {
  return new ProtocolError('a payload from a peer ends inside a value');
}
