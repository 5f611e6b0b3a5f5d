// Memos between a boss and its hands, to the byte.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  AckDom,
  AddrDom,
  BokDom,
  type ControlMemo,
  EndDom,
  formatMemo,
  InvalidArgumentError,
  MemoDom,
  parseMemo,
  RegDom,
  TagDex,
} from '../lib/index.js';

const ACK = '{"tag":"ACK","name":"boss","load":{"tag":"REG","name":"testy","addr":"/tmp/testy.uxd"}}';

/** What is written, and read again. */
function assertText(memo: ControlMemo, text: string): void {
  assert.equal(formatMemo(memo), text);
  const parsed = parseMemo(text).memo;
  assert.ok(parsed !== undefined && parsed.constructor === memo.constructor);
  assert.deepEqual(parsed, memo);
}

function reasonOf(text: string): string {
  const { memo, reason } = parseMemo(text);
  assert.equal(memo, undefined);
  return reason as string;
}

describe('a memo dom', () => {
  test('is written as the reference does', () => {
    assertText(new RegDom({ name: 'testy' }), '{"tag":"REG","name":"testy","load":{}}');
    assertText(new AckDom({ load: { addr: '/tmp/testy.uxd', name: 'testy', tag: 'REG' } }), ACK);
    assertText(new EndDom(), '{"tag":"END","name":"boss","load":{}}');
    assertText(
      new BokDom({ name: 'chief', load: { hand2: '/tmp/2.uxd', hand1: '/tmp/1.uxd' } }),
      '{"tag":"BOK","name":"chief","load":{"hand2":"/tmp/2.uxd","hand1":"/tmp/1.uxd"}}',
    );
    assertText(
      new RegDom({ name: 'h\u00e4nd "\u{1f44b}"\n' }),
      '{"tag":"REG","name":"h\u00e4nd \\"\u{1f44b}\\"\\n","load":{}}',
    );
  });

  test('has a name if it is given none', () => {
    assert.equal(new RegDom().name, 'hand');
    assert.equal(new EndDom().name, 'boss');
    assert.equal(new BokDom().name, 'boss');
    const { name, load } = new AckDom({ load: { tag: 'REG', name: 'hand', addr: '/a' } });
    assert.equal(name, 'boss');
    assert.ok(load instanceof AddrDom);
  });

  test('is found by its tag', () => {
    assert.deepEqual(
      [...TagDex],
      [
        ['REG', RegDom],
        ['ACK', AckDom],
        ['END', EndDom],
        ['BOK', BokDom],
      ],
    );
    assert.equal(TagDex.has('REG'), true);
    assert.equal(TagDex.has('XYZ'), false);
    for (const [, MemoClass] of TagDex) assert.ok(MemoClass.prototype instanceof MemoDom);
  });

  test('refuses what it cannot hold', () => {
    const wrong = [
      () => new RegDom({ name: '' }),
      () => new RegDom({ name: 1 as never }),
      () => new RegDom({ load: { more: 1 } }),
      () => new EndDom({ laod: {} } as never),
      () => new AckDom({}),
      () => new AckDom({ load: { tag: 'REG', name: 'hand' } as never }),
      () => new BokDom({ load: { hand: 1 as never } }),
      () => new BokDom({ load: [] as never }),
      () => formatMemo({ tag: 'REG', name: 'hand', load: {} } as never),
    ];
    for (const call of wrong) assert.throws(call, InvalidArgumentError);
  });
});

describe('parseMemo', () => {
  test('takes eight inputs as the reference does', () => {
    assert.ok(parseMemo('{"tag":"REG","name":"testy","load":{}}').memo instanceof RegDom);
    const none = [
      ['{"tag": "REG","name":"testy","load":{}}', /begin with a tag/],
      ['{"tag":"reg","name":"testy","load":{}}', /begin with a tag/],
      ['{"tag":"123#$","name":"testy","load":{}}', /begin with a tag/],
      ['', /begin with a tag/],
      ['{"tag":"","name":"testy","load":{}}', /no memo has the tag ''/],
      ['{"tag":"XYZ","name":"testy","load":{}}', /no memo has the tag 'XYZ'/],
      ['{"tag":"REG","name":"testy"}', /no load/],
    ] as const;
    for (const [text, reason] of none) assert.match(reasonOf(text), reason);
  });

  test('takes nothing with other fields, other types, or two tags', () => {
    const none = [
      '{"tag":"REG","load":{}}',
      '{"tag":"REG","name":"testy","load":{},"more":1}',
      '{"tag":"REG","name":7,"load":{}}',
      '{"tag":"REG","name":"","load":{}}',
      '{"tag":"REG","name":null,"load":{}}',
      '{"tag":"REG","name":"testy","load":[]}',
      '{"tag":"REG","name":"testy","load":null}',
      '{"tag":"REG","name":"testy","load":{"a":1}}',
      '{"tag":"REG","name":"testy","load":{}',
      '{"tag":"REG","name":"testy","load":{}} ,',
      '{"tag":"REG","name":"testy","load":{},"tag":"END"}',
      ACK.replace('"addr"', '"address"'),
      ACK.replace('"/tmp/testy.uxd"', '{}'),
      '{"tag":"ACK","name":"boss","load":{}}',
      '{"tag":"BOK","name":"boss","load":{"hand":1}}',
      '{"tag":"BOK","name":"boss","load":{"":"/a"}}',
      '{"tag":"REG","name":"testy","load":{},"__proto__":{"name":"x"}}',
    ];
    for (const text of none) assert.notEqual(reasonOf(text), '', text);
  });

  test('takes a hand by the name of __proto__ for a hand', () => {
    const text = '{"tag":"BOK","name":"boss","load":{"__proto__":"/a","constructor":"/b"}}';
    const { memo } = parseMemo(text);
    assert.ok(memo instanceof BokDom);
    assert.deepEqual(Object.entries(memo.load), [
      ['__proto__', '/a'],
      ['constructor', '/b'],
    ]);
    assert.equal(memo.load['toString'], undefined);
    assert.equal(formatMemo(memo), text);
    assert.equal(({} as Record<string, unknown>)['name'], undefined);
  });

  test('reads whatever is written, and throws nothing at anything else', () => {
    const word = fc.string({ unit: 'binary', minLength: 1 });
    const book = fc.dictionary(word, word, { noNullPrototype: false });
    const memo = fc.oneof(
      word.map((name) => new RegDom({ name })),
      word.map((name) => new EndDom({ name })),
      fc.tuple(word, word, word).map(([name, tag, addr]) => new AckDom({ name, load: { tag, name, addr } })),
      fc.tuple(word, book).map(([name, load]) => new BokDom({ name, load })),
    );
    const written = fc.property(memo, (memo) => assertText(memo as ControlMemo, formatMemo(memo)));
    fc.assert(written, { numRuns: 150 });
    const mutated = fc.property(memo, fc.nat(), fc.string({ maxLength: 3 }), (memo, at, chars) => {
      const text = formatMemo(memo);
      const place = at % text.length;
      const { memo: read, reason } = parseMemo(text.slice(0, place) + chars + text.slice(place + 1));
      assert.equal(read === undefined, typeof reason === 'string');
    });
    fc.assert(mutated, { numRuns: 150 });
    fc.assert(
      fc.property(fc.json(), (text) => void parseMemo(`{"tag":"BOK","name":"boss","load":${text}}`)),
      { numRuns: 150 },
    );
  });
});
