// One pool over a thread, a process and another host, of which some are lost.

import assert from 'node:assert/strict';
import { after, describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Pool, PoolError, type PoolOptions, type PoolRunOptions, spawnServer, Worker } from '../lib/index.js';
import { at } from './fixtures/worker-kinds.js';

after(() => assert.deepEqual(Worker.activeChildren(), []));

const FOLDER = fileURLToPath(new URL('./fixtures/', import.meta.url));
const range = (end: number): number[] => Array.from({ length: end }, (_, i) => i);

async function makePool(t: TestContext, name: string, options: PoolOptions = {}) {
  const server = await spawnServer({ allowModules: [FOLDER], grace: 200 });
  t.after(() => server.terminate());
  const pool = new Pool(at(name), options);
  t.after(() => pool.terminate());
  const remote = { host: server.address, token: server.token };
  const workers = [pool.addWorker('thread'), pool.addWorker('process'), pool.addWorker('remote', remote)];
  await Promise.all(workers.map(({ started }) => started));
  return { pool, server, workers };
}

describe('a pool of all kinds', () => {
  const ways: readonly PoolRunOptions[] = [
    {},
    { chunkSize: 16 },
    { chunkSize: 'auto' },
    { affinity: ([x]) => Number(x) % 7 },
    { extraPendingInputs: 5, chunkSize: 3, affinity: ([x]) => Number(x) % 2 },
  ];
  for (const options of ways) {
    test(`loses nothing when each of its workers is killed in turn, with ${Object.keys(options).join(', ') || 'nothing else'}`, async (t) => {
      const { pool, workers } = await makePool(t, 'tick');
      const [thread, process_, remote] = workers;
      let count = 0;
      const seen = new Set<unknown>();
      for await (const { index, value } of pool.stream([range(120)], options)) {
        assert.equal(value, index);
        seen.add(index);
        count += 1;
        if (count === 10) process.kill(process_?.pid as number, 'SIGKILL');
        if (count === 30) void thread?.terminate({ timeout: 0 });
        if (count === 50) process.kill(remote?.pid as number, 'SIGKILL');
      }
      assert.deepEqual([count, seen.size], [120, 120]);
      assert.equal(pool.workers.length, 3);
    });
  }

  test('goes on without a server that is gone, however busy the others are', async (t) => {
    const { pool, server } = await makePool(t, 'spin');
    let isGone: Promise<unknown> | undefined;
    const workerCallback = (): void => {
      isGone ??= server.terminate();
    };
    await pool.map(new Array(6).fill(400), { workerCallback });
    await isGone;
    // Each run tries anew.
    await pool.map([1, 1, 1]);
  });

  test('whose only server is gone says so, with what it has', async (t) => {
    const server = await spawnServer({ allowModules: [FOLDER], grace: 200 });
    t.after(() => server.terminate());
    const pool = new Pool(at('tick'));
    t.after(() => pool.terminate());
    for (let i = 0; i < 2; i++) pool.addWorker('remote', { host: server.address, token: server.token });
    let count = 0;
    const run = pool.map(range(400), {
      chunkSize: 4,
      workerCallback: (event) => {
        if (event === 'finished' && ++count === 10) void server.terminate();
      },
    });
    await assert.rejects(run, (error: PoolError) => {
      assert.ok(error instanceof PoolError);
      assert.ok(error.partialResults.length >= 10);
      assert.ok(error.lostInputs.length > 0);
      assert.match(error.message, /end as fast as they are started/);
      assert.equal((error.cause as { code?: string }).code, 'ERR_BOSUN_WORKER_START');
      return true;
    });
  });
});
