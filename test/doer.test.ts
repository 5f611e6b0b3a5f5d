// What doers go through, in which order, however they end.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import { DoDoer, Doer, type Doing, Doist, doify, doize, type Recurred } from '../lib/index.js';

// biome-ignore lint/suspicious/noExplicitAny: misuse is what these tests are about
type Misuse = any;

const INVALID = { name: 'InvalidArgumentError', code: 'ERR_BOSUN_INVALID_ARGUMENT' };

/** Says what happens to it, and fails where it is told to. */
class Teller extends Doer {
  readonly name: string;
  readonly told: string[];
  readonly runs: number;
  readonly failsIn: readonly string[];

  constructor(
    name: string,
    told: string[],
    runs = Number.POSITIVE_INFINITY,
    failsIn: readonly string[] = [],
    tock = 0,
  ) {
    super({ tock });
    this.name = name;
    this.told = told;
    this.runs = runs;
    this.failsIn = failsIn;
  }

  tell(context: string): void {
    this.told.push(`${this.name}.${context}`);
    if (this.failsIn.includes(context)) throw new Error(`${this.name} fails in ${context}`);
  }

  #count = 0;

  override enter(): void {
    this.tell('enter');
  }
  override recur(_tyme: number): Recurred | Promise<Recurred> {
    this.tell('recur');
    this.#count += 1;
    return this.#count >= this.runs;
  }
  override clean(): void {
    this.tell('clean');
  }
  override cease(): void {
    this.tell('cease');
  }
  override abort(error: Error): void {
    this.tell(`abort(${error.message})`);
  }
  override exit(): void {
    this.tell('exit');
  }
}

/** The same, each context behind a wait. */
class AsyncTeller extends Teller {
  override async enter(): Promise<void> {
    await undefined;
    super.enter();
  }
  override async recur(tyme: number): Promise<Recurred> {
    await undefined;
    return super.recur(tyme);
  }
  override async clean(): Promise<void> {
    await undefined;
    super.clean();
  }
  override async cease(): Promise<void> {
    await undefined;
    super.cease();
  }
  override async exit(): Promise<void> {
    await undefined;
    super.exit();
  }
}

function warningsOf(t: TestContext): string[] {
  const warnings: string[] = [];
  t.mock.method(process, 'emitWarning', (text: string) => warnings.push(text));
  return warnings;
}

for (const Kind of [Teller, AsyncTeller]) {
  for (const real of [false, true]) {
    describe(`a doer (${Kind.name}, ${real ? 'real' : 'simulated'} time)`, () => {
      const run = async (limit: number, ...doers: Doer[]): Promise<Doist> => {
        const doist = new Doist({ doers, real, tock: 0.001, limit });
        await doist.do();
        return doist;
      };

      test('that is complete: enter, recur, clean, exit', async () => {
        const told: string[] = [];
        const doer = new Kind('a', told, 2);
        assert.equal(doer.done, undefined);
        const doist = await run(0, doer);
        assert.deepEqual(told, ['a.enter', 'a.recur', 'a.recur', 'a.clean', 'a.exit']);
        assert.deepEqual([doer.done, doist.done, doist.deeds], [true, true, []]);
      });

      test('that is told to end: enter, recur, cease, exit', async () => {
        const told: string[] = [];
        const doer = new Kind('a', told, Number.POSITIVE_INFINITY, [], Number.POSITIVE_INFINITY);
        const doist = await run(0.003, doer);
        assert.deepEqual(told, ['a.enter', 'a.recur', 'a.cease', 'a.exit']);
        assert.deepEqual([doer.done, doist.done], [false, false]);
      });

      test('that throws: enter, recur, abort, exit; the others end too, and do() rejects', async () => {
        const told: string[] = [];
        const doers = [
          new Kind('a', told, 9, [], 1),
          new Kind('b', told, 9, ['recur']),
          new Kind('c', told, 9, [], 1),
          new Kind('d', told, 9, [], 1),
        ];
        const doist = new Doist({ doers, real, tock: 0.001 });
        await assert.rejects(doist.do(), { message: 'b fails in recur' });
        const of = (name: string) => told.filter((line) => line.startsWith(name)).map((line) => line.slice(2));
        assert.deepEqual(of('b'), ['enter', 'recur', 'abort(b fails in recur)', 'exit']);
        const exits = told.filter((line) => line.endsWith('.exit'));
        assert.deepEqual(exits, ['b.exit', 'd.exit', 'c.exit', 'a.exit']);
        assert.deepEqual([doist.done, ...doers.map(({ done }) => done)], [false, false, false, false, false]);
      });

      test('that throws in enter: enter, abort, exit; those behind it are not entered', async () => {
        const told: string[] = [];
        const doers = [new Kind('a', told), new Kind('b', told, 9, ['enter']), new Kind('c', told)];
        await assert.rejects(run(0, ...doers), { message: 'b fails in enter' });
        assert.deepEqual(told, ['a.enter', 'b.enter', 'b.abort(b fails in enter)', 'b.exit', 'a.cease', 'a.exit']);
        assert.equal(doers[2]?.done, undefined);
      });

      test('that throws in clean exits without an abort', async () => {
        const told: string[] = [];
        await assert.rejects(run(0, new Kind('a', told, 1, ['clean'])), { message: 'a fails in clean' });
        assert.deepEqual(told, ['a.enter', 'a.recur', 'a.clean', 'a.exit']);
      });

      test('that throws while it is ended does not keep the others from it', async (t) => {
        const warnings = warningsOf(t);
        const told: string[] = [];
        const forever = Number.POSITIVE_INFINITY;
        const doers = [
          new Kind('a', told, forever, ['exit'], forever),
          new Kind('b', told, forever, ['cease'], forever),
          new Kind('c', told, forever, [], forever),
        ];
        await assert.rejects(run(0.003, ...doers), { message: 'b fails in cease' });
        assert.deepEqual(told.slice(-6), ['c.cease', 'c.exit', 'b.cease', 'b.exit', 'a.cease', 'a.exit']);
        assert.equal(warnings.length, 1);
        assert.match(warnings[0] as string, /a fails in exit/);
      });
    });
  }
}

describe('a doer', () => {
  test('has tock, opts, temp; its tock is absolute; nobody is complete by itself', async () => {
    const doer = new Doer({ tock: -0.5, opts: { a: 1 } });
    assert.deepEqual([doer.tock, doer.temp, doer.tyme, doer.done], [0.5, false, undefined, undefined]);
    assert.deepEqual({ ...doer.opts }, { a: 1 });
    doer.tock = -2;
    assert.equal(doer.tock, 2);
    const doist = new Doist({ doers: [doer], limit: 10 });
    await doist.do();
    assert.deepEqual([doer.done, doer.tyme], [false, 10]);
    for (const options of [{ name: 'x' }, { temp: 1 }, []] as Misuse[]) assert.throws(() => new Doer(options), INVALID);
    assert.throws(() => new Doer({ tock: Number.NaN }), { code: 'ERR_BOSUN_OUT_OF_RANGE' });
  });

  test('is entered with the temp of the Doist, or its own', async () => {
    const temps: boolean[] = [];
    class Temp extends Doer {
      override enter({ temp }: { temp: boolean }): void {
        temps.push(temp);
      }
      override recur(): boolean {
        return true;
      }
    }
    await new Doist({ doers: [new Temp({ temp: true })] }).do();
    await new Doist({ doers: [new Temp({ temp: true })], temp: false }).do();
    await new Doist({ doers: [new Temp()] }).do({ temp: true });
    assert.deepEqual(temps, [true, false, true]);
  });

  test('can be run by hand', () => {
    const told: string[] = [];
    const doist = new Doist({ tyme: 1 });
    const work = new Teller('a', told, 2, [], 0.5).do(doist.tymen());
    assert.deepEqual(work.next(), { done: false, value: 0.5 });
    assert.deepEqual(told, ['a.enter']);
    assert.deepEqual(work.next(1), { done: false, value: 0.5 });
    assert.deepEqual(work.next(1.5), { done: true, value: true });
    const forced = new Teller('b', told).do(doist.tymen());
    forced.next();
    assert.equal(forced.return(false).done, true);
    assert.deepEqual(told.slice(-3), ['b.enter', 'b.cease', 'b.exit']);
  });

  test('runs in one place at a time', async () => {
    const doer = new Doer({ tock: 1 });
    const first = new Doist({ doers: [doer, doer] });
    assert.equal(first.doers.length, 1);
    await first.enter();
    const second = new Doist({ doers: [doer] });
    await assert.rejects(second.do(), { code: 'ERR_BOSUN_FSM' });
    assert.equal(first.deeds.length, 1);
    await assert.rejects(first.do(), { code: 'ERR_BOSUN_FSM' });
    await first.exit();
    await second.do({ limit: 1 });
    assert.equal(doer.done, false);
  });

  test('that yields what is no rest has failed', async () => {
    const told: unknown[] = [];
    const doer = doify(function* () {
      try {
        yield;
        yield 'soon' as Misuse;
      } finally {
        told.push('exit');
      }
    });
    await assert.rejects(new Doist({ doers: [doer] }).do(), { code: 'ERR_BOSUN_OUT_OF_RANGE' });
    assert.deepEqual(told, ['exit']);
  });
});

describe('a generator', () => {
  class Steps extends Doer {
    readonly seen: unknown[] = [];
    override enter(): void {
      this.seen.push('enter');
    }
    override *recur(tyme: number): Generator<number, boolean, number> {
      this.seen.push(`from ${tyme}`);
      for (const rest of [0.5, 0, 1]) this.seen.push(yield rest);
      return true;
    }
    override clean(): void {
      this.seen.push('clean');
    }
  }

  class AsyncSteps extends Doer {
    readonly seen: unknown[] = [];
    override enter(): void {
      this.seen.push('enter');
    }
    override async *recur(tyme: number): AsyncGenerator<number, boolean, number> {
      this.seen.push(`from ${tyme}`);
      for (const rest of [0.5, 0, 1]) {
        await undefined;
        this.seen.push(yield rest);
      }
      return true;
    }
    override clean(): void {
      this.seen.push('clean');
    }
  }

  for (const Kind of [Steps, AsyncSteps]) {
    test(`as recur (${Kind.name}) begins when it is entered, and yields how long it rests`, async () => {
      const doer = new Kind();
      await new Doist({ doers: [doer], tyme: 2, tock: 0.25 }).do();
      // The first rest begins nothing: all run in the first cycle.
      assert.deepEqual(doer.seen, ['enter', 'from 2', 2, 2.25, 3.25, 'clean']);
      assert.equal(doer.done, true);
    });
  }

  test('as a doer: doify', async () => {
    const seen: unknown[] = [];
    function* count(tymth: () => number, { tock, who }: { tock: number; who?: unknown }): Doing {
      seen.push(`${who} enters at ${tymth()}`);
      for (let i = 0; i < 2; i++) seen.push(`${who} ${yield tock}`);
      return who !== 'b';
    }
    const doize1 = doize({ tock: 1, opts: { who: 'c' } });
    const doers = [
      doify(count, { opts: { who: 'a' } }),
      doify(count, { opts: { who: 'b' }, tock: 0.5, name: 'half' }),
      doize1(count),
    ];
    assert.deepEqual(
      doers.map(({ name, tock }) => [name, tock]),
      [
        ['count', 0],
        ['half', 0.5],
        ['count', 1],
      ],
    );
    await new Doist({ doers, tock: 0.25 }).do();
    assert.deepEqual(seen, [
      'a enters at 0',
      'b enters at 0',
      'c enters at 0',
      'a 0',
      'b 0',
      'c 0',
      'a 0.25',
      'b 0.5',
      'c 1',
    ]);
    assert.deepEqual(
      doers.map(({ done }) => done),
      [true, false, true],
    );
    assert.throws(() => doify('count' as Misuse), INVALID);
    assert.throws(() => doify(count, { limit: 1 } as Misuse), INVALID);
    assert.throws(() => doize({ limit: 1 } as Misuse), INVALID);
    await assert.rejects(new Doist({ doers: [doify((() => 7) as Misuse)] }).do(), INVALID);
  });

  test('that is told to end goes through its finally, async or not', async () => {
    const told: string[] = [];
    const doers = [
      doify(function* () {
        try {
          for (;;) yield 1;
        } finally {
          told.push('first');
        }
      }),
      doify(async function* () {
        try {
          for (;;) yield 1;
        } finally {
          await undefined;
          told.push('second');
        }
      }),
    ];
    await new Doist({ doers, limit: 3 }).do();
    assert.deepEqual(told, ['second', 'first']);
  });

  test('that ends before its first rest is over when it is entered', async () => {
    const doer = doify(function* () {});
    const doist = new Doist({ doers: [doer] });
    await doist.do();
    assert.deepEqual([doist.done, doer.done, doist.tyme], [true, true, 0.03125]);
  });
});

describe('a doer that waits', () => {
  test('is told to end by its signal, and then ceases', async () => {
    const told: unknown[] = [];
    class Waiter extends Doer {
      override async recur(): Promise<void> {
        await once(new EventTarget(), 'never', { signal: this.signal });
      }
      override cease(): void {
        told.push('cease', this.signal.aborted);
      }
      override abort(): void {
        told.push('abort');
      }
    }
    const controller = new AbortController();
    for (const real of [false, true]) {
      const doist = new Doist({ doers: [new Waiter()], real });
      const end = doist.do({ signal: controller.signal });
      setImmediate(() => controller.abort());
      await end;
      assert.equal(doist.done, false);
    }
    // The second time it was aborted from the beginning: nothing is entered.
    assert.deepEqual(told, ['cease', true]);
  });

  test('and does not listen is left behind after the grace, with a warning', async (t) => {
    const warnings = warningsOf(t);
    const told: string[] = [];
    class Deaf extends Doer {
      override recur(): Promise<void> {
        return new Promise(() => {});
      }
      override exit(): void {
        told.push('exit');
      }
    }
    const doist = new Doist({ doers: [new Deaf()], real: true, limit: 0.001, grace: 1 });
    await doist.do();
    assert.deepEqual([told, doist.done], [['exit'], false]);
    assert.equal(warnings.length, 1);
  });
});

describe('DoDoer', () => {
  const count = (seen: string[], name: string, rest: number, runs: number) =>
    doify(function* () {
      try {
        for (let i = 0; i < runs; i++) seen.push(`${name} ${yield rest}`);
      } finally {
        seen.push(`${name} exits`);
      }
    });

  test('runs its doers by the tyme of the Doist, as the Doist would', async () => {
    const flat: string[] = [];
    const nested: string[] = [];
    const make = (seen: string[]) => [count(seen, 'a', 0.25, 3), count(seen, 'b', 0.7, 3), count(seen, 'c', 0, 4)];
    await new Doist({ doers: make(flat), tock: 0.1 }).do();
    const outer = new DoDoer({ doers: [new DoDoer({ doers: make(nested) })] });
    const doist = new Doist({ doers: [outer], tock: 0.1 });
    await doist.do();
    assert.deepEqual(nested, flat);
    assert.deepEqual([doist.done, outer.done], [true, true]);
  });

  test('with a tock runs them on its own runs', async () => {
    const seen: string[] = [];
    const doers = [count(seen, 'a', 0, 3), count(seen, 'b', 0.7, 2)];
    await new Doist({ doers: [new DoDoer({ doers, tock: 0.5 })], tock: 0.25 }).do();
    assert.deepEqual(
      seen.filter((line) => !line.includes('exits')),
      ['a 0', 'b 0', 'a 0.5', 'a 1', 'b 1'],
    );
  });

  test('goes on without doers if it is to, and ends them last first when it is told to end', async () => {
    const seen: string[] = [];
    const dodoer = new DoDoer({ always: true });
    const doist = new Doist({ doers: [dodoer], tock: 1, limit: 5 });
    const script = doify(function* () {
      yield;
      yield 2;
      void dodoer.extend([count(seen, 'a', 9, 9), count(seen, 'b', 9, 9)]);
      yield 1;
      void dodoer.remove([dodoer.doers[0] as Doer]);
    });
    await doist.extend([script]);
    await doist.do();
    assert.deepEqual(seen, ['a 3', 'b 3', 'a exits', 'b exits']);
    assert.deepEqual([doist.done, dodoer.done, script.done], [false, false, true]);
  });

  for (const context of ['enter', 'recur']) {
    for (const real of [false, true]) {
      test(`ends its doers while one waits in ${context}, ${real ? 'real' : 'simulated'} time`, async (t) => {
        const warnings = warningsOf(t);
        const told: string[] = [];
        class Waiter extends Teller {
          override async enter(): Promise<void> {
            super.enter();
            if (context === 'enter') await once(new EventTarget(), 'never', { signal: this.signal });
          }
          override async recur(): Promise<void> {
            this.tell('recur');
            await once(new EventTarget(), 'never', { signal: this.signal });
          }
        }
        const doers = [new Teller('a', told, 9, [], 1), new Waiter('b', told), new Teller('c', told, 9, [], 1)];
        const doist = new Doist({ real, doers: [new DoDoer({ doers: [new DoDoer({ doers })] })] });
        const controller = new AbortController();
        const end = doist.do({ signal: controller.signal });
        setImmediate(() => controller.abort());
        await end;
        const isBehind = real && context === 'recur';
        assert.deepEqual(told, [
          'a.enter',
          'b.enter',
          ...(context === 'enter' ? [] : ['c.enter', 'a.recur', 'b.recur']),
          ...(isBehind ? ['c.recur'] : []),
          ...(context === 'enter' ? [] : ['c.cease', 'c.exit']),
          'b.cease',
          'b.exit',
          'a.cease',
          'a.exit',
        ]);
        assert.deepEqual([warnings, doist.done], [[], false]);
      });
    }
  }

  test('passes on what one of its doers throws, when all are over', async () => {
    const told: string[] = [];
    const inner = [
      new Teller('a', told, 9, [], 1),
      new Teller('b', told, 9, ['recur'], 1),
      new Teller('c', told, 9, [], 1),
    ];
    const doist = new Doist({ doers: [new Teller('z', told), new DoDoer({ doers: inner })] });
    await assert.rejects(doist.do(), { message: 'b fails in recur' });
    assert.deepEqual(
      told.filter((line) => line.endsWith('exit')),
      ['b.exit', 'c.exit', 'a.exit', 'z.exit'],
    );
  });

  test('refuses what it does not know', () => {
    assert.throws(() => new DoDoer({ doers: [1] as Misuse }), INVALID);
    assert.throws(() => new DoDoer({ doers: 1 as Misuse }), INVALID);
    assert.throws(() => new DoDoer({ always: 1 as Misuse }), INVALID);
    assert.throws(() => new DoDoer({ limit: 1 } as Misuse), INVALID);
  });
});
