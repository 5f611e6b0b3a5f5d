// Memos cut into grams and joined again: to the byte as the reference has it, in any order, and within limits.

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import {
  type DropReason,
  type GramSource,
  InvalidArgumentError,
  type Memo,
  Memoer,
  type MemoerOptions,
  OutOfRangeError,
  SizeError,
} from '../lib/index.js';

const ID = '0AD5s502N14R8bWw8qyvRW-S';
const HERE: GramSource = { path: '/here.uxd', pid: 1, uid: 1 };

/** The memos that these make. */
function join(memoer: Memoer, grams: Iterable<Uint8Array>, source = HERE): Memo[] {
  return [...grams].map((gram) => memoer.join(gram, source)).filter((memo) => memo !== undefined);
}

const texts = (memos: Memo[]) => memos.map(({ text }) => text);
const bodies = (memo: string) => [...new Memoer({ size: 38 }).cut(memo)].map((gram) => gram.toString().slice(32));

function ascii(...grams: string[]): Buffer[] {
  return grams.map((gram) => Buffer.from(gram));
}

/** Only these, and each so often. */
function assertDropped(memoer: Memoer, drops: Partial<Record<DropReason, number>>): void {
  assert.deepEqual(memoer.drops, { malformed: 0, foreign: 0, long: 0, crowded: 0, incomplete: 0, ...drops });
}

describe('the grams of a memo', () => {
  test('are as the reference cuts them', () => {
    assert.deepEqual(bodies('Hello there.'), ['Hello ', 'there.']);
    assert.deepEqual(bodies('How ya doing?'), ['How ya', ' doing', '?']);
    assert.equal(bodies('x'.repeat(28)).length, 5);
    assert.equal(bodies('x'.repeat(24)).length, 4);
    assert.deepEqual(bodies(''), ['']);
  });

  test('begin with 32 characters: code, count or number, memo id', () => {
    const grams = [...new Memoer({ size: 38 }).cut('How ya doing?')].map(String);
    const id = (grams[0] as string).slice(8, 32);
    // A random UUID (version 4) behind 0A and four bits that are 0.
    const uuid = Buffer.from(`AA${id.slice(2)}`, 'base64url').toString('hex');
    assert.match(`${id.slice(0, 2)} ${uuid}`, /^0A 0000[\da-f]{12}4[\da-f]{3}[89ab][\da-f]{15}$/);
    assert.deepEqual(grams, [`bAAAAAAD${id}How ya`, `bAABAAAB${id} doing`, `bAABAAAC${id}?`]);
    const others = new Set(Array.from({ length: 1_000 }, () => String(new Memoer().cut('').at(0)).slice(8, 32)));
    assert.equal(others.size, 1_000);
  });

  test('begin with the 24 bytes that these stand for, if they are curt', () => {
    const memoer = new Memoer({ size: 38, curt: true });
    const grams = [...memoer.cut('x'.repeat(15))];
    assert.deepEqual(
      grams.map(({ length }) => length),
      [38, 25],
    );
    const [first, second] = grams.map((gram) => gram.toString('hex')) as [string, string];
    const id = first.slice(12, 48);
    assert.match(id, /^d000/);
    assert.equal(first, `6c0000000002${id}${'78'.repeat(14)}`);
    assert.equal(second, `6c0001000001${id}78`);
  });

  test('are as long as size says, and no shorter than needed', () => {
    const grams = [...new Memoer().cut(Buffer.alloc(100_000))];
    assert.deepEqual(
      grams.map(({ length }) => length),
      [...new Array(6).fill(16_384), 100_000 - 6 * (16_384 - 32) + 32],
    );
    assert.equal([...new Memoer({ size: 33 }).cut('abc')].length, 3);
    assert.equal((new Memoer({ size: 65_535 }).cut('x'.repeat(65_503)).at(0) as Buffer).length, 65_535);
  });
});

describe('a Memoer', () => {
  test('joins the grams of the reference, in text and in base2', () => {
    const memoer = new Memoer();
    const text = ascii(`bAAAAAAC${ID}Hello `, `bAABAAAB${ID}There`);
    assert.deepEqual(texts(join(memoer, text)), ['Hello There']);
    // The same id: known by now.
    assert.deepEqual(join(memoer, text), []);
    const binary = [
      '6c0000000002d000f9b39d36375e11f1b5b0f2acaf456f92' + '48656c6c6f20',
      '6c0001000001d000f9b39d36375e11f1b5b0f2acaf456f92' + '5468657265',
    ].map((gram) => Buffer.from(gram, 'hex'));
    assert.deepEqual(texts(join(new Memoer(), binary)), ['Hello There']);
    // As other versions of the reference have it: the id before the number.
    const older = ascii(`bAAA${ID}AAACHello `, `bAAB${ID}AAABThere`);
    assert.deepEqual(texts(join(new Memoer(), older)), ['Hello There']);
    // One of each: what a memo is, does not depend on how its header is written.
    assert.deepEqual(texts(join(new Memoer(), [text[0] as Buffer, binary[1] as Buffer])), ['Hello There']);
    assert.deepEqual(texts(join(new Memoer(), [binary[0] as Buffer, text[1] as Buffer])), ['Hello There']);
    assertDropped(memoer, {});
  });

  test('does not mind the order, nor grams that come again', () => {
    const memoer = new Memoer({ size: 38 });
    const grams = [...memoer.cut('How ya doing?')].reverse();
    assert.deepEqual(texts(join(memoer, [...grams.slice(0, 2), ...grams, ...grams])), ['How ya doing?']);
    assert.equal(memoer.partialCount, 0);
    assertDropped(memoer, {});
  });

  test('joins an empty memo, and characters that are cut in two', () => {
    const memoer = new Memoer({ size: 33 });
    assert.deepEqual(texts(join(memoer, memoer.cut(''))), ['']);
    assert.deepEqual(texts(join(memoer, memoer.cut('h\u00e4 \u{1f44b}'))), ['h\u00e4 \u{1f44b}']);
    const [memo] = join(memoer, memoer.cut(Uint8Array.of(0xff, 0, 1)));
    assert.deepEqual(memo?.bytes, Buffer.of(0xff, 0, 1));
    assert.equal(memo?.source, HERE);
  });

  test('takes the grams of a memo from who has sent the first of them', () => {
    const memoer = new Memoer({ size: 38 });
    const [first, second] = [...memoer.cut('Hello there.')] as [Buffer, Buffer];
    assert.deepEqual(join(memoer, [first]), []);
    const others = [
      { ...HERE, path: '/there.uxd' },
      { ...HERE, pid: 2 },
    ];
    for (const other of others) assert.deepEqual(join(memoer, [first, second], other), []);
    assertDropped(memoer, { foreign: 4 });
    assert.deepEqual(texts(join(memoer, [second])), ['Hello there.']);
    for (const other of others) assert.deepEqual(join(memoer, [first, second], other), []);
    assertDropped(memoer, { foreign: 8 });
  });

  test('drops, and counts, what is no gram, and what does not go with the others', () => {
    const memoer = new Memoer();
    const none = [
      '',
      'hello',
      `bAAAAAAB${ID.slice(0, -1)}`,
      `bAAAAAAA${ID}Body`,
      `bAABAAAA${ID}Body`,
      `bAACAAAB${ID}Body`,
      `baAAAAAB${ID}Body`,
      `bAAAAAAB1A${ID.slice(2)}Body`,
      `bAAAAAAB0AQ${ID.slice(3)}Body`,
      `bAAAAAAB${ID.slice(1)}==Body`,
      `bAAAAAAB${ID.slice(1)}\u00e9Body`,
      // Of several, and nothing in it.
      `bAAAAAAC${ID}`,
      `bAABAAAC${ID}`,
      '\x6c\0\0\xd0',
    ];
    assert.deepEqual(
      join(
        memoer,
        none.map((gram) => Buffer.from(gram, 'latin1')),
      ),
      [],
    );
    assertDropped(memoer, { malformed: none.length });
    assert.equal(memoer.partialCount, 0);
    // Number 2 of two, a first one that says two when number 2 is there, and one that is all of what has three parts.
    const seen = join(
      memoer,
      ascii(`bAABAAAC${ID}c`, `bAAAAAAC${ID}a`, `bAAAAAAB${ID}a`, `bAAAAAAD${ID}a`, `bAABAAAD${ID}d`),
    );
    assert.deepEqual(seen, []);
    assertDropped(memoer, { malformed: none.length + 3 });
    assert.deepEqual(texts(join(memoer, ascii(`bAABAAAB${ID}b`))), ['abc']);
  });

  test('refuses sizes that cannot be', () => {
    for (const size of [32, 65_536, 1_000_000, 40.5, '40', Number.NaN]) {
      assert.throws(() => new Memoer({ size: size as number }), OutOfRangeError, String(size));
    }
    for (const options of [{ maxMemoBytes: 2 ** 32 }, { maxMemoBytes: 0 }, { expiry: 0 }, { maxPartialBytes: -1 }]) {
      assert.throws(() => new Memoer(options), OutOfRangeError, JSON.stringify(options));
    }
    for (const options of [{ curt: 1 }, { sise: 40 }, { onDrop: true }, null]) {
      assert.throws(() => new Memoer(options as unknown as MemoerOptions), InvalidArgumentError);
    }
    assert.throws(() => new Memoer().cut(1 as unknown as string), InvalidArgumentError);
  });

  test('refuses memos that are too long, in bytes and in grams', () => {
    const memoer = new Memoer({ maxMemoBytes: 10 });
    assert.throws(() => memoer.cut('x'.repeat(11)), SizeError);
    assert.throws(() => memoer.cut('\u00e9'.repeat(6)), SizeError);
    assert.throws(() => memoer.cut(Buffer.alloc(11)), SizeError);
    assert.equal([...memoer.cut('\u00e9'.repeat(5))].length, 1);
    assert.throws(() => new Memoer({ size: 33 }).cut(Buffer.alloc(0xd0_00_00)), SizeError);
    assert.equal(new Memoer({ size: 33 }).cut(Buffer.alloc(0xcf_ff_ff)).length, 0xcf_ff_ff);
  });

  test('joins no memo that is too long, and says so once for each', () => {
    const dropped: [DropReason, GramSource][] = [];
    const memoer = new Memoer({ maxMemoBytes: 10, onDrop: (...drop) => dropped.push(drop) });
    const other = new Memoer({ size: 38 });
    assert.deepEqual(join(memoer, new Memoer().cut('x'.repeat(11))), []);
    assert.deepEqual(join(memoer, other.cut('Hello there, you')), []);
    // It says that it has more grams than there may be bytes.
    assert.deepEqual(join(memoer, ascii(`bAAA____${ID}x`, `bAABAAAB${ID}x`)), []);
    assert.deepEqual(dropped, new Array(3).fill(['long', HERE]));
    assert.equal(memoer.partialCount, 0);
    assert.deepEqual(texts(join(memoer, other.cut('Hello you.'))), ['Hello you.']);
  });

  test('gives up the oldest memo of those that take too much', () => {
    const memoer = new Memoer({ size: 132, maxMemoBytes: 4_000, maxPartialBytes: 4_000 });
    const memos = Array.from({ length: 5 }, (_, i) => [...memoer.cut(Buffer.alloc(300, i))]);
    // Each gram takes 512 bytes on top of its body: six of them are what fits.
    for (const [first, second] of memos as [Buffer, Buffer][]) join(memoer, [first, second]);
    assertDropped(memoer, { crowded: 2 });
    const whole = memos.flatMap(([, , third]) => join(memoer, [third as Buffer]));
    assert.deepEqual(
      whole.map(({ bytes }) => bytes),
      [2, 3, 4].map((i) => Buffer.alloc(300, i)),
    );
    assert.equal(memoer.partialCount, 0);
  });
});

describe('a memo of which grams are missing', () => {
  function begin(t: TestContext): { memoer: Memoer; grams: Buffer[]; tick: (milliseconds: number) => void } {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const memoer = new Memoer({ size: 38, expiry: 1_000 });
    const grams = [...memoer.cut('How ya doing?')];
    join(memoer, [grams[0] as Buffer]);
    return { memoer, grams, tick: (milliseconds) => t.mock.timers.tick(milliseconds) };
  }

  test('is dropped, and what comes of it then is not the beginning of another', (t) => {
    const { memoer, grams, tick } = begin(t);
    tick(1_000);
    tick(999);
    assert.equal(memoer.partialCount, 1);
    tick(1);
    assert.equal(memoer.partialCount, 0);
    assertDropped(memoer, { incomplete: 1 });
    assert.deepEqual(join(memoer, grams), []);
    assert.equal(memoer.partialCount, 0);
  });

  test('is kept as long as there comes more of it', (t) => {
    const { memoer, grams, tick } = begin(t);
    tick(1_000);
    tick(500);
    join(memoer, [grams[1] as Buffer]);
    tick(500);
    tick(900);
    assert.deepEqual(texts(join(memoer, [grams[2] as Buffer])), ['How ya doing?']);
    assertDropped(memoer, {});
  });

  test('is kept while nobody reads', (t) => {
    const { memoer, grams, tick } = begin(t);
    memoer.pause();
    tick(100_000);
    join(memoer, [grams[1] as Buffer]);
    tick(100_000);
    memoer.resume();
    tick(1_000);
    assert.equal(memoer.partialCount, 1);
    tick(1_000);
    assertDropped(memoer, { incomplete: 1 });
  });

  test('is dropped by clear()', (t) => {
    const { memoer } = begin(t);
    memoer.clear();
    assertDropped(memoer, { incomplete: 1 });
    assert.equal(memoer.partialCount, 0);
  });
});

describe('whatever is sent', () => {
  test('arrives once, in any order, cut to any size, with grams that come again, among others', () => {
    const memo = fc.oneof(fc.string({ unit: 'binary', maxLength: 300 }), fc.uint8Array({ maxLength: 300 }));
    const sent = fc.record({ memo, size: fc.integer({ min: 33, max: 200 }), curt: fc.boolean() });
    const property = fc.property(fc.array(sent, { maxLength: 5 }), fc.infiniteStream(fc.nat()), (all, draws) => {
      const grams = all.flatMap(({ memo, size, curt }) => [...new Memoer({ size, curt }).cut(memo)]);
      const again = grams.filter(() => (draws.next().value as number) % 3 === 0);
      const order = [...grams, ...again].map((gram) => ({ gram, at: draws.next().value as number }));
      order.sort((a, b) => a.at - b.at);
      const memoer = new Memoer();
      const joined = join(
        memoer,
        order.map(({ gram }) => gram),
      );
      const wanted = all.map(({ memo }) => Buffer.from(memo as string).toString('hex'));
      assert.deepEqual(joined.map(({ bytes }) => bytes.toString('hex')).sort(), wanted.sort());
      assert.equal(memoer.partialCount, 0);
      assertDropped(memoer, {});
    });
    fc.assert(property, { numRuns: 150 });
  });

  test('throws nothing, and takes no more than it may: random grams, and real ones with wrong bytes', () => {
    const most = 20_000;
    const memoer = new Memoer({ maxMemoBytes: 5_000, maxPartialBytes: most });
    const cutter = new Memoer({ size: 60 });
    const source = fc.constantFrom(HERE, { path: '', pid: undefined, uid: undefined }, { ...HERE, pid: 2 });
    const real = fc
      .tuple(fc.string({ minLength: 60, maxLength: 200 }), fc.nat(), fc.nat(40), fc.nat(255))
      .map(([memo, which, at, byte]) => {
        const grams = cutter.cut(memo);
        const gram = Buffer.from(grams.at(which % grams.length));
        gram[at % gram.length] = byte;
        return gram;
      });
    const header = fc
      .tuple(fc.constantFrom('6c0000', '6c0001'), fc.constantFrom('00', '01'), fc.nat(0xcf_ff_ff), fc.uint8Array())
      .map(([code, id, number, body]) =>
        Buffer.concat([Buffer.from(`${code}d000${id.repeat(16)}${number.toString(16).padStart(6, '0')}`, 'hex'), body]),
      );
    const gram = fc.oneof(fc.uint8Array({ maxLength: 70 }), real, header);
    let grams = 0;
    const property = fc.property(gram, source, (gram, source) => {
      memoer.join(gram, source);
      grams += 1;
      assert.ok(memoer.partialCount <= most / 512, `${memoer.partialCount} of ${grams}`);
    });
    fc.assert(property, { numRuns: 2_000 });
    const { malformed, foreign, crowded } = memoer.drops;
    assert.ok(malformed > 0 && foreign > 0 && crowded > 0, JSON.stringify(memoer.drops));
  });
});
