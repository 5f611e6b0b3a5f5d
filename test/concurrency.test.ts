// Several tasks at once in a worker.

import assert from 'node:assert/strict';
import { AsyncLocalStorage, createHook } from 'node:async_hooks';
import { describe, test } from 'node:test';
import { Task, WorkerLostError } from '../lib/index.js';
import { makeManager, makeNotes, type Notes } from './fixtures/scene.js';

const MODULE = new URL('./fixtures/limit-tasks.js', import.meta.url);
const TASKS = new URL('./fixtures/tasks.js', import.meta.url);
const target = (name: string) => ({ module: MODULE, export: name });

describe('concurrency', () => {
  test('runs so many at once, and never more', async (t) => {
    const manager = makeManager(t, { concurrency: 4 });
    const most = await Promise.all(Array.from({ length: 40 }, () => manager.run<number>(target('countTogether'))));
    assert.equal(Math.max(...most), 4);
  });

  test('is 1 unless given', async (t) => {
    const manager = makeManager(t);
    const most = await Promise.all(Array.from({ length: 10 }, () => manager.run<number>(target('countTogether'))));
    assert.equal(Math.max(...most), 1);
  });

  test('keeps the contexts and the async local stores of tasks apart, also of those that follow', async (t) => {
    const manager = makeManager(t, { concurrency: 8 });
    const values = Array.from({ length: 50 }, (_, i) => i);
    const stores = await Promise.all(values.map((value) => manager.run(target('ownStore'), [value])));
    assert.deepEqual(
      stores,
      values.map((value) => [undefined, value]),
    );
    assert.equal(await manager.run(target('storeNow')), undefined);
    const same = await Promise.all(values.map(() => manager.run({ module: TASKS, export: 'contextAcrossAwaits' })));
    assert.ok(same.every(Boolean));
  });

  test('cancels the one that is meant', async (t) => {
    const manager = makeManager(t, { concurrency: 3 });
    await manager.ready();
    const controllers = [1, 2, 3].map(() => new AbortController());
    const notes = await Promise.all(controllers.map(() => makeNotes(t)));
    const tasks = controllers.map(({ signal }, i) => {
      return manager.run(target('waitPolitely'), [(notes[i] as Notes).file], { signal });
    });
    for (const { line } of notes) await line('begin 1');
    controllers[1]?.abort('second');
    await assert.rejects(tasks[1] as Promise<unknown>, (error) => error === 'second');
    const { sent, cancelled } = manager.stats().tasks;
    assert.deepEqual([sent, cancelled], [2, 1]);
    for (const controller of controllers) controller.abort('all');
    const outcomes = await Promise.allSettled(tasks);
    assert.deepEqual(
      outcomes.map((outcome) => (outcome as PromiseRejectedResult).reason),
      ['all', 'second', 'all'],
    );
  });

  test('charges all that ran when the worker dies, and nothing that waited', async (t) => {
    const manager = makeManager(t, { concurrency: 2, prefetch: 4 });
    await manager.ready();
    const waits = manager.run(target('waitPolitely'));
    const dies = manager.run({ module: TASKS, export: 'exit' }, [3]);
    const behind = [1, 2, 3].map((i) => manager.run({ module: TASKS, export: 'echo' }, [i]));
    await assert.rejects(waits, WorkerLostError);
    await assert.rejects(dies, WorkerLostError);
    assert.deepEqual(await Promise.all(behind), [1, 2, 3]);
  });

  test('sends a result at once when there is nothing else to do', async (t) => {
    const manager = makeManager(t, { concurrency: 3 });
    for (let i = 0; i < 20; i++) assert.equal(await manager.run(target('awaitLittle'), [i]), i);
    const values = Array.from({ length: 100 }, (_, i) => i);
    assert.deepEqual(await Promise.all(values.map((i) => manager.run(target('awaitLittle'), [i]))), values);
  });

  test('strict priorities stay strict', async (t) => {
    const manager = makeManager(t, { concurrency: 2, prefetch: 1, priorityLevels: 3 });
    await manager.ready();
    const order: number[] = [];
    const blockers = [1, 2].map(() => manager.run(target('holdFor'), [50]));
    const run = (priority: number) =>
      manager.run(target('holdFor'), [5], { priority }).then(() => order.push(priority));
    await Promise.all([...blockers, ...[2, 2, 1, 1, 0, 0].map(run)]);
    assert.deepEqual(order, [0, 0, 1, 1, 2, 2]);
  });
});

describe('in the manager’s process', () => {
  test('a task is an async resource of its own, and callers keep their stores', async (t) => {
    const manager = makeManager(t);
    const types: string[] = [];
    const hook = createHook({ init: (_id, type) => types.push(type) }).enable();
    t.after(() => hook.disable());
    const storage = new AsyncLocalStorage<string>();
    const seen = await Promise.all(
      ['a', 'b'].map((name) =>
        storage.run(name, async () => {
          await manager.run(target('holdFor'), [1]);
          const handle = manager.schedule(Task.from(MODULE, 'holdFor', [1]));
          await handle.result;
          return storage.getStore();
        }),
      ),
    );
    assert.deepEqual(seen, ['a', 'b']);
    assert.equal(types.filter((type) => type === 'bosun.Task').length, 4);
  });
});
