// Doists in simulated time: which doer runs when, in which order, and that two runs are the same.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { DoDoer, Doer, Doist, doify } from '../lib/index.js';

// biome-ignore lint/suspicious/noExplicitAny: misuse is what these tests are about
type Misuse = any;

const INVALID = { name: 'InvalidArgumentError', code: 'ERR_BOSUN_INVALID_ARGUMENT' };
const OUT_OF_RANGE = { name: 'OutOfRangeError', code: 'ERR_BOSUN_OUT_OF_RANGE' };

/** Notes the tyme of its runs, of which it has so many. */
class Runner extends Doer {
  readonly tymes: number[] = [];
  readonly #runs: number;
  readonly #onExit: () => void;

  constructor(tock: number, runs = Number.POSITIVE_INFINITY, onExit = () => {}) {
    super({ tock });
    this.#runs = runs;
    this.#onExit = onExit;
  }

  override recur(tyme: number): boolean {
    this.tymes.push(tyme);
    return this.tymes.length >= this.#runs;
  }

  override exit(): void {
    this.#onExit();
  }
}

const retymes = (doist: Doist) => doist.deeds.map(({ retyme }) => retyme);

describe('a Doist by hand', () => {
  test('runs each doer when it is due', async () => {
    const doers = [new Runner(0.25, 4), new Runner(0.5, 4)] as const;
    const doist = new Doist({ tock: 0.25, doers });
    assert.equal(doist.done, undefined);
    await doist.enter();
    assert.deepEqual(retymes(doist), [0, 0]);
    const seen = [];
    for (let i = 0; i < 3; i++) {
      await doist.recur();
      seen.push(retymes(doist));
    }
    assert.deepEqual(seen, [
      [0.25, 0.5],
      [0.5, 0.5],
      [0.75, 1],
    ]);
    assert.equal(doist.tyme, 0.75);
    await doist.recur();
    assert.deepEqual([doers[0].done, doers[0].tymes], [true, [0, 0.25, 0.5, 0.75]]);
    for (let i = 0; i < 3; i++) await doist.recur();
    assert.deepEqual([doers[1].done, doers[1].tymes], [true, [0, 0.5, 1, 1.5]]);
    assert.deepEqual([doist.deeds, doist.tyme], [[], 1.75]);
    await doist.exit();
  });

  test('needs no wait where its doers need none', () => {
    const doer = new Runner(0, 2);
    const doist = new Doist({ doers: [new DoDoer({ doers: [doer] })] });
    void doist.enter();
    void doist.recur();
    void doist.recur();
    assert.deepEqual([doer.tymes, doist.deeds], [[0, 0.03125], []]);
  });

  test('ends what is left, the last one first', async () => {
    const exits: number[] = [];
    const doers = [1, 2, 3].map((number) => new Runner(0, number === 2 ? 1 : 9, () => exits.push(number)));
    await using doist = new Doist({ doers });
    await doist.enter();
    await doist.recur();
    await doist.exit();
    await doist.exit();
    assert.deepEqual(exits, [2, 3, 1]);
    assert.deepEqual(
      doers.map(({ done }) => done),
      [false, true, false],
    );
  });
});

describe('do()', () => {
  test('ends one tock behind the last run', async () => {
    const doers = [new Runner(0.25, 4), new Runner(0.5, 4)];
    const doist = new Doist({ tock: 0.25, doers });
    await doist.do();
    assert.deepEqual([doist.done, doist.tyme], [true, 1.75]);
  });

  test('ends at the limit, where nobody runs any more, and says so', async () => {
    const doers = [new Runner(0), new Runner(0.3), new Runner(7)] as const;
    const doist = new Doist({ tock: 0.1, limit: 1, doers });
    await doist.do();
    assert.deepEqual([doist.done, doist.tyme], [false, 1]);
    assert.deepEqual(doers[0].tymes, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]);
    assert.deepEqual([doers[1].tymes, doers[2].tymes], [[0, 0.3, 0.6, 0.9], [0]]);
    await doist.do({ limit: -0.2 });
    assert.deepEqual([doist.tyme, doers[0].tymes.slice(10)], [1.2, [1, 1.1]]);
    await doist.do({ limit: 0.1, tyme: 5, doers: [doers[2]] });
    assert.deepEqual([doist.tyme, doers[2].tymes.at(-1), doist.doers.length], [5.1, 5, 1]);
  });

  test('of no doers is done at once', async () => {
    const doist = new Doist();
    await doist.do();
    assert.deepEqual([doist.done, doist.name], [true, 'doist']);
  });

  test('goes where the next one is due without a run of nobody in between', async () => {
    const doist = new Doist({ tock: 0.001, doers: [new Runner(100_000, 4)] });
    await doist.do();
    assert.deepEqual([doist.done, doist.tyme], [true, 300_000.001]);
  });

  test('without a tock goes to where the next one is due', async () => {
    const doers = [new Runner(0.3, 4), new Runner(0.7, 2)] as const;
    const doist = new Doist({ tock: 0, doers });
    await doist.do();
    assert.deepEqual(
      [doers[0].tymes, doers[1].tymes],
      [
        [0, 0.3, 0.6, 0.9],
        [0, 0.7],
      ],
    );
  });

  test('does not drift: doers of one beat meet for ever, and stay with the tyme', async () => {
    for (const [tock, factor] of [
      [0.1, 7],
      [0.3, 3],
      [1 / 3, 3],
      [0.0125, 11],
    ] as const) {
      const fast = new Runner(tock, 7_000);
      const slow = new Runner(tock * factor, Math.floor(6_999 / factor) + 1);
      const late = new Runner(tock, 1_000);
      const doist = new Doist({ tock, doers: [fast, slow] });
      let met = 0;
      await doist.extend([
        doify(function* () {
          let tyme = yield;
          for (let i = 0; i < 6_999; i++) {
            if (fast.tymes.at(-1) === tyme && slow.tymes.at(-1) === tyme) met += 1;
            if (i === 1_234) void doist.extend([late]);
            tyme = yield;
          }
        }),
      ]);
      await doist.do();
      assert.equal(met, Math.floor(6_998 / factor) + 1);
      assert.ok(Math.abs((fast.tymes.at(-1) as number) - 6_999 * tock) < 1e-9);
      // One that joins later misses no cycle either.
      assert.deepEqual(late.tymes, fast.tymes.slice(1_235, 2_235));
    }
  });

  test('misses no cycle of one that comes at any time, whatever tyme is rounded by', async () => {
    for (const tock of [1 / 3, 2 / 7, 0.1]) {
      const base = new Runner(tock);
      await using doist = new Doist({ tock, doers: [base] });
      await doist.enter();
      const late: Runner[] = [];
      for (let i = 0; i < 300; i++) {
        const runner = new Runner(tock, 8);
        late.push(runner);
        await doist.extend([runner]);
        await doist.recur();
      }
      for (const [i, { tymes }] of late.entries()) assert.deepEqual(tymes, base.tymes.slice(i, i + 8));
    }
  });

  test('runs one that rests less than a tock once a tock', async () => {
    const doer = new Runner(0.1, 4);
    await new Doist({ tock: 0.25, doers: [doer] }).do();
    assert.deepEqual(doer.tymes, [0, 0.25, 0.5, 0.75]);
  });

  test('ends when its signal is aborted', async () => {
    const controller = new AbortController();
    const doer = new Runner(0);
    const stop = doify(function* () {
      for (let i = 0; i < 5; i++) yield;
      controller.abort();
      yield 1;
    });
    const doist = new Doist({ doers: [doer, stop] });
    await doist.do({ signal: controller.signal });
    assert.deepEqual([doist.done, doer.done, doer.tymes.length], [false, false, 5]);
    await doist.do({ signal: controller.signal });
    assert.deepEqual([doist.done, doer.tymes.length], [false, 5]);
  });

  test('ends by exit(), from inside too', async () => {
    const doer = new Runner(0);
    const doist: Doist = new Doist({
      doers: [
        doer,
        doify(function* () {
          yield;
          yield 1;
          void doist.exit();
          yield 1;
        }),
      ],
      tock: 1,
    });
    await doist.do();
    assert.deepEqual([doist.done, doer.tymes], [false, [0, 1]]);
  });

  test('is for one at a time', async () => {
    const doist = new Doist({ doers: [new Runner(0, 3)] });
    const first = doist.do();
    await assert.rejects(doist.do(), { code: 'ERR_BOSUN_FSM' });
    await first;
    assert.equal(doist.done, true);
  });

  test('lets the event loop have its turns', async () => {
    const doist = new Doist({ doers: [new Runner(0)] });
    setImmediate(() => setImmediate(() => void doist.exit()));
    await doist.do();
    assert.equal(doist.done, false);
  });

  test('refuses what it does not know, before anything changes', async () => {
    for (const options of [{ limt: 1 }, { real: 1 }, { name: 1 }, { temp: 'x' }, { doers: [{}] }] as Misuse[]) {
      assert.throws(() => new Doist(options), INVALID);
    }
    for (const options of [{ limit: '1' }, { tock: Number.NaN }, { tyme: null }, { grace: -1 }] as Misuse[]) {
      if (options.tyme !== null) assert.throws(() => new Doist(options), OUT_OF_RANGE);
    }
    const doist = new Doist({ doers: [new Runner(0, 1)] });
    await assert.rejects(doist.do({ real: true } as Misuse), INVALID);
    await assert.rejects(doist.do({ signal: {} } as Misuse), INVALID);
    await assert.rejects(doist.do({ limit: Number.NaN }), OUT_OF_RANGE);
    assert.throws(() => doist.extend([{}] as Misuse), INVALID);
    assert.throws(() => doist.remove([new Doer()]), INVALID);
    assert.equal(doist.done, undefined);
  });
});

describe('extend and remove', () => {
  test('add and take away while they run, also by a doer itself', async () => {
    const exits: string[] = [];
    const stays = new Runner(0, 6, () => exits.push('stays'));
    const comes = new Runner(0, 2, () => exits.push('comes'));
    const goes = new Runner(0, 9, () => exits.push('goes'));
    const goesToo = new Runner(0, 9, () => exits.push('goesToo'));
    const doist: Doist = new Doist({ tock: 1, doers: [stays, goes, goesToo] });
    const boss = doify(function* () {
      try {
        yield;
        yield 1;
        // What is there already stays as it is.
        void doist.extend([comes, stays]);
        yield 1;
        void doist.remove([goes, goesToo]);
        void doist.remove([boss]);
        exits.push('boss goes on');
        yield 1;
        exits.push('never');
      } finally {
        exits.push('boss');
      }
    });
    await doist.extend([boss]);
    await doist.do();
    assert.deepEqual(stays.tymes, [0, 1, 2, 3, 4, 5]);
    assert.deepEqual(comes.tymes, [2, 3]);
    assert.deepEqual(goes.tymes, [0, 1, 2]);
    assert.deepEqual(exits, ['goesToo', 'goes', 'boss goes on', 'boss', 'comes', 'stays']);
    assert.deepEqual(doist.doers, [stays, comes]);
    assert.deepEqual([doist.done, boss.done], [true, false]);
  });

  test('what fails while it comes, or goes, ends the Doist', async () => {
    class Bad extends Doer {
      readonly #context: string;
      constructor(context: string) {
        super({ tock: 1 });
        this.#context = context;
      }
      override async enter(): Promise<void> {
        await undefined;
        if (this.#context === 'enter') throw new Error('no way in');
      }
      override async exit(): Promise<void> {
        await undefined;
        if (this.#context === 'exit') throw new Error('no way out');
      }
    }
    for (const real of [false, true]) {
      for (const [context, message] of [
        ['enter', 'no way in'],
        ['exit', 'no way out'],
      ] as const) {
        const bad = new Bad(context);
        const other = new Runner(real ? 0.001 : 1);
        const doist: Doist = new Doist({ real, doers: [other] });
        await doist.extend([
          doify(function* () {
            yield;
            void doist.extend([bad]);
            yield 0.002;
            void doist.remove([bad]);
            yield Number.POSITIVE_INFINITY;
          }),
        ]);
        await assert.rejects(doist.do(), { message });
        assert.deepEqual([doist.done, other.done, doist.deeds], [false, false, []]);
      }
    }
  });
});

describe('wake()', () => {
  test('runs a doer in the next cycle, and it counts from there', async () => {
    const sleeper = new Runner(1, 4);
    const asleep = new Runner(Number.POSITIVE_INFINITY, 3);
    const waker = doify(function* () {
      yield;
      yield 0.25;
      sleeper.wake();
      asleep.wake();
      asleep.wake();
      yield 1;
      asleep.wake();
    });
    const doist = new Doist({ tock: 0.25, doers: [waker, sleeper, new DoDoer({ doers: [asleep] })] });
    await doist.do();
    // Woken by one that runs before it: in the same cycle.
    assert.deepEqual(sleeper.tymes, [0, 0.25, 1.25, 2.25]);
    assert.deepEqual(asleep.tymes, [0, 0.25, 1.25]);
    sleeper.wake();
    assert.equal(doist.done, true);
  });

  test('during its own run is not lost', async () => {
    const tymes: number[] = [];
    class Restless extends Doer {
      override recur(tyme: number): boolean {
        tymes.push(tyme);
        if (tymes.length < 3) this.wake();
        return tymes.length === 4;
      }
    }
    await new Doist({ tock: 0.5, doers: [new Restless({ tock: 10 })] }).do();
    assert.deepEqual(tymes, [0, 0.5, 1, 11]);
  });
});

describe('two runs of one program', () => {
  /** Doers of every kind, that wait, come, go, wake each other and draw numbers. */
  async function trace(): Promise<string[]> {
    const lines: string[] = [];
    let seed = 7;
    const draw = (): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    const workers: Doer[] = [];
    const make = (name: string): Doer =>
      doify(async function* (tymth) {
        lines.push(`${name} enters ${tymth()}`);
        try {
          for (;;) {
            const tyme = yield Math.floor(draw() * 4) / 10;
            lines.push(`${name} ${tyme}`);
            // Of files nobody knows how long they take: the tyme waits for them.
            if (draw() < 0.2) await readFile(new URL(import.meta.url));
            // Of promises that nobody waits for, too, nothing changes from run to run.
            void Promise.resolve().then(async () => {
              await undefined;
              lines.push(`${name} behind ${tyme}`);
            });
            workers[Math.floor(draw() * workers.length)]?.wake();
            if (draw() < 0.1) return;
          }
        } finally {
          lines.push(`${name} exits ${tymth()}`);
        }
      });
    const doist = new Doist({ tock: 0.1, limit: 60 });
    let made = 0;
    await doist.extend([
      doify(function* () {
        for (;;) {
          yield 0.7;
          const worker = make(`w${made++}`);
          workers.push(worker);
          void doist.extend([worker]);
          if (workers.length > 9) void doist.remove([workers.shift() as Doer]);
        }
      }),
    ]);
    await doist.do();
    return lines;
  }

  test('are the same, to the letter', async () => {
    const first = await trace();
    assert.ok(first.length > 500, String(first.length));
    assert.deepEqual(await trace(), first);
  });
});
