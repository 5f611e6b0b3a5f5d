// What a manager tells about itself: counts, histograms, events, diagnostics channels.

import assert from 'node:assert/strict';
import { channel } from 'node:diagnostics_channel';
import { describe, type TestContext, test } from 'node:test';
import { Task, type TaskTally } from '../lib/index.js';
import { drained, makeManager } from './fixtures/scene.js';

const MODULE = new URL('./fixtures/limit-tasks.js', import.meta.url);
const target = (name: string) => ({ module: MODULE, export: name });

const sum = ({ waiting, sent, held, done, failed, cancelled }: TaskTally): number =>
  waiting + sent + held + done + failed + cancelled;

describe('stats()', () => {
  test('counts tasks by state, and by state and priority', async (t) => {
    const manager = makeManager(t, { priorityLevels: 3, prefetch: 1 });
    await manager.ready();
    const retry = { max: 1, on: ['error'] as const, backoff: () => 60_000 };
    const held = manager.run(target('failUntil'), [9, 'throw'], { priority: 0, retry });
    held.catch(() => {});
    await new Promise((resolve) => manager.once('task:retry', resolve));
    const sent = manager.run(target('waitPolitely'), [], { priority: 1 });
    sent.catch(() => {});
    for (let i = 0; i < 3; i++) manager.run(target('holdFor'), [0], { priority: 2 }).catch(() => {});
    const cancelled = manager.schedule(Task.from(MODULE, 'holdFor', [0]), 2);
    cancelled.cancel();
    await assert.rejects(cancelled.result);
    const { tasks } = manager.stats();
    assert.deepEqual(
      tasks.byPriority.map((level) => [level.waiting, level.sent, level.held, level.cancelled]),
      [
        [0, 0, 1, 0],
        [0, 1, 0, 0],
        [3, 0, 0, 1],
      ],
    );
    assert.deepEqual([tasks.accepted, tasks.waiting, tasks.sent, tasks.held, tasks.cancelled], [6, 3, 1, 1, 1]);
    for (const level of [tasks, ...tasks.byPriority]) assert.equal(level.accepted, sum(level));
    await manager.close('cancel');
    const after = manager.stats().tasks;
    assert.equal(after.accepted, after.cancelled);
  });

  test('has how long tasks ran and waited, and begins anew when asked to', async (t) => {
    const manager = makeManager(t, { prefetch: 1 });
    await manager.ready();
    await Promise.all(Array.from({ length: 10 }, () => manager.run(target('holdFor'), [10])));
    const { run, wait } = manager.stats({ reset: true });
    assert.equal(run.count, 10);
    assert.ok(run.p50 >= 9 && run.p50 <= run.p90 && run.p90 <= run.p99 && run.p99 <= run.max, JSON.stringify(run));
    assert.equal(wait.count, 10);
    // The last one waited for nine others.
    assert.ok(wait.max >= 81 && wait.p50 <= wait.max, JSON.stringify(wait));
    assert.deepEqual(manager.stats().run, { count: 0, p50: 0, p90: 0, p99: 0, max: 0 });
    await manager.run(target('holdFor'), [0]);
    assert.equal(manager.stats().run.count, 1);
  });
});

function record(t: TestContext, names: string[]): { name: string; message: Record<string, unknown> }[] {
  const seen: { name: string; message: Record<string, unknown> }[] = [];
  for (const name of names) {
    const subscriber = (message: unknown) => seen.push({ name, message: message as Record<string, unknown> });
    channel(name).subscribe(subscriber);
    t.after(() => channel(name).unsubscribe(subscriber));
  }
  return seen;
}

describe('diagnostics channels', () => {
  test('publish what happens to tasks and workers of every manager, which comes along', async (t) => {
    const ends = [
      'bosun:task:queued',
      'bosun:task:retry',
      'bosun:task:done',
      'bosun:task:failed',
      'bosun:task:cancelled',
    ];
    const seen = record(t, [...ends, 'bosun:worker:start', 'bosun:worker:exit']);
    const manager = makeManager(t);
    await manager.run(target('holdFor'), [0]);
    const retry = { max: 1, on: ['error'] as const, backoff: () => 0 };
    await assert.rejects(manager.run(target('failUntil'), [9, 'throw'], { retry }));
    const handle = manager.schedule(Task.from(MODULE, 'holdFor', [60_000]));
    handle.cancel();
    await assert.rejects(handle.result);
    await manager.close('kill');
    assert.deepEqual(
      seen.map(({ name, message }) => [name.slice(6), message['id'] ?? message['worker']]),
      [
        ['task:queued', 1],
        ['worker:start', 1],
        ['task:done', 1],
        ['task:queued', 2],
        ['task:retry', 2],
        ['task:failed', 2],
        ['task:queued', 3],
        ['task:cancelled', 3],
        ['worker:exit', 1],
      ],
    );
    assert.ok(seen.every(({ message }) => message['manager'] === manager));
    assert.equal(seen[2]?.message['name'], 'holdFor');
  });

  test('report tasks that tasks schedule too, as soon as somebody listens', async (t) => {
    const manager = makeManager(t);
    const seen = record(t, ['bosun:task:done']);
    const { Tree } = await import('./fixtures/limit-tasks.js');
    manager.schedule(new Tree(2, 2));
    await drained(manager);
    assert.equal(seen.length, 7);
  });
});
