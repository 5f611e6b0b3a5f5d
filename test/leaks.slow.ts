// What a manager leaves behind: nothing, however often one is opened and however many tasks one runs.

import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Task } from '../lib/index.js';
import type { Holdings } from './fixtures/holdings.js';
import type { Termination } from './fixtures/leaks-terminate.js';
import { inOwnProcess } from './fixtures/own-process.js';
import { makeManager } from './fixtures/scene.js';
import { UntilAborted } from './fixtures/tasks.js';

const MODULE = new URL('./fixtures/tasks.js', import.meta.url);
const SLOW = new URL('./fixtures/leaks-tasks.js', import.meta.url);
const ECHO = { module: MODULE, export: 'echo' };
const MIB = 2 ** 20;
const CANCELLED = { code: 'ERR_BOSUN_CANCELLED' };

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

/** What is wrong here hangs: an object that is never collected. */
const LIMIT = { timeout: 60_000 };

/** Resolves when nobody holds what `make` made; the limit of the test is that of patience. */
async function collected(t: TestContext, make: () => object): Promise<void> {
  let isCollected = false;
  const registry = new FinalizationRegistry(() => {
    isCollected = true;
  });
  registry.register(make(), undefined);
  while (!isCollected) {
    t.signal.throwIfAborted();
    await turn();
    collectGarbage();
  }
}

describe('managers that were closed', () => {
  test('leave no descriptor, process, listener, timer or file behind: 90 of them', LIMIT, async (t) => {
    const { before, after } = await inOwnProcess<{ before: Holdings; after: Holdings }>(t, 'leaks');
    assert.deepEqual(after, before);
    assert.equal(after.children, 0);
    assert.deepEqual(after.files, []);
  });
});

describe('managers whose thread was terminated in mid-call', () => {
  test('leave nothing behind: 20 of them', LIMIT, async (t) => {
    const report = await inOwnProcess<Termination>(t, 'leaks-terminate');
    const { before, after } = report;
    assert.equal(report.terminated, 20);
    await t.test('no worker that runs', () => assert.equal(report.running, 0));
    await t.test('no descriptor', () => assert.deepEqual(after.descriptors, before.descriptors));
    await t.test('no thread', () =>
      assert.ok(report.threads.after <= report.threads.before, JSON.stringify(report.threads)),
    );
    await t.test('no listener', () => assert.deepEqual(after.listeners, before.listeners));
    await t.test('no process that nobody reaps', () => assert.equal(after.children, 0));
    await t.test('no directory with a socket', () => assert.deepEqual(after.files, []));
  });
});

describe('memory', () => {
  const [warm, last] = [200_000, 1_000_000];

  /** Pages that the allocator keeps and the collector has not given back come and go; a byte a task would be seen. */
  const SLACK = 16 * MIB;

  test(`does not grow from ${warm} to ${last} tasks`, { timeout: 180_000 }, async (t) => {
    const marks = [warm, last].map(String);
    const { done, rss } = await inOwnProcess<{ done: number; rss: [number, number] }>(t, 'leaks-memory', ...marks);
    const [before, after] = rss.map((bytes) => (bytes / MIB).toFixed(1));
    t.diagnostic(`${before} MiB after ${warm} tasks, ${after} MiB after ${done}`);
    assert.ok(rss[1] - rss[0] < SLACK, `it grew from ${before} to ${after} MiB`);
  });
});

describe('an AbortSignal', () => {
  test('has one listener for 10 000 tasks, and none when they have ended', LIMIT, async (t) => {
    const manager = makeManager(t);
    const { signal } = new AbortController();
    const results = Array.from({ length: 10_000 }, (_, i) => manager.run(ECHO, [i], { signal }));
    assert.equal(getEventListeners(signal, 'abort').length, 1);
    assert.equal((await Promise.all(results)).length, 10_000);
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });

  test('has none when it was aborted, and none when the manager is closed', LIMIT, async (t) => {
    const manager = makeManager(t);
    const controller = new AbortController();
    const { signal } = controller;
    const results = Array.from({ length: 100 }, () => manager.run(ECHO, [1], { signal }));
    controller.abort(new Error('the reason'));
    assert.equal(getEventListeners(signal, 'abort').length, 0);
    const outcomes = await Promise.allSettled(results);
    assert.ok(outcomes.every((outcome) => outcome.status === 'rejected' && outcome.reason === signal.reason));
    const other = new AbortController();
    const left = Array.from({ length: 100 }, () => manager.run(ECHO, [1], { signal: other.signal }));
    const refused = Promise.allSettled(left);
    await manager.close('kill');
    await refused;
    assert.equal(getEventListeners(other.signal, 'abort').length, 0);
  });

  test('of tasks that waited for room has none either', LIMIT, async (t) => {
    const manager = makeManager(t, { maxQueue: 10, whenFull: 'wait' });
    const { signal } = new AbortController();
    const results = Array.from({ length: 1_000 }, (_, i) => manager.run(ECHO, [i], { signal }));
    assert.ok(manager.stats().tasks.outside > 0);
    assert.equal(getEventListeners(signal, 'abort').length, 1);
    await Promise.all(results);
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });

  test('is collected when its tasks have ended, in a manager that goes on', LIMIT, async (t) => {
    const manager = makeManager(t);
    const signals: AbortSignal[] = [];
    // In a function of its own, whose variables end with it.
    const useOne = async (): Promise<void> => {
      const { signal } = new AbortController();
      const scheduled = manager.schedule(Task.from(MODULE, 'echo', [1], { signal })).result;
      await Promise.all([manager.run(ECHO, [1], { signal }), scheduled]);
      signals.push(signal);
    };
    await useOne();
    await collected(t, () => signals.pop() as AbortSignal);
    assert.equal(await manager.run(ECHO, [2]), 2);
  });
});

describe('an argument', () => {
  test('is let go of once it was sent: its task still runs', LIMIT, async (t) => {
    const manager = makeManager(t);
    const stop = new AbortController();
    const results: Promise<unknown>[] = [];
    const sent = collected(t, () => {
      const argument = { large: 'x'.repeat(1_000) };
      results.push(manager.run({ module: SLOW, export: 'untilAborted' }, [argument], { signal: stop.signal }));
      return argument;
    });
    assert.equal((await manager.messages().next()).value, 'running');
    await sent;
    assert.equal(manager.stats().tasks.sent, 1);
    stop.abort(new Error('enough'));
    await assert.rejects(Promise.all(results), { message: 'enough' });
  });

  test('is let go of while its task waits for room', LIMIT, async (t) => {
    const manager = makeManager(t, { maxQueue: 1, whenFull: 'wait', prefetch: 1 });
    const busy = manager.schedule(new UntilAborted());
    assert.equal((await manager.messages().next()).value, 'running');
    const waiting = manager.run(ECHO, ['waits']);
    const results: Promise<unknown>[] = [];
    await collected(t, () => {
      const argument = { large: 'x'.repeat(1_000) };
      results.push(manager.run(ECHO, [argument]));
      return argument;
    });
    assert.equal(manager.stats().tasks.outside, 1);
    busy.cancel();
    await assert.rejects(busy.result, CANCELLED);
    assert.equal(await waiting, 'waits');
    assert.deepEqual(await Promise.all(results), [{ large: 'x'.repeat(1_000) }]);
  });

  test('and a result are let go of when the promise is', LIMIT, async (t) => {
    const manager = makeManager(t);
    const results = [await manager.run<object>(ECHO, [{ a: 1 }])];
    await collected(t, () => results.pop() as object);
    assert.equal(manager.tasksLeft, 0);
  });
});
