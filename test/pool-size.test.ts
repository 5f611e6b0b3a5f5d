// Pools that make their own workers, as many as there is work for.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import {
  PersistentThreadWorker,
  PoisonedInputError,
  Pool,
  PoolError,
  type PoolOptions,
  Worker,
  type WorkerType,
} from '../lib/index.js';
import { at, KINDS, useKinds } from './fixtures/worker-kinds.js';

after(() => assert.deepEqual(Worker.activeChildren(), []));

const place = useKinds();

function makePool(t: TestContext, name: string, type: WorkerType, options: PoolOptions = {}): Pool {
  const pool = new Pool(at(name), { type, workerOptions: place(type), ...options });
  t.after(() => pool.terminate());
  return pool;
}

/** Runs `where` until so many workers have answered. */
async function useWorkers(pool: Pool, count: number): Promise<void> {
  const seen = new Set<string>();
  function* inputs(): Generator<number> {
    for (let i = 0; seen.size < count; i++) yield i;
  }
  for await (const value of pool.imapUnordered(inputs())) seen.add(String(value));
}

/** So many of these have ended. */
function exits(workers: readonly Worker[], count: number): Promise<void> {
  let left = count;
  return new Promise((resolve) => {
    for (const worker of workers) worker.once('exit', () => --left === 0 && resolve());
  });
}

for (const type of KINDS) {
  test(`a pool starts ${type} workers while inputs wait, and lets those go that have nothing to do`, async (t) => {
    const pool = makePool(t, 'where', type, { minWorkers: 1, maxWorkers: 3, idleTimeout: 200 });
    assert.equal(pool.workers.length, 1);
    await useWorkers(pool, 3);
    const [...all] = pool.workers;
    assert.equal(all.length, 3);
    await exits(all, 2);
    assert.deepEqual(
      pool.workers,
      all.filter((worker) => worker.isAlive()),
    );
    assert.equal(pool.workers.length, 1);
    assert.ok(all.every(({ hasError }) => hasError !== true));
    await useWorkers(pool, 2);
    await pool.close();
  });
}

describe('a pool of its own workers', () => {
  test('has none before there is something to do, unless it is told to', async (t) => {
    const pool = makePool(t, 'square', 'thread', { maxWorkers: 4 });
    assert.deepEqual(pool.workers, []);
    assert.deepEqual(await pool.map([3]), [9]);
    assert.equal(pool.workers.length, 1);
    async function* one(): AsyncGenerator<number> {
      yield 4;
    }
    assert.deepEqual(await pool.map(one()), [16]);
    assert.equal(pool.workers.length, 1);
    assert.deepEqual(await pool.map([]), []);
    let left = 20;
    assert.equal((await pool.map(() => (left-- > 0 ? left : undefined))).length, 20);
  });

  test('has no more than it may have', async (t) => {
    const pool = makePool(t, 'tick', 'thread', { minWorkers: 1, maxWorkers: 2 });
    let most = 0;
    const workerCallback = (): void => {
      most = Math.max(most, pool.workers.length);
    };
    await pool.map(new Array(100).fill(0), { workerCallback, extraPendingInputs: 2 });
    assert.equal(most, 2);
    assert.equal(pool.workers.length, 2);
  });

  test('keeps those that were added', async (t) => {
    const pool = makePool(t, 'where', 'thread', { maxWorkers: 1, idleTimeout: 20 });
    const added = pool.addWorker('thread');
    await useWorkers(pool, 2);
    const own = pool.workers.filter((worker) => worker !== added);
    assert.equal(own.length, 1);
    await exits(own, 1);
    assert.deepEqual(pool.workers, [added]);
    await useWorkers(pool, 2);
  });

  test('lets go of some during a run, but not of the last', async (t) => {
    const pool = makePool(t, 'where', 'thread', { maxWorkers: 2, idleTimeout: 20 });
    const seen = new Set<string>();
    let gone: Promise<void> | undefined;
    async function* inputs(): AsyncGenerator<number> {
      while (seen.size < 2) yield 0;
      gone = exits(pool.workers, 1);
      await gone;
      assert.equal(pool.workers.length, 1);
      yield 1;
      yield 2;
    }
    for await (const value of pool.imapUnordered(inputs())) seen.add(String(value));
    assert.notEqual(gone, undefined);
  });

  test('follows the dead, and gives up what kills them', async (t) => {
    const pool = makePool(t, 'dieOn', 'process', { args: [0, 1], maxWorkers: 1, maxCrashes: 1 });
    const results: unknown[] = [];
    for await (const { index, value, error } of pool.stream([[0, 1, 2, 3]])) results[index] = error ?? value;
    assert.ok(results[1] instanceof PoisonedInputError);
    assert.deepEqual([results[0], ...results.slice(2)], [0, 2, 3]);
    assert.equal(pool.workers.length, 1);
  });

  test('says when they cannot be started', async (t) => {
    const workerOptions = { execArgv: ['--no-such-option'] };
    const pool = makePool(t, 'square', 'process', { workerOptions, maxWorkers: 3, idleTimeout: 0 });
    await assert.rejects(pool.map([1, 2, 3]), (error: PoolError) => {
      assert.ok(error instanceof PoolError);
      assert.ok(error.lostInputs.flat().includes(1));
      return true;
    });
  });

  test('may be left, closed and ended while it grows', async (t) => {
    for (const end of ['close', 'terminate'] as const) {
      const pool = makePool(t, 'where', 'process', { minWorkers: 2, maxWorkers: 6, idleTimeout: 0 });
      for await (const _ of pool.imapUnordered(new Array(100).fill(0))) break;
      await pool[end]();
      assert.ok(pool.workers.every((worker) => !worker.isAlive()));
    }
  });

  test('starts them anew', async (t) => {
    const pool = makePool(t, 'where', 'thread', { maxWorkers: 2, idleTimeout: 10 });
    await useWorkers(pool, 2);
    await pool.restartWorkers();
    await exits(pool.workers, pool.workers.length);
    assert.deepEqual(pool.workers, []);
  });

  test('takes classes', async (t) => {
    class Mine extends PersistentThreadWorker {}
    const pool = new Pool(at('square'), { type: Mine, minWorkers: 1, maxWorkers: 1 });
    t.after(() => pool.terminate());
    assert.ok(pool.workers[0] instanceof Mine);
    assert.deepEqual(await pool.map([2]), [4]);
  });

  test('keeps no process up when they have ended', async () => {
    const program = `
      import { Pool } from ${JSON.stringify(new URL('../lib/index.js', import.meta.url).href)};
      const pool = new Pool(${JSON.stringify(at('square'))}, { type: 'process', idleTimeout: 10 });
      console.log(await pool.map([1, 2, 3]));`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
    assert.equal(stdout, '[ 1, 4, 9 ]\n');
  });

  test('is made of what makes sense', () => {
    const invalid = { code: 'ERR_BOSUN_INVALID_ARGUMENT' };
    const range = { code: 'ERR_BOSUN_OUT_OF_RANGE' };
    const make = (options: unknown) => () => new Pool(at('square'), options as PoolOptions);
    for (const lonely of [{ minWorkers: 1 }, { maxWorkers: 1 }, { idleTimeout: 1 }, { workerOptions: {} }]) {
      assert.throws(make(lonely), invalid);
    }
    for (const type of ['coroutine', 5, null]) assert.throws(make({ type }), invalid);
    for (const minWorkers of [-1, 0.5, '1', 3]) {
      assert.throws(make({ type: 'thread', minWorkers, maxWorkers: 2 }), range);
    }
    for (const maxWorkers of [0, Number.NaN, null]) assert.throws(make({ type: 'thread', maxWorkers }), range);
    for (const idleTimeout of [-1, 2 ** 31, 'soon']) assert.throws(make({ type: 'thread', idleTimeout }), range);
    assert.throws(make({ type: 'thread', workerOptions: { host: 'localhost' } }), invalid);
    assert.throws(make({ type: 'thread', workerOptions: { colour: 'red' } }), invalid);
    assert.throws(make({ type: 'thread', workerOptions: 5 }), invalid);
  });
});
