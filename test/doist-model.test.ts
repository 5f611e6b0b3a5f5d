// Doists beside a model that is too simple to be wrong, and doers that do anything at any time.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { DoDoer, Doer, Doist, doify } from '../lib/index.js';

type Draw = () => number;

function draws(seed: number): Draw {
  let state = seed * 7_919;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

const pick = <T>(draw: Draw, values: readonly T[]): T => values[Math.floor(draw() * values.length)] as T;

/** In whole milliseconds, tock for tock. */
function model(tock: number, plans: readonly (readonly number[])[]): string[] {
  const runs: string[] = [];
  const left = new Map(plans.map((plan, name) => [name, { at: 0, rests: [...plan] }]));
  for (let now = 0; left.size > 0; now += tock) {
    for (const [name, doer] of left) {
      if (doer.at > now) continue;
      runs.push(`${name} at ${now}`);
      const rest = doer.rests.shift();
      if (rest === undefined) left.delete(name);
      else {
        do doer.at += rest || tock;
        while (doer.at < now);
      }
    }
  }
  return runs;
}

describe('a Doist in simulated time', () => {
  test('runs whom a model runs, at the very same tymes', async () => {
    for (let seed = 1; seed <= 100; seed++) {
      const draw = draws(seed);
      const tock = pick(draw, [1, 10, 25, 100, 125, 300]);
      const plans = Array.from({ length: 5 }, () => {
        const beat = draw() < 0.5 ? Math.floor(draw() * 700) : undefined;
        return Array.from({ length: 20 }, () => beat ?? Math.floor(draw() * draw() * 2_000));
      });
      for (const isNested of [false, true]) {
        const runs: string[] = [];
        const doers = plans.map((plan, name) =>
          doify(function* () {
            let tyme = yield;
            for (const rest of plan) {
              runs.push(`${name} at ${tyme * 1_000}`);
              tyme = yield rest / 1_000;
            }
            runs.push(`${name} at ${tyme * 1_000}`);
          }),
        );
        await new Doist({ tock: tock / 1_000, doers: isNested ? [new DoDoer({ doers })] : doers }).do();
        const rounded = runs.map((run) => run.replace(/[\d.]+$/, (ms) => String(Number(Number(ms).toPrecision(12)))));
        assert.deepEqual(rounded, model(tock, plans), `seed ${seed}`);
      }
    }
  });
});

/** Waits, fails, adds and takes away others and itself, wakes whom it likes. */
class Anything extends Doer {
  readonly contexts: string[] = [];
  readonly #doist: Doist;
  readonly #draw: Draw;
  readonly #failsIn: string;

  constructor(doist: Doist, draw: Draw) {
    super({ tock: pick(draw, [0, 0.001, 0.002, Number.POSITIVE_INFINITY]) });
    this.#doist = doist;
    this.#draw = draw;
    this.#failsIn = draw() < 0.05 ? pick(draw, ['enter', 'recur', 'clean', 'cease', 'exit']) : '';
  }

  #go(context: string): void | Promise<void> {
    this.contexts.push(context);
    const end = (): void => {
      if (this.#failsIn === context) throw new Error(`fails in ${context}`);
    };
    if (this.#draw() < 0.6) return end();
    return pause(pick(this.#draw, [0, 1]), undefined, context === 'exit' ? {} : { signal: this.signal }).then(end);
  }

  override enter(): void | Promise<void> {
    return this.#go('enter');
  }
  override recur(): boolean | Promise<boolean> {
    const choice = this.#draw();
    const doist = this.#doist;
    if (choice < 0.1) void doist.extend([new Anything(doist, this.#draw)]);
    else if (choice < 0.2) void doist.remove([pick(this.#draw, doist.doers)]);
    else if (choice < 0.3) pick(this.#draw, doist.doers).wake();
    const isDone = this.#draw() < 0.1;
    return this.#go('recur')?.then(() => isDone) ?? isDone;
  }
  override clean(): void | Promise<void> {
    return this.#go('clean');
  }
  override cease(): void {
    this.contexts.push('cease');
    if (this.#failsIn === 'cease') throw new Error('fails in cease');
  }
  override abort(): void {
    this.contexts.push('abort');
  }
  override exit(): void | Promise<void> {
    return this.#go('exit');
  }
}

for (const real of [false, true]) {
  describe(`doers that do anything (${real ? 'real' : 'simulated'} time)`, () => {
    test('go through their contexts in order, and each that was entered exits once', async (t) => {
      t.mock.method(process, 'emitWarning', () => {});
      for (let seed = 1; seed <= 25; seed++) {
        const draw = draws(seed);
        const all: Anything[] = [];
        const doist: Doist = new Doist({ real, tock: 0.001, limit: 0.02 });
        const extend = doist.extend.bind(doist);
        doist.extend = (doers) => {
          all.push(...(doers as Anything[]));
          return extend(doers);
        };
        await doist.extend(Array.from({ length: 6 }, () => new Anything(doist, draw)));
        const controller = new AbortController();
        const timer = draw() < 0.3 ? setTimeout(() => controller.abort(), 5) : undefined;
        await doist.do({ signal: controller.signal }).catch(({ message }: Error) => {
          assert.match(message, /^fails in/, `seed ${seed}`);
        });
        clearTimeout(timer);
        assert.deepEqual(doist.deeds, []);
        for (const { contexts } of all) {
          const order = /^(enter (recur )*(clean |cease |abort |clean cease )?exit)?$/;
          assert.match(contexts.join(' '), order, `seed ${seed}`);
        }
      }
    });
  });
}
