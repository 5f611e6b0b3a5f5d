// The header of a gram: which memo it is of, and which part of that; as the reference writes it for grams that nobody signs.
//
//   code     4 characters   bAAA for the first gram, bAAB for the others
//   number   4              of the first gram how many there are, of the others which it is
//   memo id  24             0A, and a UUID in the 22 others
//
// All of it is base64, of 32 characters; or the 24 bytes that these stand for (base2). Which it is, the first six bits tell.
// Versions of the reference differ in the order of the last two: both are read.

import { builtin } from '../builtin.js';

export const TEXT_HEADER_BYTES = 32;
export const BINARY_HEADER_BYTES = 24;

/** The number has 24 bits; from here on it could be the beginning of an id. */
export const MAX_GRAMS = 0xcf_ff_ff;

/** As bytes: `b`, then `AAA` or `AAB`. */
const CODE = 0x6c;
/** The first six bits of `b` in text, and in base2. */
const TEXT = 0b011000;
const BINARY = 0b011011;

/** As bytes: `0A`, and four bits that fill up the UUID. */
const ID = 0xd0;
const NUMBER_AT = 3;
const ID_AT = 6;
const ID_BYTES = 18;
const UUID_AT = 8;
const UUID_BYTES = 16;
/** Where the other order has them. */
const OTHER_ID_AT = 3;
const OTHER_NUMBER_AT = 21;

export interface GramHeader {
  /** Which memo: the bytes of its id, one for each character. */
  readonly id: string;
  readonly isFirst: boolean;
  /** Of the first how many there are, of the others which it is; not 0. */
  readonly number: number;
  /** Where the body begins. */
  readonly length: number;
}

/** The system is not asked for each. */
const random = Buffer.alloc(UUID_BYTES * 256);
let used = random.length;

/** In base2, for a memo with a new id; `writeHeader` has to make it one of a gram. */
export function makeHeader(): Buffer {
  if (used === random.length) {
    builtin('node:crypto').randomFillSync(random);
    used = 0;
  }
  const header = Buffer.allocUnsafe(BINARY_HEADER_BYTES);
  header[0] = CODE;
  header[1] = 0;
  header[ID_AT] = ID;
  header[ID_AT + 1] = 0;
  random.copy(header, UUID_AT, used, used + UUID_BYTES);
  used += UUID_BYTES;
  // RFC 9562, version 4.
  header[UUID_AT + 6] = ((header[UUID_AT + 6] as number) & 0x0f) | 0x40;
  header[UUID_AT + 8] = ((header[UUID_AT + 8] as number) & 0x3f) | 0x80;
  return header;
}

/** Writes it, for the gram `index` of `count`, to the beginning of `gram`. */
export function writeHeader(header: Buffer, index: number, count: number, isText: boolean, gram: Buffer): void {
  header[2] = index === 0 ? 0 : 1;
  header.writeUIntBE(index === 0 ? count : index, NUMBER_AT, 3);
  if (isText) gram.write(header.toString('base64url'), 'latin1');
  else header.copy(gram);
}

const scratch = Buffer.alloc(BINARY_HEADER_BYTES);

/** Undefined for what is no gram. */
export function readHeader(gram: Buffer): GramHeader | undefined {
  const kind = (gram[0] as number) >> 2;
  let header = gram;
  let length = BINARY_HEADER_BYTES;
  if (kind === TEXT) {
    // Whatever is no base64 leaves it shorter, and so does a gram that is too short.
    if (scratch.write(gram.toString('latin1', 0, TEXT_HEADER_BYTES), 'base64url') !== BINARY_HEADER_BYTES)
      return undefined;
    header = scratch;
    length = TEXT_HEADER_BYTES;
  } else if (kind !== BINARY || gram.length < BINARY_HEADER_BYTES) return undefined;
  const last = header[2] as number;
  if (header[0] !== CODE || header[1] !== 0 || last > 1) return undefined;
  const isOther = isId(header, OTHER_ID_AT);
  if (!isOther && !isId(header, ID_AT)) return undefined;
  const number = header.readUIntBE(isOther ? OTHER_NUMBER_AT : NUMBER_AT, 3);
  if (number === 0) return undefined;
  const from = isOther ? OTHER_ID_AT : ID_AT;
  return { id: header.toString('latin1', from, from + ID_BYTES), isFirst: last === 0, number, length };
}

function isId(header: Buffer, at: number): boolean {
  return header[at] === ID && header[at + 1] === 0;
}
