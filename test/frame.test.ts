// The wire format: bytes to frames and back, and frames over streams.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import {
  ConnectionResetError,
  encodeFrame,
  FRAME,
  type Frame,
  FrameDecoder,
  FrameTooLargeError,
  ProtocolError,
  receiveBytes,
  receiveMessage,
  receiveType,
  sendBytes,
  sendMessage,
  sendType,
} from '../lib/index.js';

type Shown = [type: number, body: string];

/** Frames as values that can be compared; copied, because a payload is a view on its chunk. */
const show = (frames: readonly Frame[]): Shown[] =>
  frames.map(({ type, payload }) => [type, Buffer.from(payload).toString('hex')]);

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** A header that declares any length, and no body. */
function header(type: number, length: bigint): Uint8Array {
  const bytes = Buffer.alloc(9);
  bytes.writeUInt8(type);
  bytes.writeBigUInt64LE(length, 1);
  return bytes;
}

const SAMPLE: Frame[] = [
  { type: 0x74, payload: new Uint8Array(0) },
  { type: 0x6d, payload: Buffer.from('abc') },
  { type: 0x85, payload: Buffer.alloc(300, 7) },
  { type: 0x00, payload: new Uint8Array(0) },
  { type: 0xff, payload: Buffer.from([0]) },
];
const SAMPLE_BYTES = Buffer.concat(SAMPLE.map(({ type, payload }) => encodeFrame(type, payload)));

describe('encodeFrame', () => {
  test('writes type, length and body (U8)', () => {
    assert.equal(hex(encodeFrame(0x74)), `74${'00'.repeat(8)}`);
    assert.equal(hex(encodeFrame(0x74, new Uint8Array(0))), `74${'00'.repeat(8)}`);
    assert.equal(hex(encodeFrame(0x6d, Uint8Array.of(1, 2, 3))), `6d03${'00'.repeat(7)}010203`);
    assert.equal(encodeFrame(FRAME.SCHEDULE + 5)[0], 0x85);
    assert.equal(hex(encodeFrame(1, new Uint8Array(0x01_02_03)).subarray(0, 9)), '010302010000000000');
  });

  test('refuses what is no type and no body', () => {
    for (const type of [-1, 256, 1.5, Number.NaN, '1']) {
      assert.throws(() => encodeFrame(type as number), { code: 'ERR_BOSUN_OUT_OF_RANGE' }, String(type));
    }
    for (const body of ['abc', [1], new Uint16Array(1), null]) {
      assert.throws(() => encodeFrame(1, body as unknown as Uint8Array), { code: 'ERR_BOSUN_INVALID_ARGUMENT' });
    }
  });
});

describe('FrameDecoder', () => {
  test('takes bytes one by one (U8)', () => {
    const decoder = new FrameDecoder();
    const frames = [...SAMPLE_BYTES].flatMap((byte) => show(decoder.push(Uint8Array.of(byte))));
    decoder.end();
    assert.deepEqual(frames, show(SAMPLE));
  });

  test('gives a frame with the byte that completes it, not later', () => {
    for (const frame of SAMPLE) {
      const bytes = encodeFrame(frame.type, frame.payload);
      const decoder = new FrameDecoder();
      assert.deepEqual(decoder.push(bytes.subarray(0, -1)), []);
      assert.deepEqual(show(decoder.push(bytes.subarray(-1))), show([frame]));
    }
  });

  test('takes bytes cut at every place', () => {
    for (let cut = 0; cut <= SAMPLE_BYTES.length; cut++) {
      const decoder = new FrameDecoder();
      const frames = [...show(decoder.push(SAMPLE_BYTES.subarray(0, cut)))];
      frames.push(...show(decoder.push(SAMPLE_BYTES.subarray(cut))));
      decoder.end();
      assert.deepEqual(frames, show(SAMPLE), `cut at ${cut}`);
    }
  });

  test('gives back what was encoded, however it is cut', () => {
    const body = fc.oneof(
      { weight: 5, arbitrary: fc.uint8Array({ maxLength: 40 }) },
      { weight: 1, arbitrary: fc.nat(150_000).map((length) => new Uint8Array(length).fill(length)) },
    );
    const frames = fc.array(fc.record({ type: fc.nat(255), payload: body }), { maxLength: 12 });
    const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });
    const property = fc.property(frames, cuts, (sent, places) => {
      const bytes = Buffer.concat(sent.map(({ type, payload }) => encodeFrame(type, payload)));
      const ends = [...places.map((place) => Math.floor(place * bytes.length)), bytes.length].sort((a, b) => a - b);
      const decoder = new FrameDecoder();
      let start = 0;
      const received: Shown[] = [];
      for (const end of ends) {
        received.push(...show(decoder.push(bytes.subarray(start, end))));
        start = end;
      }
      decoder.end();
      assert.deepEqual(received, show(sent));
    });
    // fast-check prints the seed and the shrunk case when it fails.
    fc.assert(property, { numRuns: 200 });
  });

  test('takes chunks above 64 KiB, with frames across every slice', () => {
    const sent = Array.from({ length: 40 }, (_, i) => ({ type: i, payload: Buffer.alloc(i * 997, i) }));
    const bytes = Buffer.concat(sent.map(({ type, payload }) => encodeFrame(type, payload)));
    assert.ok(bytes.length > 10 * 64 * 1024);
    const decoder = new FrameDecoder();
    assert.deepEqual(show(decoder.push(bytes)), show(sent));
    assert.deepEqual(show(decoder.push(new Uint8Array(bytes))), show(sent));
    decoder.end();
  });

  test('takes a chunk of many empty frames, aligned with its slices or not', () => {
    const empty = encodeFrame(0x6e);
    for (const first of [0, 1, 8]) {
      const body = Buffer.alloc(first, 1);
      const decoder = new FrameDecoder();
      const frames = decoder.push(Buffer.concat([encodeFrame(1, body), ...Array(30_000).fill(empty)]));
      assert.equal(frames.length, 30_001);
      assert.ok(frames.slice(1).every(({ type, payload }) => type === 0x6e && payload.byteLength === 0));
      decoder.end();
    }
  });

  test('the body of a frame that was cut is its own memory', () => {
    const bytes = encodeFrame(1, Buffer.from('abcdef'));
    const decoder = new FrameDecoder();
    const first = Buffer.from(bytes.subarray(0, 12));
    const last = Buffer.from(bytes.subarray(12));
    decoder.push(first);
    first.fill(0);
    const [frame] = decoder.push(last);
    last.fill(0);
    assert.equal(Buffer.from(frame?.payload ?? []).toString(), 'abcdef');
  });

  test('decoders do not disturb each other', () => {
    const decoders = SAMPLE.map(() => new FrameDecoder());
    const bytes = SAMPLE.map(({ type, payload }) => encodeFrame(type, payload));
    assert.deepEqual(
      decoders.flatMap((decoder, i) => decoder.push((bytes[i] as Uint8Array).subarray(0, 5))),
      [],
    );
    const frames = decoders.flatMap((decoder, i) => decoder.push((bytes[i] as Uint8Array).subarray(5)));
    assert.deepEqual(show(frames), show(SAMPLE));
  });

  test('an end inside a header or a body is a reset (U8)', () => {
    const bytes = encodeFrame(1, Buffer.from('abc'));
    for (let cut = 1; cut < bytes.length; cut++) {
      const decoder = new FrameDecoder();
      decoder.push(bytes.subarray(0, cut));
      assert.throws(() => decoder.end(), ConnectionResetError, `after ${cut} bytes`);
      assert.throws(() => decoder.end(), { code: 'ERR_BOSUN_CONNECTION_RESET' });
    }
    new FrameDecoder().end();
  });

  test('refuses a frame above the limit as soon as its header is here (U8)', () => {
    const at = new FrameDecoder({ maxFrameBytes: 1000 });
    assert.deepEqual(at.push(header(1, 1000n)), []);
    for (const length of [1001n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n]) {
      for (const maxFrameBytes of [0, 1000]) {
        const decoder = new FrameDecoder({ maxFrameBytes });
        const bytes = header(1, length);
        assert.deepEqual(decoder.push(bytes.subarray(0, 8)), []);
        assert.throws(() => decoder.push(bytes.subarray(8)), FrameTooLargeError, String(length));
      }
      if (length >= 2n ** 32n) {
        assert.throws(() => new FrameDecoder().push(header(1, length)), { code: 'ERR_BOSUN_FRAME_TOO_LARGE' });
      }
    }
    const widest = new FrameDecoder({ maxFrameBytes: Number.MAX_SAFE_INTEGER });
    assert.throws(() => widest.push(header(1, 2n ** 64n - 1n)), FrameTooLargeError);
  });

  test('allocates nothing for a length that is only declared', () => {
    const before = process.memoryUsage.rss();
    const decoders = Array.from({ length: 40 }, () => new FrameDecoder());
    for (const decoder of decoders) decoder.push(Buffer.concat([header(1, 200n << 20n), Buffer.alloc(10)]));
    // Eight gigabytes were declared.
    assert.ok(process.memoryUsage.rss() - before < 500 << 20);
  });

  test('refuses wrong limits, and anything but bytes', () => {
    for (const maxFrameBytes of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '1', null]) {
      assert.throws(() => new FrameDecoder({ maxFrameBytes: maxFrameBytes as number }), {
        code: 'ERR_BOSUN_OUT_OF_RANGE',
      });
    }
    for (const chunk of ['abc', new Uint16Array(9), new ArrayBuffer(9), [1], null, undefined]) {
      assert.throws(
        () => new FrameDecoder().push(chunk as unknown as Uint8Array),
        { code: 'ERR_BOSUN_INVALID_ARGUMENT' },
        Object.prototype.toString.call(chunk),
      );
    }
  });
});

/** Both ends of a connection, which is gone after the test. */
async function socketPair(t: TestContext): Promise<[near: Socket, far: Socket]> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [far] = (await once(server, 'connection')) as [Socket];
  t.after(async () => {
    near.destroy();
    far.destroy();
    server.close();
    await once(server, 'close');
  });
  // What a dead peer does to a stream is reported by the functions under test.
  for (const socket of [near, far]) socket.on('error', () => {});
  return [near, far];
}

describe('the stream functions', () => {
  test('send and receive bytes, one frame at a time', async (t) => {
    const [near, far] = await socketPair(t);
    near.write(SAMPLE_BYTES);
    for (const expected of SAMPLE) assert.deepEqual(show([await receiveBytes(far)]), show([expected]));
    for (const { type, payload } of SAMPLE) await sendBytes(far, type, payload);
    for (const expected of SAMPLE) assert.deepEqual(show([await receiveBytes(near)]), show([expected]));
  });

  test('receive a frame that arrives byte by byte', async (t) => {
    const [near, far] = await socketPair(t);
    const received = receiveBytes(far);
    for (const byte of encodeFrame(9, Buffer.from('slow'))) {
      await new Promise((resolve) => near.write(Uint8Array.of(byte), resolve));
    }
    assert.deepEqual(show([await received]), [[9, Buffer.from('slow').toString('hex')]]);
  });

  test('send and receive values, or their bytes', async (t) => {
    const [near, far] = await socketPair(t);
    const values = [undefined, null, 0, 'text', { list: [1, { a: new Date(3) }] }, new Map([[1, 2n]])];
    for (const value of values) await sendMessage(near, 5, value);
    for (const value of values) assert.deepEqual(await receiveMessage(far), { type: 5, message: value });

    await sendMessage(near, 6, { a: 1 });
    const { message } = await receiveMessage(far, { decode: false });
    assert.ok(message instanceof Uint8Array);
    await sendBytes(near, 7, message);
    assert.deepEqual(await receiveMessage(far), { type: 7, message: { a: 1 } });

    await sendType(near, 8);
    const empty = await receiveMessage(far);
    assert.equal(empty.type, 8);
    assert.equal((empty.message as Uint8Array).byteLength, 0);
  });

  test('a body that is no value is a ProtocolError, a value that cannot travel a DataCloneError', async (t) => {
    const [near, far] = await socketPair(t);
    await sendBytes(near, 1, Buffer.from([0xee, 0xee]));
    await assert.rejects(receiveMessage(far), ProtocolError);
    await assert.rejects(
      (async () => sendMessage(near, 1, () => {}))(),
      (error: Error & { code: string }) => error.code === 'ERR_BOSUN_DATA_CLONE',
    );
  });

  test('send and expect a type', async (t) => {
    const [near, far] = await socketPair(t);
    await sendType(near, FRAME.SCHEDULED);
    await receiveType(far, FRAME.SCHEDULED);
    await sendType(near, FRAME.SCHEDULED);
    await assert.rejects(receiveType(far, FRAME.MESSAGE), {
      name: 'ProtocolError',
      code: 'ERR_BOSUN_PROTOCOL',
      message: /0x6d.*0x73/,
    });
    await sendBytes(near, FRAME.MESSAGE, Buffer.from('x'));
    await assert.rejects(receiveType(far, FRAME.MESSAGE), ProtocolError);
  });

  test('refuse a frame above the limit and read nothing of it', async (t) => {
    const [near, far] = await socketPair(t);
    near.write(header(1, 2n ** 64n - 1n));
    await assert.rejects(receiveBytes(far), FrameTooLargeError);
    await sendBytes(near, 2, Buffer.alloc(11));
    await assert.rejects(receiveBytes(far, { maxFrameBytes: 10 }), { code: 'ERR_BOSUN_FRAME_TOO_LARGE' });
    assert.equal((far.read(11) as Buffer).length, 11);
    await sendBytes(near, 3, Buffer.alloc(10));
    assert.equal((await receiveMessage(far, { decode: false, maxFrameBytes: 10 })).type, 3);
  });

  test('a peer that closes before, inside or behind a frame resets the receiver', async (t) => {
    const bytes = encodeFrame(1, Buffer.from('abc'));
    for (let cut = 0; cut < bytes.length; cut++) {
      const [near, far] = await socketPair(t);
      const received = receiveBytes(far);
      near.end(bytes.subarray(0, cut));
      await assert.rejects(received, { name: 'ConnectionResetError', code: 'ERR_BOSUN_CONNECTION_RESET' });
      await assert.rejects(receiveBytes(far), ConnectionResetError, 'and stays so');
    }
    const [near, far] = await socketPair(t);
    near.end(bytes);
    assert.equal((await receiveBytes(far)).type, 1);
    await assert.rejects(receiveType(far, 1), ConnectionResetError);
  });

  test('a stream that is destroyed resets both directions', async (t) => {
    const [near, far] = await socketPair(t);
    const received = receiveBytes(near);
    near.destroy();
    await assert.rejects(received, ConnectionResetError);
    await assert.rejects(sendType(near, 1), ConnectionResetError);
    await assert.rejects(receiveBytes(far), ConnectionResetError);
  });

  test('a body of 10 MiB waits for its reader', async (t) => {
    const [near, far] = await socketPair(t);
    const body = Buffer.alloc(10 << 20, 'bosun');
    let isSent = false;
    const sent = sendBytes(near, 1, body).then(() => {
      isSent = true;
    });
    assert.equal(near.writableNeedDrain, true);
    const behind = sendBytes(near, 2, Buffer.from('behind'));
    // The reader gets nothing beyond what the kernel and its own stream hold until it asks.
    await once(far, 'readable');
    assert.equal(isSent, false);
    const { type, payload } = await receiveBytes(far);
    assert.equal(type, 1);
    assert.ok(body.equals(payload));
    assert.deepEqual(show([await receiveBytes(far)]), [[2, Buffer.from('behind').toString('hex')]]);
    await Promise.all([sent, behind]);
    assert.equal(near.listenerCount('drain') + near.listenerCount('close'), 0);
  });

  test('a peer that goes away while a long frame is sent resets the sender', async (t) => {
    const [near, far] = await socketPair(t);
    const sent = sendBytes(near, 1, Buffer.alloc(10 << 20));
    await once(far, 'readable');
    far.destroy();
    await assert.rejects(sent, { name: 'ConnectionResetError', code: 'ERR_BOSUN_CONNECTION_RESET' });
  });
});
