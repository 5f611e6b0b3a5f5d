// What whoever connects says first: the token, and who it is.

import { encodeFrame, FRAME, HEADER_BYTES } from './frame.js';

/** Of the first frame; a token is shorter. */
const MAX_BODY_BYTES = 1024;

/** As in native/frame/frame.h: what a manager and its workers speak. Each refuses any other. */
const VERSION = 1;

/** Version and role, each a u16. */
const JOIN_FIELDS = 4;

/** Who has connected, when it is no program that speaks the reference dialogue. */
export const ROLE = {
  /** The host of a worker, which dials its manager. */
  WORKER: 1,
  /** A manager, which dials the host of a worker. */
  MANAGER: 2,
} as const;

export type Role = (typeof ROLE)[keyof typeof ROLE];

export interface FirstFrame {
  readonly token: Buffer;
  /** Undefined for a peer, and for the client of a server. */
  readonly role: Role | undefined;
  /** What has arrived behind it. */
  readonly rest: Buffer;
}

/** The first frame between a manager and a worker on another host. */
export function encodeJoin(role: Role, token: string): Uint8Array {
  const fields = Buffer.alloc(JOIN_FIELDS);
  fields.writeUInt16LE(VERSION, 0);
  fields.writeUInt16LE(role, 2);
  return encodeFrame(FRAME.JOIN, Buffer.concat([fields, Buffer.from(token)]));
}

/** Undefined while it is not complete, text when it is something else. */
export function readFirstFrame(bytes: Buffer): FirstFrame | string | undefined {
  const isJoin = bytes[0] === FRAME.JOIN;
  if (bytes.byteLength > 0 && bytes[0] !== FRAME.HELLO && !isJoin) return 'its first frame is no hello';
  if (bytes.byteLength < HEADER_BYTES) return undefined;
  const length = bytes.readBigUInt64LE(1);
  if (length > MAX_BODY_BYTES) return `its hello of ${length} bytes is too long`;
  const end = HEADER_BYTES + Number(length);
  if (bytes.byteLength < end) return undefined;
  const body = bytes.subarray(HEADER_BYTES, end);
  const rest = bytes.subarray(end);
  return isJoin ? readJoin(body, rest) : { token: body, role: undefined, rest };
}

function readJoin(body: Buffer, rest: Buffer): FirstFrame | string {
  if (body.byteLength < JOIN_FIELDS) return 'its hello is malformed';
  const version = body.readUInt16LE(0);
  if (version !== VERSION)
    return `it speaks version ${version}, and this bosun ${VERSION}: install the same everywhere`;
  const role = body.readUInt16LE(2);
  if (role !== ROLE.WORKER && role !== ROLE.MANAGER) return 'its hello is malformed';
  return { token: body.subarray(JOIN_FIELDS), role, rest };
}
