// A function for one input after the other, in a thread or a process.

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import {
  PersistentWorker,
  type PersistentWorkerOptions,
  Worker,
  WorkerClosedError,
  WorkerLostError,
  WorkerTerminatedError,
} from '../lib/index.js';
import { at, KINDS, useKinds } from './fixtures/worker-kinds.js';

after(() => assert.deepEqual(Worker.activeChildren(), []));

const place = useKinds();

async function collect<T>(iterable: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of iterable) items.push(item);
  return items;
}

for (const type of KINDS) {
  const make = <V>(name: string, options: PersistentWorkerOptions = {}): PersistentWorker<V> =>
    PersistentWorker.create<V>(type, { target: at(name), ...place(type), ...options });

  describe(`a persistent ${type} worker`, () => {
    test('works off its inputs in order, and its result is how many', async () => {
      const worker = make<number>('square');
      for (let i = 0; i < 10; i++) void worker.enqueue(i);
      assert.equal(worker.pendingInputs.length, 10);
      await worker.wait();
      assert.equal(worker.result, 10);
      assert.deepEqual(await collect(worker.results()), [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]);
      assert.deepEqual(worker.pendingInputs, []);
      await assert.rejects(worker.nextResult(), WorkerClosedError);
    });

    test('gives results one by one, and to each call its own', async () => {
      await using worker = make<number>('square');
      void worker.enqueue(2);
      const call = worker.call(3);
      void worker.enqueue(4);
      assert.deepEqual([await worker.nextResult(), await worker.nextResult(), await call], [4, 16, 9]);
      await assert.rejects(worker.nextResult({ timeout: 1 }), { code: 'ERR_BOSUN_TIMEOUT' });
      const late = worker.nextResult();
      void worker.enqueue(5);
      assert.equal(await late, 25);
      assert.deepEqual([(await worker.results(0).next()).done, worker.isPersistent], [true, true]);
    });

    test('lays inputs over its own args and kwargs', async () => {
      await using worker = make('echo', { args: [1, 2] as const, kwargs: { k: 5 } });
      assert.deepEqual(await worker.call(), [1, 2, { k: 5 }]);
      assert.deepEqual(await worker.call(7), [7, 2, { k: 5 }]);
      assert.deepEqual(await worker.call(7, 8, { k: 9, l: 1 }), [7, 8, { k: 9, l: 1 }]);
      assert.deepEqual(await worker.call({ k: 9 }), [{ k: 9 }, 2, { k: 5 }]);
      await using plain = make('echo', { args: [1, 2] });
      assert.deepEqual(await plain.call(7, 8, { k: 9 }), [7, 8, { k: 9 }]);
    });

    test('takes nothing any more when it is closed', async () => {
      const worker = make('square');
      const last = worker.call(3);
      worker.close();
      await assert.rejects(worker.enqueue(1), WorkerClosedError);
      await assert.rejects(worker.call(1), WorkerClosedError);
      assert.equal(await last, 9);
      await worker.wait();
      await assert.rejects(worker.enqueue(1), WorkerClosedError);
      assert.equal(worker.result, 1);
    });

    test('refuses an input that cannot travel, and goes on', async () => {
      await using worker = make<number>('square');
      await assert.rejects(
        worker.enqueue(() => {}),
        { code: 'ERR_BOSUN_DATA_CLONE' },
      );
      assert.equal(await worker.call(2), 4);
      assert.deepEqual(worker.pendingInputs, []);
    });

    test('dies of what its target throws, and says which inputs are lost', async () => {
      const worker = make<number>('fail');
      const own = worker.call(1);
      const behind = worker.call(2);
      void worker.enqueue(3);
      await assert.rejects(own, { name: 'RangeError', message: 'x = 1' });
      await assert.rejects(behind, WorkerClosedError);
      await worker.wait();
      assert.deepEqual([worker.error?.message, worker.hasError], ['x = 1', true]);
      assert.deepEqual(worker.pendingInputs, [[1], [2], [3]]);
    });

    test('tells of what its target throws and goes on, if it is told so', async () => {
      await using worker = make<number>('fail', { onError: 'report' });
      void worker.enqueue(1);
      await assert.rejects(worker.call(2), { name: 'RangeError', message: 'x = 2' });
      await assert.rejects(worker.nextResult(), { message: 'x = 1' });
      worker.close();
      await worker.wait();
      assert.deepEqual([worker.hasError, worker.result], [false, 0]);
    });

    test('that is lost says so to those who wait', async () => {
      const worker = make('dieOn');
      const fine = worker.call(1, 2);
      const deadly = worker.call(2, 2);
      const behind = worker.call(3, 2);
      assert.equal(await fine, 1);
      await assert.rejects(deadly, (error: WorkerLostError) => {
        assert.ok(error instanceof WorkerLostError);
        assert.deepEqual([error.exitCode, error.exitSignal], [7, null]);
        return true;
      });
      await assert.rejects(behind, WorkerClosedError);
      await worker.wait();
      assert.deepEqual(worker.pendingInputs, [
        [2, 2],
        [3, 2],
      ]);
    });

    test('is terminated while it has nothing to do, and while it has', async () => {
      const idle = make('square');
      await idle.started;
      assert.equal(await idle.terminate({ timeout: 60_000, force: false }), true);
      assert.ok(idle.error instanceof WorkerTerminatedError);
      const busy = make('waitForStop');
      const call = busy.call();
      await busy.started;
      assert.equal(await busy.terminate({ timeout: 60_000, force: false }), true);
      await assert.rejects(call, WorkerTerminatedError);
      assert.ok(busy.error instanceof WorkerTerminatedError);
    });

    test('is started again with what it was made with and the state that it has left', async () => {
      const worker = make<number>('count', { initialState: 1 });
      for (let i = 0; i < 10; i++) void worker.enqueue(1);
      await worker.wait();
      const { id } = worker;
      assert.deepEqual([worker.userState, worker.result], [11, 10]);
      assert.equal(await worker.restart(), worker);
      assert.notDeepEqual(worker.id, id);
      for (let i = 0; i < 5; i++) void worker.enqueue(1);
      await worker.wait();
      assert.deepEqual([worker.userState, worker.result], [16, 5]);
      // Those of its first life had not been read.
      assert.deepEqual(
        await collect(worker.results()),
        Array.from({ length: 15 }, (_, i) => i + 2),
      );
    });

    test('is started once however often it is asked to be, and not when it was terminated', async () => {
      const worker = make<number>('square');
      void worker.enqueue(3);
      const [one, two] = [worker.restart(), worker.restart()];
      assert.equal(await one, await two);
      // What nobody had read is still there.
      assert.deepEqual([await worker.nextResult(), await worker.call(2)], [9, 4]);
      const again = assert.rejects(worker.restart(), WorkerClosedError);
      await worker.terminate();
      await again;
      assert.equal(worker.isAlive(), false);
      const never = make('square', { run: false });
      await assert.rejects(never.nextResult(), WorkerClosedError);
      assert.deepEqual(await collect(never), []);
    });

    test('is made to end before it is started again', async () => {
      const worker = make<number>('ignoreStop');
      void worker.enqueue();
      await worker.started;
      await assert.rejects(worker.restart({ wait: 0, timeout: 0, force: false }), WorkerClosedError);
      await worker.restart({ wait: 0, timeout: 0 });
      assert.equal(worker.isAlive(), true);
      await worker.terminate();
    });
  });
}

test('round robin over all kinds', async () => {
  const workers = KINDS.map((type) => PersistentWorker.create<number>(type, { target: at('square'), ...place(type) }));
  for (let x = 0; x < 10; x++) void workers[x % 3]?.enqueue(x);
  const lines: unknown[] = [];
  for (const worker of workers) {
    await worker.wait();
    lines.push([worker.result, await collect(worker.results())]);
  }
  assert.deepEqual(lines, [
    [4, [0, 9, 36, 81]],
    [3, [1, 16, 49]],
    [3, [4, 25, 64]],
  ]);
});
