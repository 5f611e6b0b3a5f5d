// Cancelling and closing at a bad time.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { ClosePolicy, type ProcessManager, Task, WorkerLostError } from '../lib/index.js';
import { makeManager } from './fixtures/scene.js';
import { Say, Stubborn, UntilAborted } from './fixtures/tasks.js';

const MODULE = new URL('./fixtures/tasks.js', import.meta.url);
const HARD = new URL('./fixtures/hardening-tasks.js', import.meta.url);
const CANCELLED = { code: 'ERR_BOSUN_CANCELLED' };

/** What is wrong here often hangs; the limit of a whole run is too long to wait for that. */
const LIMIT = { timeout: 20_000 };

async function collect(messages: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const message of messages) all.push(message);
  return all;
}

/** Tasks are handed over in the microtask after `schedule`; nothing has been taken back then, for that needs a timer. */
async function assertSent(manager: ProcessManager, count: number): Promise<void> {
  await Promise.resolve();
  assert.equal(manager.stats().tasks.sent, count);
}

describe('cancel() of a task that was sent ahead', () => {
  test('keeps it from running, behind a busy one', LIMIT, async (t) => {
    const manager = makeManager(t, { prefetch: 4 });
    await manager.ready();
    const busy = manager.schedule(Task.from(MODULE, 'spinFor', [300]));
    const kept = manager.schedule(new Say('kept'));
    const dropped = manager.schedule(new Say('dropped'));
    await assertSent(manager, 3);
    dropped.cancel();
    await assert.rejects(dropped.result, CANCELLED);
    assert.equal(await busy.result, 300);
    await kept.result;
    assert.deepEqual(await collect(manager.messages()), ['kept']);
  });

  for (const ms of [0, 300]) {
    test(`keeps it from running, behind one that kills the worker after ${ms} ms`, LIMIT, async (t) => {
      const manager = makeManager(t, { prefetch: 4 });
      await manager.ready();
      const dying = manager.schedule(Task.from(HARD, 'spinThenDie', [ms]));
      const kept = manager.schedule(new Say('kept'));
      const dropped = manager.schedule(new Say('dropped'));
      await assertSent(manager, 3);
      dropped.cancel();
      await assert.rejects(dropped.result, CANCELLED);
      await assert.rejects(dying.result, WorkerLostError);
      await kept.result;
      const messages = await collect(manager.messages());
      assert.deepEqual(
        messages.filter((message) => !(message instanceof WorkerLostError)),
        ['kept'],
      );
      assert.equal(messages.length, 2);
    });
  }

  test('and of the loop before it stops both', LIMIT, async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'bosun-hardening-'));
    t.after(() => rm(directory, { recursive: true }));
    const manager = makeManager(t, { prefetch: 8 });
    await manager.ready();
    const path = join(directory, 'running');
    const loop = manager.schedule(Task.from(HARD, 'touchAndSpin', [path]));
    const behind = Array.from({ length: 5 }, (_, i) => manager.schedule(new Say(i)));
    await assertSent(manager, 6);
    // This thread must not turn meanwhile: it would take back those that were sent ahead.
    const end = performance.now() + 10_000;
    while (!existsSync(path) && performance.now() < end);
    const handles = [loop, ...behind];
    for (const handle of handles) handle.cancel();
    for (const { result } of handles) await assert.rejects(result, CANCELLED);
    assert.deepEqual(await collect(manager.messages()), []);
    assert.equal(manager.workers.length, 1);
  });
});

describe('cancel() of a task that waits', () => {
  test('settles 100 000 of them behind one busy worker', LIMIT, async (t) => {
    const manager = makeManager(t, { prefetch: 1 });
    const busy = manager.schedule(new UntilAborted(), 0);
    assert.equal((await manager.messages().next()).value, 'running');
    for (let chunk = 0; chunk < 100; chunk++) {
      const results = Array.from({ length: 1_000 }, () => {
        const handle = manager.schedule(new Say('never'));
        handle.cancel();
        return handle.result;
      });
      const outcomes = await Promise.allSettled(results);
      assert.ok(outcomes.every((outcome) => outcome.status === 'rejected' && outcome.reason.code === CANCELLED.code));
    }
    const { accepted, waiting, sent, held, done, failed, cancelled } = manager.stats().tasks;
    assert.deepEqual(
      { accepted, waiting, sent, held, done, failed, cancelled },
      { accepted: 100_001, waiting: 0, sent: 1, held: 0, done: 0, failed: 0, cancelled: 100_000 },
    );
    busy.cancel();
    await assert.rejects(busy.result, CANCELLED);
    assert.equal(manager.tasksLeft, 0);
  });
});

describe('close() of a manager that closes', () => {
  /** A worker that obeys nothing. */
  async function stubborn(t: TestContext) {
    const manager = makeManager(t, { grace: 100 });
    const handle = manager.schedule(new Stubborn());
    assert.equal((await manager.messages().next()).value, 'running');
    return { manager, refused: assert.rejects(handle.result, CANCELLED) };
  }

  test('CANCEL does not wait for the timeout of the JOIN before it', LIMIT, async (t) => {
    const { manager, refused } = await stubborn(t);
    const joined = manager.close(ClosePolicy.JOIN, { timeout: 60_000 });
    assert.equal(manager.close(ClosePolicy.CANCEL), joined);
    const report = await joined;
    await refused;
    assert.equal(report.policy, 'cancel');
    assert.deepEqual(
      report.workers.map(({ exitSignal }) => exitSignal),
      ['SIGKILL'],
    );
  });

  test('CANCEL does not wait for the timeout of the JOIN when that has begun to wait', LIMIT, async (t) => {
    const { manager, refused } = await stubborn(t);
    const joined = manager.close(ClosePolicy.JOIN, { timeout: 60_000 });
    await new Promise((resolve) => setImmediate(resolve));
    void manager.close(ClosePolicy.CANCEL);
    const report = await joined;
    await refused;
    assert.deepEqual([report.policy, report.workers[0]?.exitSignal], ['cancel', 'SIGKILL']);
  });

  test('JOIN with a timeout bounds a JOIN without one', LIMIT, async (t) => {
    const { manager, refused } = await stubborn(t);
    const joined = manager.close();
    assert.equal(manager.close(ClosePolicy.JOIN, { timeout: 100 }), joined);
    const report = await joined;
    await refused;
    assert.deepEqual([report.policy, report.workers[0]?.exitSignal], ['kill', 'SIGKILL']);
  });
});
