// Generators in the workers of a manager.

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ProcessManager, WorkerException } from '../lib/index.js';
import { makeManager, useRemoteManagers } from './fixtures/scene.js';

const MODULE = new URL('./fixtures/fork-tasks.js', import.meta.url);
const at = (name: string) => ({ module: MODULE, export: name });
const makeRemoteManager = useRemoteManagers(fileURLToPath(new URL('.', MODULE)));

const MANAGERS: Readonly<Record<string, (t: TestContext) => ProcessManager | Promise<ProcessManager>>> = {
  process: (t) => makeManager(t),
  thread: (t) => makeManager(t, { kind: 'thread' }),
  remote: (t) => makeRemoteManager(t),
};

for (const [kind, make] of Object.entries(MANAGERS)) {
  describe(`a generator in a ${kind}`, () => {
    test('yields its values in order, and returns', async (t) => {
      const manager = await make(t);
      const values = manager.stream<number, string>(at('upTo'), [1_000]);
      const seen: number[] = [];
      let step = await values.next();
      for (; step.done !== true; step = await values.next()) seen.push(step.value);
      assert.deepEqual(
        seen,
        Array.from({ length: 1_000 }, (_, i) => i),
      );
      assert.equal(step.value, 'all');
      assert.equal(manager.tasksLeft, 0);
    });

    test('goes at the pace of its reader, and is closed when the loop is left', async (t) => {
      const manager = await make(t);
      const seen: number[] = [];
      for await (const value of manager.stream<number>(at('told'), [1_000])) {
        seen.push(value);
        if (seen.length === 20) break;
      }
      const messages: unknown[] = [];
      for await (const message of manager.messages()) messages.push(message);
      assert.equal(seen.length, 20);
      assert.equal(messages.at(-1), 'closed');
      // 16 ahead in the beginning, and 8 more for each 8 that were taken.
      assert.ok(messages.length - 1 <= 16 + 16, `${messages.length - 1} were made`);
      assert.equal(manager.tasksLeft, 0);
    });

    test('throws where it threw, behind the values before', async (t) => {
      const seen: number[] = [];
      await assert.rejects(
        async () => {
          for await (const value of (await make(t)).stream<number>(at('told'), [50, 20])) seen.push(value);
        },
        (error: WorkerException) => (error.cause as Error).message === 'in the middle',
      );
      assert.equal(seen.length, 20);
    });
  });
}

describe('stream()', () => {
  test('begins with the first next(), takes limits, and says what it does not take', async (t) => {
    const manager = makeManager(t);
    const signal = AbortSignal.abort(new Error('too late'));
    await assert.rejects(manager.stream(at('upTo'), [1], { signal }).next(), /too late/);
    const unread = manager.stream(at('upTo'), [1]);
    assert.equal(manager.tasksLeft, 0);
    await unread.return(undefined);
    for (const options of [{ retry: { max: 1 } }, { onProgress: () => {} }, { timeout: 0 }, { priority: 7 }]) {
      assert.throws(() => manager.stream(at('upTo'), [1], options as object), /InvalidArgumentError|OutOfRangeError/);
    }
    await assert.rejects(manager.stream(at('upTo'), [() => {}]).next(), { code: 'ERR_BOSUN_DATA_CLONE' });
  });

  test('gives the result of a function that is no generator, and run() says what a generator wants', async (t) => {
    const manager = makeManager(t);
    assert.deepEqual(await manager.stream(at('echo'), [5]).next(), { done: true, value: 5 });
    await assert.rejects(manager.run(at('upTo'), [5]), (error: WorkerException) => {
      assert.match((error.cause as Error).message, /stream\(\) of the manager/);
      return true;
    });
  });

  test('is lost with its worker, and never run again', async (t) => {
    const manager = makeManager(t, { retry: { max: 3 } });
    const values = manager.stream<number>(at('upTo'), [1_000_000]);
    await values.next();
    process.kill(manager.workers[0]?.pid as number, 'SIGKILL');
    await assert.rejects(
      async () => {
        for await (const _ of values);
      },
      { code: 'ERR_BOSUN_WORKER_LOST' },
    );
    assert.equal(manager.stats().tasks.retried, 0);
  });
});
