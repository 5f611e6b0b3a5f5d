// Loads of a crew: what they may be, and how they are kept.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CrewLoad, type CrewLoadOptions, InvalidArgumentError, OutOfRangeError } from '../lib/index.js';

const crewer = { module: 'bosun', export: 'Crewer' };

describe('a CrewLoad', () => {
  test('is a Crewer in real time, without a limit, unless it says more', () => {
    const expected = {
      name: 'child',
      tyme: 0,
      tock: null,
      real: true,
      limit: null,
      doers: [crewer],
      temp: null,
      boss: null,
    };
    assert.equal(JSON.stringify(new CrewLoad()), JSON.stringify(expected));
  });

  test('comes back from a file as it was', () => {
    const store = { module: new URL('file:///srv/store.js'), export: 'Store', options: { shelf: ['left', 1] } };
    const load = new CrewLoad({
      name: 'store',
      tock: 0.5,
      limit: 60,
      doers: [crewer, store],
      restart: 'always',
      temp: true,
    });
    const again = [
      CrewLoad.fromJSON(JSON.stringify(load)),
      CrewLoad.fromCBOR(load.toCBOR()),
      CrewLoad.fromMsgpack(load.toMsgpack()),
    ];
    for (const one of again) {
      assert.deepEqual(one, load);
      assert.equal(one.doers[1]?.module, 'file:///srv/store.js');
      assert.deepEqual({ ...one.doers[1]?.options }, { shelf: ['left', 1] });
    }
    // The bytes of both are those of a map, for whoever reads them.
    assert.deepEqual([load.toCBOR()[0], load.toMsgpack()[0]], [0xa9, 0xde]);
  });

  test('has nothing that it does not know, and nothing of a wrong kind', () => {
    const wrong: readonly object[] = [
      { doer: [] },
      { name: '' },
      { name: 'a/b' },
      { name: 'x'.repeat(65) },
      { real: 1 },
      { temp: 'yes' },
      { restart: 'again' },
      { doers: {} },
      { doers: [{ module: 'bosun' }] },
      { doers: [{ module: 'bosun', export: '__proto__' }] },
      { doers: [{ module: 'http://example.com/a.js', export: 'A' }] },
      { doers: [{ ...crewer, options: 'none' }] },
      { doers: [() => {}] },
    ];
    for (const options of wrong) {
      assert.throws(() => new CrewLoad(options as CrewLoadOptions), InvalidArgumentError, JSON.stringify(options));
    }
    assert.throws(() => new CrewLoad({ tock: Number.NaN }), OutOfRangeError);
    assert.throws(() => new CrewLoad({ limit: 'long' as never }), OutOfRangeError);
  });

  test('is not read from what is none', () => {
    assert.throws(() => CrewLoad.fromJSON('{'), InvalidArgumentError);
    assert.throws(() => CrewLoad.fromJSON('[]'), InvalidArgumentError);
    assert.throws(() => CrewLoad.fromCBOR(Uint8Array.of(0xff)), InvalidArgumentError);
    assert.throws(() => CrewLoad.fromMsgpack(Uint8Array.of(0xc1)), InvalidArgumentError);
    assert.throws(() => CrewLoad.fromJSON('{"name":"a","__proto__":{"doers":[]},"x":1}'), InvalidArgumentError);
  });
});
