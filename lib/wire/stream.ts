// Frames over any Node.js stream, one at a time: for clients in tests and tools. The manager itself works in batches.

import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { ConnectionResetError, FrameTooLargeError, ProtocolError } from '../errors.js';
import { ownOptions } from '../own-options.js';
import { DEFAULT_MAX_FRAME_BYTES, encodeFrame, type Frame, HEADER_BYTES } from './frame.js';
import { decodePayload, encodePayload } from './payload.js';

/**
 * Writes one frame; resolves when the stream can take more.
 *
 * @throws ConnectionResetError (ERR_BOSUN_CONNECTION_RESET) when the stream is closed.
 */
export async function sendBytes(stream: Writable, type: number, bytes: Uint8Array): Promise<void> {
  if (stream.destroyed || !stream.writable) throw new ConnectionResetError('the stream is closed: nothing can be sent');
  if (stream.write(encodeFrame(type, bytes))) return;
  const settled = new AbortController();
  const closed = 'the peer closed the connection while a frame was being sent';
  try {
    // An error of the stream rejects both; what it was is the cause.
    await Promise.race([
      once(stream, 'drain', { signal: settled.signal }),
      once(stream, 'close', { signal: settled.signal }).then(() => Promise.reject(new Error('closed'))),
    ]);
  } catch (cause) {
    throw new ConnectionResetError(closed, { cause });
  } finally {
    settled.abort();
  }
}

/** Writes one frame with an encoded value as its body. */
export function sendMessage(stream: Writable, type: number, value: unknown): Promise<void> {
  // Copied: the encoder's bytes are valid until its next call only.
  return sendBytes(stream, type, Uint8Array.from(encodePayload(value)));
}

/** Writes one frame without a body. */
export function sendType(stream: Writable, type: number): Promise<void> {
  return sendBytes(stream, type, new Uint8Array(0));
}

/** After one of these `read` may give something else than before. */
const PROGRESS = ['readable', 'end', 'close', 'error'] as const;

async function readExactly(stream: Readable, bytes: number): Promise<Uint8Array> {
  if (bytes === 0) return new Uint8Array(0);
  let wake = () => {};
  const listener = () => wake();
  let listening = false;
  try {
    for (;;) {
      const chunk = stream.read(bytes) as Uint8Array | null;
      // At the end of the stream `read` gives what is left, which may be less.
      if (chunk !== null && chunk.byteLength === bytes) return chunk;
      if (chunk !== null || stream.readableEnded || stream.destroyed) {
        throw new ConnectionResetError(`the peer closed the connection ${bytes} bytes before the end of a frame`);
      }
      const progress = new Promise<void>((resolve) => {
        wake = resolve;
      });
      // Once: a stream with part of the bytes emits `readable` again for each new listener, and would never rest.
      if (!listening) for (const event of PROGRESS) stream.on(event, listener);
      listening = true;
      await progress;
    }
  } finally {
    for (const event of PROGRESS) stream.off(event, listener);
  }
}

/** Limits for what is received. */
export interface ReceiveOptions {
  /** The longest body that is accepted; 256 MiB unless given. */
  readonly maxFrameBytes?: number;
}

/**
 * Reads one frame and no byte more. The stream must be in paused mode, one reader at a time.
 *
 * @throws ConnectionResetError (ERR_BOSUN_CONNECTION_RESET) when the peer closes first.
 * @throws FrameTooLargeError (ERR_BOSUN_FRAME_TOO_LARGE) before anything is read of it.
 */
export async function receiveBytes(stream: Readable, options: ReceiveOptions = {}): Promise<Frame> {
  const { maxFrameBytes = DEFAULT_MAX_FRAME_BYTES } = ownOptions(options, 'the options of receiveBytes');
  const header = Buffer.from(await readExactly(stream, HEADER_BYTES));
  const length = header.readBigUInt64LE(1);
  if (length > BigInt(maxFrameBytes)) {
    throw new FrameTooLargeError(`a frame of ${length} bytes was declared, which is above maxFrameBytes`);
  }
  return { type: header.readUInt8(0), payload: await readExactly(stream, Number(length)) };
}

/** A frame with its decoded body. */
export interface ReceivedMessage {
  readonly type: number;
  /** The value, or its bytes with `decode: false` or without a body. */
  readonly message: unknown;
}

/** Reads one frame and decodes its body, unless `decode` is false. */
export async function receiveMessage(
  stream: Readable,
  options: ReceiveOptions & { readonly decode?: boolean } = {},
): Promise<ReceivedMessage> {
  const { decode = true } = ownOptions(options, 'the options of receiveMessage');
  const { type, payload } = await receiveBytes(stream, options);
  return { type, message: decode && payload.byteLength > 0 ? decodePayload(payload) : payload };
}

/**
 * Reads one frame that has to be of type `expected` and without a body.
 *
 * @throws ProtocolError (ERR_BOSUN_PROTOCOL) for any other.
 */
export async function receiveType(stream: Readable, expected: number): Promise<void> {
  const { type, payload } = await receiveBytes(stream);
  const shown = (value: number) => `0x${value.toString(16).padStart(2, '0')}`;
  if (type !== expected) throw new ProtocolError(`expected a frame of type ${shown(expected)}, not ${shown(type)}`);
  if (payload.byteLength > 0) throw new ProtocolError(`a frame of type ${shown(expected)} has no body`);
}
