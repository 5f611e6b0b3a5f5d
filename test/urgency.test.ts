// An urgent task is the next one, whenever it comes.

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ProcessManagerOptions } from '../lib/index.js';
import { spin } from './fixtures/blocked-tasks.js';
import { beganBetween, overtakers, type UrgentRun } from './fixtures/overtakers.js';
import { makeManager } from './fixtures/scene.js';
import { now, type Run } from './fixtures/urgency-tasks.js';

const TIMED = { module: new URL('./fixtures/urgency-tasks.js', import.meta.url), export: 'timed' };
const LIMIT = { timeout: 60_000 };

/** The same numbers for the same seed (mulberry32 by Tommy Ettinger). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Scene extends ProcessManagerOptions {
  readonly workers: number;
  /** Of each task. */
  readonly ms: number;
  /** More than are run before the last urgent one is. */
  readonly background: number;
  readonly urgent: number;
  /** The longest pause between two urgent ones. */
  readonly pauseMs: number;
  /** The most tasks that a worker holds. */
  readonly window: number;
}

/** Submits urgent tasks one after the other, at random moments, while less urgent ones never run out. */
async function runScene(t: TestContext, { ms, background, urgent, pauseMs, window, ...options }: Scene) {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = randomOf(seed);
  const manager = makeManager(t, { ...options, minWorkers: options.workers });
  await manager.ready();
  const stop = new AbortController();
  const rest = Array.from({ length: background }, () => manager.run<Run>(TIMED, [ms], { signal: stop.signal }));
  const outcomes = Promise.allSettled(rest);
  // By then every worker has run some, and knows how long they take.
  await Promise.all(rest.slice(0, 4 * options.workers));
  const submitted: UrgentRun[] = [];
  while (submitted.length < urgent) {
    await delay(random() * pauseMs);
    // A timer fires once a millisecond; the moment is to be any.
    spin(random());
    const result = manager.run<Run>(TIMED, [ms], { priority: 0 });
    // Tasks are handed over at the end of the microtask that made them.
    await null;
    const handedOver = now();
    submitted.push({ run: await result, handedOver });
  }
  const { waiting } = manager.stats().tasks;
  assert.ok(waiting > 0, 'the others ran out: nothing was overtaken because nothing was there');
  stop.abort('enough');
  const others = (await outcomes).flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  const runs = [...others, ...submitted.map(({ run }) => run)];
  const between = submitted.map(({ run, handedOver }) => beganBetween(runs, handedOver, run));
  t.diagnostic(`at most ${Math.max(...between.map(({ length }) => length))} began before an urgent one (seed ${seed})`);
  assert.deepEqual(overtakers(runs, submitted, window), [], `seed ${seed}`);
  const own = between.map((some, i) => some.filter(({ pid }) => pid === submitted[i]?.run.pid).length);
  assert.ok(Math.max(...own) <= window, `seed ${seed}`);
}

describe('an urgent task, submitted at any moment,', () => {
  test("is the next that begins, with prefetch: 'auto' and tasks of a millisecond", LIMIT, (t) =>
    runScene(t, { workers: 2, prefetch: 'auto', ms: 1, background: 4_000, urgent: 120, pauseMs: 6, window: 1 }),
  );

  test('is the next that begins, with prefetch: 1 and tasks of any length', LIMIT, (t) =>
    runScene(t, { workers: 2, prefetch: 1, ms: 0.1, background: 9_000, urgent: 100, pauseMs: 3, window: 1 }),
  );

  test('is behind what was sent ahead and nothing else, with a prefetch of several', LIMIT, (t) =>
    runScene(t, { workers: 1, prefetch: 8, ms: 1, background: 2_000, urgent: 40, pauseMs: 6, window: 8 }),
  );
});

describe('the rule by which these tests judge', () => {
  const run = (pid: number, begin: number, end: number): Run => ({ pid, begin, end });

  test('accuses what was sent to the same worker later', () => {
    const others = [run(1, 0, 10), run(1, 11, 20), run(1, 21, 30)];
    const urgent = { run: run(1, 31, 40), handedOver: 5 };
    assert.deepEqual(overtakers([...others, urgent.run], [urgent], 1), others.slice(1));
    assert.deepEqual(overtakers([...others, urgent.run], [urgent], 2), others.slice(2));
    assert.deepEqual(overtakers([...others, urgent.run], [urgent], 3), []);
  });

  test('lets go what was on its way, or came behind on another worker', () => {
    const onItsWay = run(1, 11, 20);
    const behind = [run(2, 22, 32), run(2, 33, 43)];
    const runs = [run(1, 0, 10), run(2, 0, 21), onItsWay, ...behind];
    // Worker 1 was given it at 20, and got a core at 50.
    const urgent = { run: run(1, 50, 60), handedOver: 10.5 };
    assert.deepEqual(overtakers([...runs, urgent.run], [urgent], 1), []);
  });

  test('accuses what another worker was sent while the urgent one waited', () => {
    const overtaker = run(2, 22, 32);
    const runs = [run(1, 0, 30), run(2, 0, 21), overtaker];
    const urgent = { run: run(1, 31, 41), handedOver: 5 };
    assert.deepEqual(overtakers([...runs, urgent.run], [urgent], 1), [overtaker]);
  });
});
