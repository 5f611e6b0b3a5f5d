// Doists by the clock: what wakes them, in which order, and how often. How long it takes is nobody's business here.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import { DoDoer, Doer, Doist, doify } from '../lib/index.js';

const FOREVER = Number.POSITIVE_INFINITY;

/** How many timers were set since. */
function countTimers(t: TestContext): () => number {
  const spy = t.mock.method(globalThis, 'setTimeout');
  return () => spy.mock.callCount();
}

describe('a Doist in real time', () => {
  test('runs doers in the order in which they are due', async () => {
    const seen: string[] = [];
    const make = (name: string, rest: number) =>
      doify(function* () {
        yield;
        for (let i = 0; i < 2; i++) {
          yield rest;
          seen.push(name);
        }
      });
    const doist = new Doist({ real: true, doers: [make('slow', 0.3), make('fast', 0.01)] });
    await doist.do();
    assert.deepEqual(seen, ['fast', 'fast', 'slow', 'slow']);
    assert.ok(doist.done);
    assert.ok(doist.tyme >= 0.6, String(doist.tyme));
  });

  test('sleeps until it is woken when nothing is due, with one timer', async (t) => {
    const timers = countTimers(t);
    let runs = 0;
    class Sleeper extends Doer {
      override recur(): boolean {
        runs += 1;
        return runs === 4;
      }
    }
    const sleeper = new Sleeper({ tock: FOREVER });
    const doist = new Doist({ real: true, doers: [new DoDoer({ doers: [sleeper] })] });
    const end = doist.do();
    for (let expected = 1; expected < 4; expected++) {
      for (let i = 0; i < 50; i++) await turn();
      assert.equal(runs, expected);
      // Wakes of one turn make one run.
      sleeper.wake();
      sleeper.wake();
    }
    await end;
    assert.equal(doist.done, true);
    assert.equal(runs, 4);
    assert.ok(timers() <= 6, `${timers()} timers`);
  });

  test('a doer that waits holds no other one, and goes on when it has what it waited for', async () => {
    const seen: string[] = [];
    const target = new EventTarget();
    const doist = new Doist({
      real: true,
      doers: [
        doify(async function* () {
          yield;
          const event = await once(target, 'go');
          seen.push(`has ${event.length}`);
        }),
        doify(function* () {
          for (let i = 0; i < 3; i++) {
            yield 0.001;
            seen.push('runs');
          }
          target.dispatchEvent(new Event('go'));
          yield 0.001;
        }),
      ],
    });
    await doist.do();
    assert.deepEqual(seen, ['runs', 'runs', 'runs', 'has 1']);
  });

  test('enters one behind the other, whatever they wait for', async () => {
    const seen: string[] = [];
    class Slow extends Doer {
      readonly #name: string;
      readonly #ms: number;
      constructor(name: string, ms: number) {
        super();
        this.#name = name;
        this.#ms = ms;
      }
      override async enter(): Promise<void> {
        await pause(this.#ms, undefined, { signal: this.signal });
        seen.push(`${this.#name} enters`);
      }
      override recur(): boolean {
        seen.push(`${this.#name} runs`);
        return true;
      }
      override async exit(): Promise<void> {
        seen.push(`${this.#name} exits`);
      }
    }
    await new Doist({ real: true, doers: [new Slow('a', 5), new Slow('b', 1)] }).do();
    assert.deepEqual(seen, ['a enters', 'b enters', 'a runs', 'a exits', 'b runs', 'b exits']);
    seen.length = 0;
    const controller = new AbortController();
    const doist = new Doist({ real: true, doers: [new Slow('a', 1), new Slow('b', 1_000_000), new Slow('c', 1)] });
    setTimeout(() => controller.abort(), 5);
    await doist.do({ signal: controller.signal });
    assert.deepEqual([seen, doist.done], [['a enters', 'b exits', 'a exits'], false]);
  });

  test('ends at its limit, by its signal and by exit() while all sleep', async () => {
    const make = () =>
      doify(function* () {
        for (;;) yield FOREVER;
      });
    const limited = new Doist({ real: true, limit: 0.01, doers: [make()] });
    await limited.do();
    assert.ok(limited.tyme >= 0.01);
    const controller = new AbortController();
    const aborted = new Doist({ real: true, doers: [make()] });
    const abortedEnd = aborted.do({ signal: controller.signal });
    const ended = new Doist({ real: true, doers: [make()] });
    const end = ended.do();
    await turn();
    controller.abort();
    await Promise.all([abortedEnd, ended.exit(), end]);
    assert.deepEqual([limited.done, aborted.done, ended.done], [false, false, false]);
    assert.deepEqual([limited.deeds, aborted.deeds, ended.deeds], [[], [], []]);
  });

  test('leaves no listener on a signal', async () => {
    const { signal } = new AbortController();
    let added = 0;
    let removed = 0;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      added += 1;
      addEventListener.apply(signal, args);
    };
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      removed += 1;
      removeEventListener.apply(signal, args);
    };
    await new Doist({ real: true }).do({ signal });
    assert.deepEqual([added, removed], [1, 1]);
  });

  test('makes up for nothing that it has missed', async () => {
    let runs = 0;
    const doist = new Doist({
      real: true,
      doers: [
        doify(function* () {
          yield;
          yield 0.001;
          // The event loop is blocked for fifty rests.
          const end = performance.now() + 50;
          while (performance.now() < end);
          const before = runs;
          yield 0.001;
          runs = runs - before;
        }),
        doify(function* () {
          yield;
          for (let i = 0; i < 100; i++) {
            yield 0.001;
            runs += 1;
            if (doist.deeds.length === 1) return;
          }
        }),
      ],
    });
    await doist.do();
    assert.ok(runs < 10, `${runs} runs`);
  });

  test('has a tyme that goes with the clock between its cycles, and stands still in them', async () => {
    const doist = new Doist({ real: true, tyme: 100 });
    assert.equal(doist.tyme, 100);
    let seen: number[] = [];
    await doist.extend([
      doify(function* (tymth) {
        yield;
        const before = tymth();
        const end = performance.now() + 2;
        while (performance.now() < end);
        seen = [tymth() - before];
        yield FOREVER;
      }),
    ]);
    const end = doist.do();
    await turn();
    await pause(2);
    const before = doist.tyme;
    await pause(2);
    assert.ok(before > 100);
    assert.ok(doist.tyme > before);
    await doist.exit();
    await end;
    assert.deepEqual(seen, [0]);
    const last = doist.tyme;
    await pause(2);
    assert.equal(doist.tyme, last);
  });
});
