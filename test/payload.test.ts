import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Script } from 'node:vm';
import { MessageChannel } from 'node:worker_threads';
import fc from 'fast-check';
import {
  decodePart,
  decodePayload,
  detailsOffset,
  encodePayload,
  encodeRange,
  isLongBuffer,
} from '../lib/internals.js';
import { anyValue, assertAlike, knots, Point, roundTrip, roundTripError, tieKnots } from './fixtures/payload-values.js';

describe('payload', () => {
  test('round-trips what structuredClone clones, as structuredClone does', () => {
    fc.assert(
      fc.property(anyValue, knots, (make, links) => {
        const value = tieKnots(make(), links);
        assertAlike(roundTrip(value), structuredClone(value));
      }),
      { numRuns: 3000 },
    );
  });

  test('round-trips what msgpackr alone would change', () => {
    const shared = { x: 1 };
    const buffer = new ArrayBuffer(16);
    const values = [
      { '\ud800': 1 },
      { [`\ufeff${'k'.repeat(80)}`]: 1 },
      [`\ufeff${'x'.repeat(80)}`, '\udfff'],
      // biome-ignore lint/suspicious/noSparseArray: the hole is the case
      Object.assign([, 1], { extra: 1 }),
      'abc'.match(/(?<first>b)/),
      [shared, [shared]],
      [new Uint8Array(buffer), new Uint32Array(buffer)],
      [new Uint8Array(buffer, 0, 8), new Uint8Array(0)],
      { constructor: { name: 'x' }, toJSON: 1, hasOwnProperty: null },
      Object.assign(Object.create(null), { toJSON: 1 }),
      Object.fromEntries(Array.from({ length: 70_000 }, (_, i) => [`key${i}`, i])),
      Object.setPrototypeOf(new Date(5), Object.prototype),
      [{ a: -0 }, Number.NaN, undefined],
      [1, -0],
    ];
    for (const value of values) assertAlike(roundTrip(value), structuredClone(value));
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 3000n), max: 2n ** 3000n }), fc.nat(3000), (big, shift) => {
        assert.deepEqual(roundTrip([big >> BigInt(shift)]), [big >> BigInt(shift)]);
      }),
    );
  });

  test('decodes a range of a larger buffer, and a plain Uint8Array', () => {
    fc.assert(
      fc.property(anyValue, fc.nat(300), (make, start) => {
        const value = make();
        const encoded = encodePayload(value);
        const larger = new Uint8Array(start + encoded.length + 7).fill(0xc1);
        larger.set(encoded, start);
        const end = start + encoded.length;
        assertAlike(decodePayload(Buffer.from(larger), start, end), structuredClone(value));
        assertAlike(decodePayload(larger.subarray(start, end)), structuredClone(value));
      }),
      { numRuns: 500 },
    );
  });

  test('keeps Buffers as Buffers, with their bytes and no others', () => {
    const pooled = Buffer.from('secret bytes of the pool').subarray(7, 12);
    const large = Buffer.alloc(1 << 20, 'abc');
    for (const wrap of [(b: Buffer) => b, (b: Buffer) => ['f', b], (b: Buffer) => new Map([[b, [b, new Date(0)]]])]) {
      for (const buffer of [Buffer.alloc(0), pooled, Buffer.alloc(70_000, 1), large]) {
        const wrapped = wrap(buffer);
        assert.equal(Buffer.from(encodePayload(wrapped)).indexOf('secret'), -1);
        const decoded = roundTrip(wrapped);
        assert.deepEqual(decoded, wrapped);
        const found =
          decoded instanceof Map
            ? [...decoded.keys()][0]
            : decoded instanceof Buffer
              ? decoded
              : (decoded as unknown[])[1];
        assert.ok(found instanceof Buffer);
        if (decoded instanceof Map)
          assert.ok((decoded.get(found) as unknown[])[0] === found, 'one Buffer twice is one Buffer');
      }
    }
  });

  test('keeps several views on one ArrayBuffer on one ArrayBuffer', () => {
    const buffer = new ArrayBuffer(16);
    const decoded = roundTrip([new Uint8Array(buffer), new Float64Array(buffer, 8, 1), buffer]) as [
      Uint8Array,
      Float64Array,
      unknown,
    ];
    assert.equal(decoded[0].buffer, decoded[1].buffer);
    assert.equal(decoded[0].buffer, decoded[2]);
    assert.equal(decoded[1].byteOffset, 8);
    decoded[0][15] = 0x40;
    assert.equal(decoded[1][0], 2);
  });

  test('never lets a decoded value lie in the bytes that it came from', () => {
    const value = {
      buffer: Buffer.from('abc'),
      view: new Uint8Array([1, 2, 3]),
      text: 'é'.repeat(50),
      tagged: [Buffer.from('def'), new Date(0), new Uint16Array(3)],
    };
    for (const item of [value, value.buffer, value.view, { buffer: value.buffer, view: value.view }]) {
      const bytes = Buffer.from(encodePayload(item));
      const [before, after] = [decodePayload(bytes), decodePayload(Buffer.from(bytes))];
      bytes.fill(0xff);
      assert.deepEqual(before, after);
    }
  });

  test('leaves what it returned intact once it is copied, and beyond 64 KiB without a copy', () => {
    const kept: [Uint8Array, unknown][] = [];
    for (let i = 0; i < 200; i++) {
      const small = { i, text: `text ${i}`, bytes: Buffer.alloc(i, i) };
      kept.push([Uint8Array.from(encodePayload(small)), small]);
      for (const large of [
        Buffer.alloc(65_536, i),
        ['f', Buffer.alloc(65_536, i)],
        `${i}`.repeat(70_000),
        [`${i}`.repeat(70_000), new Date(i)],
      ]) {
        if (i % 50 === 0) kept.push([encodePayload(large), large]);
      }
    }
    for (const [bytes, value] of kept) assert.deepEqual(decodePayload(bytes), value);
  });

  test('reads getters, and takes class instances for plain objects', () => {
    assert.deepEqual(
      roundTrip({
        get a() {
          return { b: 1 };
        },
      }),
      { a: { b: 1 } },
    );
    assertAlike(roundTrip([new Point()]), [{ x: 1 }]);

    const shared = { x: 1 };
    const nested = {
      get a() {
        encodePayload([{ other: [1] }]);
        return 1;
      },
    };
    const decoded = roundTrip([shared, nested, shared]) as unknown[];
    assert.deepEqual(decoded, [{ x: 1 }, { a: 1 }, { x: 1 }]);
    assert.equal(decoded[0], decoded[2]);
  });

  test('names the place of what cannot be sent', () => {
    const cycle: Record<string, unknown> = { deep: [{ 'a b': new Set([1, () => {}]) }] };
    cycle['self'] = cycle;
    const cases: [unknown, RegExp][] = [
      [[1, { callback() {} }], /^args\[1\]\.callback is a function, which cannot be sent to another process$/],
      [() => {}, /^args is a function/],
      [{ a: new Map([['k', Symbol('x')]]) }, /^args\.a\.get\("k"\) is a symbol/],
      [cycle, /^args\.deep\[0\]\["a b"\]\.values\(\)\[1\] is a function/],
      [[Promise.resolve()], /^args\[0\] is a Promise/],
      [[new WeakMap()], /^args\[0\] is a WeakMap/],
      [[new WeakRef({})], /^args\[0\] is a WeakRef/],
      [{ m: new SharedArrayBuffer(8) }, /^args\.m is a SharedArrayBuffer/],
      [[Buffer.from(new SharedArrayBuffer(8))], /^args\[0\]/],
      [{ p: new Proxy({}, {}) }, /^args\.p is a proxy/],
      [[new Script('1')], /^args\[0\] is a Script/],
      [[[].values()], /^args\[0\] is a/],
      [[new Error('fine', { cause: () => 1 }), { x: Object(Symbol()) }], /^args\[1\]\.x is a/],
    ];
    for (const [value, message] of cases) {
      assert.throws(() => encodePayload(value, 'args'), {
        name: 'DataCloneError',
        code: 'ERR_BOSUN_DATA_CLONE',
        message,
      });
      assert.deepEqual(roundTrip({ ok: 1 }), { ok: 1 }, 'a refusal leaves nothing behind');
    }
    const { port1, port2 } = new MessageChannel();
    assert.throws(() => encodePayload({ a: { port1 } }), {
      name: 'DataCloneError',
      message: /^value\.a\.port1 is a MessagePort/,
    });
    port1.close();
    port2.close();
  });

  test('refuses a WebAssembly.Module and a detached buffer', () => {
    const { WebAssembly } = globalThis as unknown as { WebAssembly: { Module: new (code: Uint8Array) => object } };
    const module = new WebAssembly.Module(Buffer.from('0061736d01000000', 'hex'));
    const buffer = new ArrayBuffer(8);
    const detached = [buffer, new Uint8Array(buffer), new DataView(buffer), Buffer.from(buffer)];
    structuredClone(buffer, { transfer: [buffer] });
    for (const value of [module, ...detached]) {
      assert.throws(() => encodePayload([value]), { name: 'DataCloneError' });
      assert.throws(() => encodePayload([value, new Date()]), { name: 'DataCloneError' });
    }
    const error = roundTripError(Object.assign(new Error('x'), { detail: { module } })) as { detail: unknown };
    assert.equal(typeof error.detail, 'string');
  });

  test('gives what a getter throws as the cause', () => {
    const thrown = new Error('no');
    const value = [
      {
        get x() {
          throw thrown;
        },
      },
    ];
    assert.throws(() => encodePayload(value), {
      name: 'DataCloneError',
      message: /^value\[0\]\.x threw/,
      cause: thrown,
    });
  });

  test('carries a thousand levels, and refuses more by name', () => {
    for (const depth of [150, 250, 990, 1010, 10_000, 200_000]) {
      let value: unknown = 1;
      for (let i = 0; i < depth; i++) value = i % 2 ? [value] : { value };
      if (depth > 1000) {
        assert.throws(() => encodePayload(value), { name: 'DataCloneError', message: /^value is nested too deeply/ });
        assert.throws(() => encodePayload([new Error('x'), value]), { name: 'DataCloneError' });
        continue;
      }
      for (const item of [value, [new Error('x'), value]]) {
        let decoded = item === value ? roundTrip(item) : (roundTrip(item) as unknown[])[1];
        for (let i = 0; i < depth; i++) decoded = Object.values(decoded as object)[0];
        assert.equal(decoded, 1);
      }
    }
  });

  test('gives own `__proto__` keys back as such, and pollutes nothing', () => {
    const value = JSON.parse('{"__proto__": {"polluted": 1}, "list": [{"__proto__": {"polluted": 1}}]}');
    for (const item of [value, { e: Object.assign(new Error('x'), { data: value }) }, [value, new Error('x')]]) {
      const decoded = roundTrip(item);
      const found = Array.isArray(decoded)
        ? decoded[0]
        : 'e' in (decoded as object)
          ? (decoded as { e: { data: unknown } }).e.data
          : decoded;
      assertAlike(found, value);
      assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
    }
    const error = new Error('x');
    Object.defineProperty(error, '__proto__', { value: { polluted: 1 }, enumerable: true });
    const revived = roundTripError(error) as Error;
    assert.equal(Object.getPrototypeOf(revived), Error.prototype);
    assert.deepEqual(Object.getOwnPropertyDescriptor(revived, '__proto__')?.value, { polluted: 1 });
  });

  test('refuses bytes that are no payload with a ProtocolError', () => {
    const good = [
      { i: 1, s: 'text' },
      [new Date(0), { b: Buffer.from('abc') }],
      Buffer.from('x'),
      new TypeError('x'),
    ].map((value) => Buffer.from(encodePayload(value)));
    for (const bad of [
      Buffer.alloc(0),
      Buffer.from([7]),
      ...good.map((bytes) => bytes.subarray(0, 1)).filter((b) => b[0] !== 1),
    ]) {
      assert.throws(() => decodePayload(bad), { name: 'ProtocolError', code: 'ERR_BOSUN_PROTOCOL' });
    }
    fc.assert(
      fc.property(fc.constantFrom(...good), fc.nat(), fc.nat(255), (bytes, at, to) => {
        const mutant = Buffer.from(bytes);
        mutant[at % mutant.length] = to;
        try {
          decodePayload(mutant);
        } catch (error) {
          assert.equal((error as Error).name, 'ProtocolError');
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('leaves Buffers in bytes that belong to the value, and in no others', () => {
    const shapes = [
      [(b: Buffer) => b, (value: Buffer) => value],
      [(b: Buffer) => ({ b }), (value: { b: Buffer }) => value.b],
      [(b: Buffer) => [b, new Date(0)], (value: [Buffer]) => value[0]],
    ] as const;
    for (const [wrap, unwrap] of shapes) {
      // Longer than what Node.js keeps in its pool.
      const buffer = Buffer.alloc(2 * Buffer.poolSize, 7);
      const bytes = Buffer.from(encodePayload(wrap(buffer)));
      for (const isOwned of [false, true]) {
        const value = decodePayload(bytes, 0, bytes.length, isOwned);
        const decoded = unwrap(value as never);
        assert.deepEqual(decoded, buffer);
        assert.equal(decoded.buffer === bytes.buffer && decoded.byteOffset >= bytes.byteOffset, isOwned);
      }
    }
  });

  test('a range holds the bytes of the payload', () => {
    for (const value of [
      undefined,
      1,
      { i: 1 },
      Buffer.from('abc'),
      Buffer.alloc(70_000, 1),
      [Buffer.alloc(70_000)],
      new Map(),
    ]) {
      const expected = Buffer.from(encodePayload(value));
      const range = encodeRange(value);
      assert.deepEqual(Buffer.from(range.subarray(range.start, range.end)), expected);
    }
    assert.ok(isLongBuffer(Buffer.alloc(70_000)));
    assert.ok(!isLongBuffer(Buffer.alloc(64 * 1024)));
    assert.ok(!isLongBuffer(new Uint8Array(70_000)));
    assert.ok(!isLongBuffer(Buffer.from(new SharedArrayBuffer(70_000))));
  });

  test('the arguments of an encoded function, or fields, are where they are said to be', () => {
    const args = [{ i: 1, s: 'x' }, null];
    for (const length of [1, 31, 32, 200, 255]) {
      const spec = ['f', '', 'u'.repeat(length), 'name', args];
      const bytes = Buffer.from(encodePayload(spec));
      assert.deepEqual(decodePart(bytes, detailsOffset(bytes), bytes.length), args);
    }
    const task = Buffer.from(encodePayload(['c', '', 'u', 'n', { a: 1 }]));
    assert.deepEqual(decodePart(task, detailsOffset(task), task.length), { a: 1 });
    const others = [
      ['f', '', 'u'.repeat(256), 'n', []],
      ['c', '', 'u', 'n', {}, {}],
      ['s', '', []],
      ['f', '', 'u'],
      'f',
      [],
    ];
    for (const other of others) assert.equal(detailsOffset(Buffer.from(encodePayload(other))), -1);
  });
});
