// Tyme: who makes it, who lives by it, and that it does not drift.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Tymee, Tymer, Tymist } from '../lib/index.js';

// biome-ignore lint/suspicious/noExplicitAny: misuse is what these tests are about
type Misuse = any;

const INVALID = { name: 'InvalidArgumentError', code: 'ERR_BOSUN_INVALID_ARGUMENT' };
const OUT_OF_RANGE = { name: 'OutOfRangeError', code: 'ERR_BOSUN_OUT_OF_RANGE' };

describe('Tymist', () => {
  test('begins at 0 and goes on by a 32nd of a second', () => {
    const tymist = new Tymist();
    assert.deepEqual([tymist.tyme, tymist.tock], [0, 0.03125]);
    assert.equal(tymist.tick(), 0.03125);
    assert.equal(tymist.tick(0.75), 0.78125);
    tymist.tock = 0.25;
    assert.equal(tymist.tick(), 1.03125);
    tymist.tyme = 5;
    assert.equal(tymist.tick(), 5.25);
    assert.equal(tymist.tyme, 5.25);
  });

  test('gives a way to read its tyme', () => {
    const tymist = new Tymist({ tyme: 3, tock: 0.5 });
    const tymth = tymist.tymen();
    assert.equal(tymth(), 3);
    tymist.tick();
    assert.equal(tymth(), 3.5);
  });

  test('does not drift: a million ticks of 0.1 s are 100 000 s, and each is the decimal that it stands for', () => {
    const tymist = new Tymist({ tock: 0.1 });
    for (let i = 1; i <= 1_000_000; i++) {
      tymist.tick();
      if (i <= 10_000) assert.equal(tymist.tyme, i / 10);
    }
    assert.equal(tymist.tyme, 100_000);
  });

  test('does not drift with steps that are no decimals, and with others in turn', () => {
    const thirds = new Tymist({ tock: 1 / 3 });
    for (let i = 0; i < 300_000; i++) thirds.tick();
    assert.equal(thirds.tyme, 100_000);
    const mixed = new Tymist();
    for (let i = 0; i < 100_000; i++) {
      mixed.tick(0.1);
      mixed.tick(0.2);
    }
    assert.equal(mixed.tyme, 30_000);
  });

  test('refuses what is no time', () => {
    for (const options of [{ tyme: Number.NaN }, { tock: Number.POSITIVE_INFINITY }, { tock: '1' }] as Misuse[]) {
      assert.throws(() => new Tymist(options), OUT_OF_RANGE);
    }
    assert.throws(() => new Tymist({ tick: 1 } as Misuse), INVALID);
    const tymist = new Tymist();
    assert.throws(() => tymist.tick(Number.NaN), OUT_OF_RANGE);
    assert.throws(() => {
      tymist.tyme = undefined as Misuse;
    }, OUT_OF_RANGE);
    assert.equal(tymist.tyme, 0);
  });
});

describe('Tymee', () => {
  test('has no tyme until it is wound, and then that of who it is wound to', () => {
    const tymee = new Tymee();
    assert.equal(tymee.tyme, undefined);
    const tymist = new Tymist();
    tymee.wind(tymist.tymen());
    assert.equal(tymee.tyme, 0);
    tymist.tick(2);
    assert.equal(tymee.tyme, 2);
    assert.throws(() => tymee.wind(tymist as Misuse), INVALID);
  });
});

describe('Tymer', () => {
  test('knows what is over and what is left', () => {
    const tymist = new Tymist({ tock: 0.3 });
    const tymer = new Tymer({ tymth: tymist.tymen(), duration: 0.9 });
    const seen = [];
    for (let i = 0; i < 5; i++) {
      seen.push([tymer.elapsed, tymer.remaining, tymer.expired]);
      tymist.tick();
    }
    assert.deepEqual(seen, [
      [0, 0.9, false],
      [0.3, 0.6, false],
      [0.6, 0.3, false],
      [0.9, 0, true],
      [1.2, -0.3, true],
    ]);
  });

  test('restarts where it has ended, so that no tyme is lost', () => {
    const tymist = new Tymist({ tock: 0.25 });
    const tymer = new Tymer({ tymth: tymist.tymen(), duration: 1 });
    tymist.tyme = 1.25;
    assert.equal(tymer.restart(), 1);
    assert.deepEqual([tymer.elapsed, tymer.remaining], [0.25, 0.75]);
    assert.equal(tymer.restart(0.5), 2);
    assert.deepEqual([tymer.duration, tymer.expired], [0.5, false]);
    assert.equal(tymer.start(), 1.25);
    assert.equal(tymer.start(2, 1), 1);
    assert.deepEqual([tymer.duration, tymer.remaining], [2, 1.75]);
  });

  test('that restarts ten thousand times is on time', () => {
    const tymist = new Tymist();
    const tymer = new Tymer({ tymth: tymist.tymen(), duration: 0.1 });
    for (let i = 1; i < 10_000; i++) tymer.restart();
    tymist.tyme = 999.9;
    assert.equal(tymer.expired, false);
    tymist.tyme = 1_000;
    assert.equal(tymer.expired, true);
  });

  test('is of no use until it is wound, and starts then', () => {
    const tymer = new Tymer({ duration: 1 });
    assert.throws(() => tymer.expired, { code: 'ERR_BOSUN_FSM' });
    tymer.wind(new Tymist({ tyme: 7 }).tymen());
    assert.deepEqual([tymer.elapsed, tymer.remaining], [0, 1]);
    assert.throws(() => new Tymer({ duration: Number.NaN }), OUT_OF_RANGE);
    assert.throws(() => new Tymer({ limit: 1 } as Misuse), INVALID);
  });
});
