// Several inputs in one message, each as if it were alone.

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { PersistentThreadWorker, PoisonedInputError, type Pool, type PoolRunOptions, Worker } from '../lib/index.js';
import { range, squares, usePools } from './fixtures/pools.js';
import { at, KINDS } from './fixtures/worker-kinds.js';

after(() => assert.deepEqual(Worker.activeChildren(), []));

const { makePool } = usePools();

/** The most inputs that a worker had at once. */
async function mostHeld(pool: Pool, inputs: unknown[], options: PoolRunOptions): Promise<number> {
  let held = 0;
  let most = 0;
  const workerCallback = (event: string): void => {
    if (event === 'enqueued') held += 1;
    if (event === 'finished') held -= 1;
    most = Math.max(most, held);
  };
  await pool.map(inputs, { ...options, workerCallback });
  return most;
}

for (const type of KINDS) {
  describe(`chunks for ${type} workers`, () => {
    test('give each input its own result', async (t) => {
      const pool = makePool(t, 'square', [type, type]);
      for (const chunkSize of [1, 16, 1_000, 'auto'] as const) {
        assert.deepEqual(await pool.run([range(300)], { chunkSize }), squares(300));
        const ordered: number[] = [];
        for await (const value of pool.imap<number>(range(100), { chunkSize })) ordered.push(value);
        assert.deepEqual(ordered, squares(100));
        const unordered: number[] = [];
        for await (const value of pool.imapUnordered<number>(new Set(range(100)), { chunkSize })) unordered.push(value);
        assert.deepEqual(
          unordered.sort((a, b) => a - b),
          squares(100),
        );
      }
    });

    test('cost a worker that dies inside nothing but the input that it was at', async (t) => {
      const pool = makePool(t, 'killOn', [type], { args: [0, 5], maxCrashes: 1 });
      const died: unknown[] = [];
      const places: unknown[] = [];
      const workerCallback = (event: string): void => void (event === 'died' && died.push(event));
      for await (const { index, value, error } of pool.stream([range(12)], { chunkSize: 12, workerCallback })) {
        places[index] = error ?? String(value);
      }
      assert.ok(places[5] instanceof PoisonedInputError);
      // What had a result keeps it; what had not begun went to one other worker, uncharged.
      assert.equal(new Set(places.slice(0, 5)).size, 1);
      assert.equal(new Set(places.slice(6)).size, 1);
      assert.notEqual(places[4], places[6]);
      assert.deepEqual(died, ['died']);
    });
  });
}

describe('chunks', () => {
  test('go on behind an input that fails, and one that cannot travel', async (t) => {
    const pool = makePool(t, 'lengthOf', ['thread', 'process']);
    const inputs = ['a', null, 'bb', () => {}, undefined, 'ccc'];
    const seen: unknown[] = [];
    for await (const { index, value, error } of pool.stream([inputs], { chunkSize: 6 })) {
      seen[index] = error === undefined ? value : ((error as { code?: string }).code ?? (error as Error).name);
    }
    const failed = 'TypeError';
    assert.deepEqual(seen, [undefined, failed, undefined, 'ERR_BOSUN_DATA_CLONE', failed, undefined]);
  });

  test('are no larger than the share of a worker', async (t) => {
    const pool = makePool(t, 'where', ['process'], { maxTasks: 3 });
    const pids = (await pool.map<[number]>(range(8), { chunkSize: 16 })).map(([pid]) => pid);
    assert.deepEqual(
      pids.map((pid) => pids.indexOf(pid)),
      [0, 0, 0, 3, 3, 3, 6, 6],
    );
  });

  test('are made of what each worker is to have', async (t) => {
    const pool = makePool(t, 'where', ['thread', 'thread']);
    const asked: unknown[] = [];
    const results = await pool.run<[number, number]>([range(40)], {
      chunkSize: 8,
      enqueueFn: (worker, input) => {
        asked.push(input[0]);
        return worker.userId === Number(input[0]) % 2;
      },
    });
    assert.deepEqual(new Set(asked), new Set(range(40)));
    const tids = pool.workers.map(({ tid }) => tid);
    assert.deepEqual(
      results.map(([, tid]) => tids.indexOf(tid)),
      range(40).map((x) => x % 2),
    );
  });

  test('have as many inputs as they are told to, and as few as are left', async (t) => {
    const pool = makePool(t, 'square', ['thread']);
    assert.equal(await mostHeld(pool, range(50), {}), 1);
    assert.equal(await mostHeld(pool, range(50), { chunkSize: 10 }), 10);
    assert.equal(await mostHeld(pool, range(50), { chunkSize: 10, extraPendingInputs: 5 }), 15);
    assert.equal(await mostHeld(pool, range(4), { chunkSize: 10 }), 4);
  });

  test('that measure have several short inputs, and one of the longer ones', async (t) => {
    const short = await mostHeld(makePool(t, 'square', ['thread']), range(2_000), { chunkSize: 'auto' });
    assert.ok(short > 1 && short <= 64, `${short} at once`);
    assert.equal(await mostHeld(makePool(t, 'spin', ['thread']), range(20).fill(3), { chunkSize: 'auto' }), 1);
    // The first of so few is on its way alone; then there is half of the rest for each.
    assert.ok((await mostHeld(makePool(t, 'square', ['thread']), range(9), { chunkSize: 'auto' })) <= 4);
  });

  test('are not waited for: a slow source holds back nothing that it gave', async (t) => {
    const pool = makePool(t, 'square', ['thread']);
    let goOn: () => void = () => {};
    async function* source(): AsyncGenerator<number> {
      yield* [1, 2, 3];
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
      yield 4;
    }
    const seen: unknown[] = [];
    for await (const { value } of pool.stream([source()], { chunkSize: 10 })) {
      seen.push(value);
      if (seen.length === 3) goOn();
    }
    assert.deepEqual(seen, [1, 4, 9, 16]);
  });

  test('go at the pace of a slow reader', async (t) => {
    const pool = makePool(t, 'square', ['thread']);
    let taken = 0;
    function* inputs(): Generator<number> {
      for (;;) yield taken++;
    }
    const stream = pool.stream([inputs()], { chunkSize: 10 });
    for (let i = 0; i < 5; i++) await stream.next();
    assert.ok(taken <= 5 + 4 + 10 + 10, `${taken} inputs were taken`);
    await stream.return(undefined);
  });

  test('are left by a worker that is to stop, between two inputs that let nothing in', async (t) => {
    const worker = new PersistentThreadWorker({ target: at('spin') });
    t.after(() => worker.terminate());
    const first = worker.call(1);
    const others = Promise.allSettled(range(50_000).map(() => worker.call(5)));
    await first;
    assert.equal(await worker.terminate({ timeout: 60_000, force: false }), true);
    assert.equal(worker.error?.name, 'WorkerTerminatedError');
    assert.ok((await others).some(({ status }) => status === 'rejected'));
  });

  test('have a size', async (t) => {
    const pool = makePool(t, 'square', ['thread']);
    for (const chunkSize of [0, -1, 1.5, Number.NaN, 'many', null, 2_000_000]) {
      const bad = { chunkSize } as never;
      await assert.rejects(pool.map([1], bad), { name: 'OutOfRangeError', code: 'ERR_BOSUN_OUT_OF_RANGE' });
    }
  });
});
