// The addon from JavaScript: handles, threads, and what it does to the process that loads it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { native } from '../lib/internals.js';
import type { ThreadData } from './fixtures/native-thread.js';

const THREAD = new URL('./fixtures/native-thread.js', import.meta.url);
const MAIN = fileURLToPath(new URL('./fixtures/native-main.js', import.meta.url));

const STALE = { name: 'TypeError', code: 'ERR_BOSUN_STALE_HANDLE' };
const OUT_OF_RANGE = { code: 'ERR_BOSUN_OUT_OF_RANGE' };

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program until it and every process that holds its output have ended. */
async function run(t: TestContext, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...env },
  });
  t.after(() => child.kill('SIGKILL'));
  const [[code, signal], stdout, stderr] = await Promise.all([
    once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>,
    text(child.stdout),
    text(child.stderr),
  ]);
  return { code, signal, stdout, stderr };
}

function openQueue(t: TestContext, levels: number): number {
  const handle = native.queueOpen(levels);
  assert.ok(handle > 0);
  t.after(() => native.queueClose(handle));
  return handle;
}

function drain(handle: number): number[] {
  const values: number[] = [];
  for (let value = native.queuePop(handle); value !== -1; value = native.queuePop(handle)) values.push(value);
  return values;
}

const at = (level: number, value: number): number => level * 2 ** 32 + value;

function startThread(t: TestContext, data: Partial<ThreadData>): Worker {
  const thread = new Worker(THREAD, { workerData: data });
  t.after(() => thread.terminate());
  return thread;
}

describe('a queue handle', () => {
  test('gives the most urgent level first, first in first out inside a level', (t) => {
    const handle = openQueue(t, 128);
    assert.equal(native.queuePop(handle), -1);
    const levels = [127, 0, 64, 63, 0, 127];
    for (const [value, level] of levels.entries()) native.queuePush(handle, level, value);
    assert.deepEqual(drain(handle), [at(0, 1), at(0, 4), at(63, 3), at(64, 2), at(127, 0), at(127, 5)]);
    for (let i = 0; i < 5_000; i++) native.queuePush(handle, 1, i);
    assert.deepEqual(
      drain(handle),
      Array.from({ length: 5_000 }, (_, i) => at(1, i)),
    );
  });

  test('is stale once it is closed, whoever has the place afterwards', (t) => {
    const closed = native.queueOpen(1);
    native.queuePush(closed, 0, 1);
    assert.equal(native.queueClose(closed), true);
    const next = openQueue(t, 1);
    assert.notEqual(next, closed);
    assert.throws(() => native.queuePush(closed, 0, 2), STALE);
    assert.throws(() => native.queuePop(closed), STALE);
    assert.equal(native.queueClose(closed), false);
    assert.deepEqual(drain(next), []);
  });

  test('is refused when it never was one', () => {
    for (const handle of [0, -1, 0.5, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 2 ** 60, '1', null, {}]) {
      assert.throws(() => native.queuePush(handle as number, 0, 1), STALE, String(handle));
      assert.throws(() => native.queuePop(handle as number), STALE, String(handle));
      assert.equal(native.queueClose(handle as number), false, String(handle));
    }
    assert.throws(() => (native.queuePop as unknown as () => void)(), STALE);
  });

  test('is 0 for a number of levels that no queue has', () => {
    for (const levels of [0, 129, -1, Number.NaN, 2 ** 32 + 1, '2', undefined]) {
      assert.equal(native.queueOpen(levels as number), 0, String(levels));
    }
  });

  test('takes only values and levels that it can hold', (t) => {
    const handle = openQueue(t, 3);
    for (const value of [2 ** 32, 2 ** 32 - 1, -1, Number.NaN, '1', undefined, null]) {
      assert.throws(() => native.queuePush(handle, 0, value as number), OUT_OF_RANGE, `value ${String(value)}`);
    }
    for (const level of [3, 128, 2 ** 32, -1, Number.NaN, '1', undefined, null]) {
      assert.throws(() => native.queuePush(handle, level as number, 1), OUT_OF_RANGE, `level ${String(level)}`);
    }
    assert.deepEqual(drain(handle), []);
    native.queuePush(handle, 2, 2 ** 31);
    assert.deepEqual(drain(handle), [at(2, 2 ** 31)]);
  });

  test('never coerces an argument, which could run JavaScript', (t) => {
    const handle = openQueue(t, 1);
    const trap = new globalThis.Proxy({}, { get: () => assert.fail('it was read') }) as unknown as number;
    for (const call of [
      () => native.queueOpen(trap),
      () => native.queuePop(trap),
      () => native.queuePush(handle, trap, 1),
      () => native.queuePush(handle, 0, trap),
      () => native.queueClose(trap),
    ]) {
      try {
        call();
      } catch (error) {
        assert.match((error as { code: string }).code, /^ERR_BOSUN_/);
      }
    }
  });

  test('can be had a thousand times, and not without end', (t) => {
    const handles: number[] = [];
    t.after(() => handles.forEach((handle) => void native.queueClose(handle)));
    for (let handle = native.queueOpen(1); handle !== 0 && handles.length < 5_000; handle = native.queueOpen(1)) {
      handles.push(handle);
    }
    assert.ok(handles.length >= 1_000 && handles.length < 5_000);
    assert.equal(native.queueClose(handles.pop() as number), true);
    handles.push(openQueue(t, 1));
  });
});

describe('threads of one process', () => {
  const PRODUCERS = 3;
  const EACH = 20_000;

  /** The values of each producer and level, in the order in which this list has them. */
  function byOrigin(popped: readonly number[]): Map<string, number[]> {
    const origins = new Map<string, number[]>();
    for (const entry of popped) {
      const level = Math.floor(entry / 2 ** 32);
      const value = entry % 2 ** 32;
      const origin = `producer ${Math.floor(value / 2 ** 20)}, level ${level}`;
      const list = origins.get(origin) ?? [];
      origins.set(origin, list);
      list.push(value % 2 ** 20);
    }
    return origins;
  }

  function assertAscending(popped: readonly number[]): void {
    for (const [origin, values] of byOrigin(popped)) {
      assert.ok(
        values.every((value, i) => i === 0 || value > (values[i - 1] as number)),
        origin,
      );
    }
  }

  test('share a queue: every value arrives once, first in first out for each producer and level', async (t) => {
    const handle = openQueue(t, 3);
    const taken = new Int32Array(new SharedArrayBuffer(4));
    const consumers = [0, 1].map(() => startThread(t, { role: 'consume', handle, count: PRODUCERS * EACH, taken }));
    const lists = Promise.all(consumers.map((thread) => once(thread, 'message') as Promise<[number[]]>));
    for (let producer = 0; producer < PRODUCERS; producer++) {
      startThread(t, { role: 'produce', handle, producer, count: EACH });
    }
    const [[first], [second]] = (await lists) as [[number[]], [number[]]];
    for (const popped of [first, second]) assertAscending(popped);
    const all = [...byOrigin([...first, ...second])];
    assert.equal(all.length, PRODUCERS * 3);
    for (const [origin, values] of all) {
      const level = Number(origin.at(-1));
      const expected = Array.from({ length: Math.ceil((EACH - level) / 3) }, (_, i) => 3 * i + level);
      assert.deepEqual(
        values.sort((a, b) => a - b),
        expected,
        origin,
      );
    }
    assert.equal(native.queuePop(handle), -1);
  });

  test('push for this one, and what they pushed outlives them', async (t) => {
    const handle = openQueue(t, 3);
    const threads = [0, 1].map((producer) => startThread(t, { role: 'produce', handle, producer, count: 3_000 }));
    await Promise.all(threads.map((thread) => once(thread, 'exit')));
    const popped = drain(handle);
    assert.equal(new Set(popped).size, 6_000);
    assertAscending(popped);
    const levels = popped.map((entry) => Math.floor(entry / 2 ** 32));
    assert.deepEqual(levels, levels.toSorted());
  });

  test('40 of them, terminated inside the addon, leave the process and the queue whole', async (t) => {
    const { code, signal, stdout, stderr } = await run(t, [MAIN, 'terminateThreads']);
    assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
    assert.deepEqual(JSON.parse(stdout), { popped: 42, closed: true });
  });

  test('may be the only ones that load it, and end: their queues are still there', async (t) => {
    const { code, signal, stdout, stderr } = await run(t, [MAIN, 'loadInThreads']);
    assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
    const ten = <T>(value: T): T[] => Array(10).fill(value);
    assert.deepEqual(JSON.parse(stdout), { distinct: 10, popped: ten(at(1, 7)), closed: ten(true) });
  });
});

describe('an idle manager', () => {
  // `run` waits for the pipes: the workers hold them too, so they are gone when it resolves.
  test('does not keep the process, nor do its workers outlive it', async (t) => {
    const { code, signal, stdout, stderr } = await run(t, [MAIN, 'idle']);
    assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
    assert.equal(JSON.parse(stdout).length, 2);
  });

  test('leaves no worker behind when the process ends in another way', async (t) => {
    assert.equal((await run(t, [MAIN, 'idle', 'exit'])).code, 5);
    assert.equal((await run(t, [MAIN, 'idle', 'SIGKILL'])).signal, 'SIGKILL');
  });
});
