// What a manager leaves behind: nothing, however often one is opened and however many tasks one runs.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Task } from '../lib/index.js';
import type { Holdings } from './fixtures/leaks.js';
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

/** Runs a fixture in a process of its own, and parses what it prints; that it ends by itself is a part of the test. */
async function inOwnProcess<T>(t: TestContext, name: string, ...args: string[]): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'bosun-leaks-'));
  t.after(() => rm(directory, { recursive: true }));
  const script = fileURLToPath(new URL(`./fixtures/${name}.js`, import.meta.url));
  const env = { ...process.env, TMPDIR: directory };
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', script, ...args], { env });
  return JSON.parse(stdout) as T;
}

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
  test('leave no descriptor, process, listener, timer or file behind: 200 of them', LIMIT, async (t) => {
    const { before, after } = await inOwnProcess<{ before: Holdings; after: Holdings }>(t, 'leaks');
    assert.deepEqual(after, before);
    assert.equal(after.children, 0);
    assert.deepEqual(after.files, []);
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
