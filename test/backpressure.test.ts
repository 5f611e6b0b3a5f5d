// A queue that is full, an inbox that nobody reads, and workers that all schedule at once.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ManagerClosedError, QueueFullError, Task } from '../lib/index.js';
import { Tree } from './fixtures/limit-tasks.js';
import { makeManager, makeNotes } from './fixtures/scene.js';

const MODULE = new URL('./fixtures/limit-tasks.js', import.meta.url);
const target = (name: string) => ({ module: MODULE, export: name });
const ECHO = { module: new URL('./fixtures/tasks.js', import.meta.url), export: 'echo' };
const FULL = { name: 'QueueFullError', code: 'ERR_BOSUN_QUEUE_FULL' };

describe('maxQueue', () => {
  test('refuses what is above it by a named error, and takes it again when there is room', async (t) => {
    const manager = makeManager(t, { maxQueue: 3, prefetch: 1 });
    await manager.ready();
    const busy = manager.run(target('holdFor'), [100]);
    // What a worker can take at once is not waiting.
    const fitting = [1, 2, 3].map(() => manager.run(target('holdFor'), [0]));
    await assert.rejects(manager.run(target('holdFor'), [0]), (error) => error instanceof QueueFullError);
    assert.throws(() => manager.schedule(Task.from(MODULE, 'holdFor', [0])), FULL);
    assert.equal(manager.stats().tasks.accepted, 4);
    await Promise.all([busy, ...fitting]);
    assert.ok(await manager.run(target('holdFor'), [0]));
  });

  test('with room() makes a producer go at the workers’ pace', async (t) => {
    // What was sent ahead and comes back waits as well, and takes no place.
    const manager = makeManager(t, { maxQueue: 10, workers: 2, prefetch: 1 });
    let most = 0;
    const tasks: Promise<unknown>[] = [];
    for (let i = 0; i < 500; i++) {
      await manager.room();
      tasks.push(manager.run(target('storeNow')));
      most = Math.max(most, manager.stats().tasks.waiting);
    }
    await Promise.all(tasks);
    assert.ok(most <= 10, `${most} waited`);
  });

  test('room() promises each caller a place of its own, whatever comes back to the queue meanwhile', async (t) => {
    const manager = makeManager(t, { maxQueue: 2, workers: 2, prefetch: 16, grace: 20 });
    await manager.ready();
    const tasks: Promise<unknown>[] = [];
    const producer = async (name: number) => {
      for (let i = 0; i < 300; i++) {
        await manager.room();
        const slow = i % 50 === name;
        const task = slow
          ? manager.run(target('ignoreSignal'), [5], { timeout: 1 }).catch((error) => {
              if (error.code !== 'ERR_BOSUN_TIMEOUT') throw error;
            })
          : manager.run(target('storeNow'));
        tasks.push(task);
      }
    };
    await Promise.all([1, 2, 3, 4, 5].map(producer));
    await Promise.all(tasks);
    assert.equal(tasks.length, 1_500);
  });

  test('room() that is not used is given to others', async (t) => {
    const manager = makeManager(t, { maxQueue: 1, prefetch: 1 });
    await manager.ready();
    void manager.run(target('holdFor'), [60_000]).catch(() => {});
    await manager.room();
    await manager.room();
    await manager.room();
    void manager.run(target('holdFor'), [60_000]).catch(() => {});
    await assert.rejects(manager.run(target('holdFor'), [0]), FULL);
  });

  test('what is dropped outside is told of, and counted', async (t) => {
    const manager = makeManager(t, { maxQueue: 1, whenFull: 'wait', prefetch: 1 });
    await manager.ready();
    const told: number[] = [];
    manager.on('task:cancelled', ({ id }) => told.push(id));
    for (let i = 0; i < 6; i++) manager.schedule(Task.from(MODULE, 'waitPolitely'));
    const report = await manager.close('cancel');
    assert.deepEqual([...told].sort(), [1, 2, 3, 4, 5, 6]);
    assert.equal(report.cancelled, 6);
  });

  test("whenFull: 'wait' keeps them outside, in order, and all of them run", async (t) => {
    const manager = makeManager(t, { maxQueue: 2, whenFull: 'wait', prefetch: 1 });
    const notes = await makeNotes(t);
    await manager.ready();
    const tasks = Array.from({ length: 50 }, (_, i) => manager.run(target('note'), [notes.file, `${i}`]));
    const { waiting, outside } = manager.stats().tasks;
    assert.ok(waiting <= 2 && outside >= 40, `${waiting} in the queue, ${outside} outside`);
    assert.equal(manager.tasksLeft, 50);
    await Promise.all(tasks);
    assert.deepEqual(
      notes.lines(),
      Array.from({ length: 50 }, (_, i) => `${i}`),
    );
  });

  test("whenFull: 'wait': a task outside can be cancelled, and is dropped by close()", async (t) => {
    const manager = makeManager(t, { maxQueue: 1, whenFull: 'wait', prefetch: 1 });
    await manager.ready();
    void manager.run(target('holdFor'), [100]).catch(() => {});
    void manager.run(target('holdFor'), [0]).catch(() => {});
    const controller = new AbortController();
    const cancelled = manager.run(target('holdFor'), [0], { signal: controller.signal });
    const dropped = manager.schedule(Task.from(MODULE, 'holdFor', [0]));
    assert.equal(manager.stats().tasks.outside, 2);
    controller.abort('no');
    await assert.rejects(cancelled, (error) => error === 'no');
    const room = manager.room();
    const closing = manager.close('cancel');
    await assert.rejects(dropped.result, { code: 'ERR_BOSUN_CANCELLED' });
    await assert.rejects(room, ManagerClosedError);
    await closing;
    assert.equal(manager.tasksLeft, 0);
  });

  test('whatever happens while there is room to be made, each task keeps its own arguments', async (t) => {
    // Workers are started in the turns that make room, and a listener schedules in one.
    for (const whenFull of ['throw', 'wait'] as const) {
      const manager = makeManager(t, { maxQueue: 2, whenFull, workers: 4, minWorkers: 0 });
      const inner: Promise<unknown>[] = [];
      manager.on('task:done', ({ name }) => {
        if (name === 'outer' && inner.length < 5) inner.push(manager.run(ECHO, ['inner']).catch(() => 'inner'));
      });
      const names = Array.from({ length: 60 }, (_, i) => `argument ${i} ${'x'.repeat(i)}`);
      const outcomes = await Promise.allSettled(names.map((name) => manager.run(ECHO, [name])));
      for (const [i, outcome] of outcomes.entries()) {
        if (outcome.status === 'fulfilled') assert.equal(outcome.value, names[i]);
        else assert.equal(outcome.reason.code, FULL.code, String(outcome.reason));
      }
      assert.ok(outcomes.some(({ status }) => status === 'fulfilled'));
      await Promise.all(inner);
      await manager.close();
    }
  });

  test("whenFull: 'wait': a deadline counts outside as well", async (t) => {
    const manager = makeManager(t, { maxQueue: 1, whenFull: 'wait', prefetch: 1 });
    await manager.ready();
    const busy = manager.run(target('holdFor'), [300]);
    const inside = manager.run(target('holdFor'), [0]);
    await assert.rejects(manager.run(target('holdFor'), [0], { deadline: 30 }), { code: 'ERR_BOSUN_DEADLINE' });
    assert.ok(await manager.run(target('holdFor'), [0], { deadline: 60_000 }));
    await Promise.all([busy, inside]);
  });

  test('binds the owner only: workers that all schedule at once never wait for each other', async (t) => {
    const manager = makeManager(t, { maxQueue: 1, workers: 2, minWorkers: 2, inboxHighWaterMark: 1 });
    manager.schedule(new Tree(6, 3));
    let messages = 0;
    for await (const message of manager.messages()) messages += message as number;
    assert.equal(messages, (3 ** 7 - 1) / 2);
  });
});
