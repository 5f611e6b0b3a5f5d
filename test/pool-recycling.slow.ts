// Workers that have had their share are followed by others, and nothing is lost.

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { PersistentProcessWorker, Pool, type PoolOptions, Worker } from '../lib/index.js';
import { range, usePools } from './fixtures/pools.js';
import { at, KINDS } from './fixtures/worker-kinds.js';

after(() => assert.deepEqual(Worker.activeChildren(), []));

const { makePool } = usePools();

const MIB = 1024 * 1024;
/** No process of Node.js is so large by itself, and no heap of a thread. */
const LARGE = 200 * MIB;

/** For each place its first index: the same worker has the same number. */
const numbered = (places: unknown[]): number[] => {
  const names = places.map(String);
  return names.map((name) => names.indexOf(name));
};

for (const type of KINDS) {
  describe(`a pool of ${type} workers`, () => {
    test('retires a worker over maxMemory behind its input', async (t) => {
      const maxMemory = type === 'thread' ? LARGE / 4 : LARGE;
      const pool = makePool(t, 'keep', [type], { maxMemory });
      const died: unknown[] = [];
      const workerCallback = (event: string): void => void (event === 'died' && died.push(event));
      const inputs = [8, maxMemory, 8, 8, maxMemory, maxMemory, 8];
      const places = await pool.map(inputs, { chunkSize: 4, workerCallback });
      assert.deepEqual(numbered(places), [0, 0, 2, 2, 2, 5, 6]);
      assert.deepEqual(died, []);
    });

    test('retires a worker over maxAge behind its input', async (t) => {
      // Each is too old when it has done its first.
      const pool = makePool(t, 'where', [type, type], { maxAge: 1 });
      const places = await pool.map<unknown[]>(range(6), { chunkSize: 3 });
      assert.equal(new Set(places.map(([pid, tid]) => `${pid} ${tid}`)).size, 6);
    });
  });
}

describe('a pool', () => {
  test('follows those who have retired between runs, or grown old, or without replaceDead', async (t) => {
    const pool = makePool(t, 'where', ['process'], { maxAge: 60_000, maxTasks: 2, replaceDead: false });
    const pids: unknown[] = [];
    for (let i = 0; i < 5; i++) pids.push((await pool.map<[number]>([0])).map(([pid]) => pid));
    // The share is that of a worker, not of a run.
    assert.deepEqual(numbered(pids), [0, 0, 2, 2, 4]);
    const old = makePool(t, 'where', ['process'], { maxAge: 300 });
    const [first] = await old.map<[number]>([0]);
    const worker = old.workers[0];
    // Nothing but time makes it old.
    await sleep(300);
    const [second] = await old.map<[number]>([0]);
    assert.notDeepEqual(first, second);
    assert.equal(worker?.hasError, false);
  });

  test('gives back what a retired worker had not begun, and what its function throws stays that', async (t) => {
    const pool = makePool(t, 'fail', ['process'], { maxAge: 1 });
    const errors: unknown[] = [];
    for await (const { index, error } of pool.stream([range(5)], { chunkSize: 5 })) {
      errors[index] = (error as Error).message;
    }
    assert.deepEqual(errors, ['x = 0', 'x = 1', 'x = 2', 'x = 3', 'x = 4']);
  });

  test('retires those that were made elsewhere, or by itself', async (t) => {
    const attached = new PersistentProcessWorker({ target: at('where'), onError: 'report' });
    const pool = new Pool(at('where'), { maxAge: 1 });
    t.after(() => pool.terminate());
    pool.attach(attached);
    assert.equal(new Set((await pool.map<[number]>(range(3))).map(([pid]) => pid)).size, 3);
    assert.deepEqual(pool.workers, [attached]);
    const own = new Pool(at('where'), { type: 'process', maxWorkers: 1, maxTasks: 1 });
    t.after(() => own.terminate());
    assert.equal(new Set((await own.map<[number]>(range(3))).map(([pid]) => pid)).size, 3);
    assert.equal(own.workers.length, 1);
  });

  test('has limits that can be kept', () => {
    for (const name of ['maxTasks', 'maxMemory', 'maxAge']) {
      for (const limit of [0, -1, 1.5, Number.NaN, '1', null]) {
        const make = () => new Pool(at('where'), { [name]: limit } as PoolOptions);
        assert.throws(make, { name: 'OutOfRangeError', code: 'ERR_BOSUN_OUT_OF_RANGE' });
      }
    }
  });
});
