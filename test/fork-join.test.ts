// Tasks that wait for tasks which they have scheduled: on every kind of manager, at any depth, with one worker.

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  type BosunError,
  CancellationError,
  LocalManager,
  type ProcessManager,
  Task,
  WorkerException,
} from '../lib/index.js';
import { untilGone } from './fixtures/alive.js';
import { all, forkJoinTests, take } from './fixtures/fork-join-tests.js';
import { Double } from './fixtures/fork-tasks.js';
import { makeManager, useRemoteManagers } from './fixtures/scene.js';

const MODULE = new URL('./fixtures/fork-tasks.js', import.meta.url);
const makeRemoteManager = useRemoteManagers(fileURLToPath(new URL('.', MODULE)));
const at = (name: string) => ({ module: MODULE, export: name });

const MANAGERS: Readonly<Record<string, (t: TestContext) => ProcessManager | LocalManager>> = {
  'a LocalManager': () => new LocalManager(),
  'one process': (t) => makeManager(t),
  'one thread': (t) => makeManager(t, { kind: 'thread' }),
  'one remote worker': (t) => makeRemoteManager(t),
};

for (const [kind, make] of Object.entries(MANAGERS)) {
  forkJoinTests(kind, make);

  test(`with ${kind} nothing else runs between a parent and its children`, async (t) => {
    const manager = make(t);
    const before = manager.run(at('echo'), ['until the worker is ready']);
    await before;
    const families = ['a', 'b'].map((name) => manager.run(at('family'), [name, 3]));
    const messages = await take(manager, 8);
    // The last child first, of those that the manager has heard of when there is a place: see native/test/fork_unit.cc.
    for (const [i, name] of ['a', 'b'].entries()) {
      const family = messages.slice(4 * i, 4 * i + 4);
      assert.deepEqual(family.slice(0, 3).toSorted(), [`${name}0`, `${name}1`, `${name}2`]);
      assert.equal(family[3], `${name} ends`);
    }
    await Promise.all(families);
  });
}

describe('tasks that wait for tasks', () => {
  test('in a worker that dies are lost, and their children run all the same', async (t) => {
    // The parent keeps the only place of its worker, so that no child dies with it.
    const manager = makeManager(t, { workers: 2, minWorkers: 2, yieldWhileWaiting: false });
    await manager.ready();
    const lost = manager.run(at('dieWithChildren'), [3]);
    const messages = all(manager);
    await assert.rejects(lost, { code: 'ERR_BOSUN_WORKER_LOST', exitSignal: 'SIGKILL' });
    assert.deepEqual((await messages).toSorted(), ['child 0', 'child 1', 'child 2', 'scheduled']);
    assert.equal(manager.tasksLeft, 0);
  });

  test('learn how the worker of a child ended', async (t) => {
    // The parent keeps the only place of its worker, so the child dies elsewhere.
    const manager = makeManager(t, { workers: 2, minWorkers: 2, yieldWhileWaiting: false });
    await manager.ready();
    const seen = (await manager.run(at('caughtLoss'), [{}])) as Record<string, unknown>;
    assert.deepEqual([seen['name'], seen['exitSignal'], seen['taskName']], ['WorkerLostError', 'SIGKILL', 'die']);
    assert.match(String(seen['message']), /worker \d+ \(pid \d+\) was ended by SIGKILL while it ran task \d+ 'die'/);
    const retry = { max: 10, maxCrashes: 2, on: ['lost'] };
    const poison = (await manager.run(at('caughtLoss'), [{ retry }])) as Record<string, unknown>;
    assert.deepEqual([poison['name'], (poison['exits'] as unknown[]).length], ['PoisonTaskError', 2]);
    assert.equal(await manager.run(at('caughtLoss'), [{ retry }, 'dieOnce']), 2);
    // All of them have a promise.
    assert.equal(manager.stats().inbox.messages, 0);
  });

  test('are refused when they would keep the last place (yieldWhileWaiting: false)', async (t) => {
    const manager = makeManager(t, { yieldWhileWaiting: false });
    const alone = (await manager.run(at('caught'), ['echo', 1])) as Record<string, unknown>;
    assert.deepEqual([alone['name'], alone['code']], ['WouldDeadlockError', 'ERR_BOSUN_WOULD_DEADLOCK']);
    // Waiting for nothing it works as ever.
    assert.equal(await manager.run(at('echo'), [1]), 1);
    const two = makeManager(t, { workers: 2, yieldWhileWaiting: false });
    assert.equal(await two.run(at('depth'), [1]), 1);
    await assert.rejects(two.run(at('depth'), [2]), (error: WorkerException) => {
      const inner = error.cause as WorkerException;
      assert.equal((inner.cause as BosunError).code, 'ERR_BOSUN_WOULD_DEADLOCK');
      return true;
    });
    assert.deepEqual([manager.tasksLeft, two.tasksLeft], [0, 0]);
  });

  test('cannot have the result of one that went with its parent', async (t) => {
    const manager = makeManager(t);
    await manager.run(at('keep'));
    const seen = (await manager.run(at('readKept'))) as Record<string, unknown>;
    assert.equal(seen['code'], 'ERR_BOSUN_NO_RESULT_HERE');
  });

  test('cannot give a child what stays in their process', async (t) => {
    await assert.rejects(makeManager(t).run(at('withBackoff')), (error: WorkerException) => {
      assert.equal((error.cause as BosunError).code, 'ERR_BOSUN_NOT_PORTABLE');
      return true;
    });
  });

  for (const policy of ['cancel', 'kill'] as const) {
    test(`are settled by close('${policy}')`, async (t) => {
      const manager = makeManager(t, { workers: 2, grace: 20_000 });
      const results = ['a', 'b', 'c'].map((name) => manager.run(at('waitingTree'), [name, 3]));
      const outcomes = Promise.allSettled(results);
      for await (const message of manager.messages()) if (String(message).endsWith('.1')) break;
      const pids = manager.workers.map(({ pid }) => pid as number);
      const report = await manager.close(policy);
      for (const outcome of await outcomes) {
        assert.equal(outcome.status, 'rejected');
        const { reason } = outcome as PromiseRejectedResult;
        assert.ok(reason instanceof CancellationError || reason instanceof WorkerException, String(reason));
      }
      assert.equal(report.failed, 0);
      await untilGone(pids);
    });
  }

  test('fail in few words, however deep', async (t) => {
    const manager = makeManager(t);
    await assert.rejects(manager.run(at('failAt'), [60]), (error: WorkerException) => {
      assert.match(
        error.message,
        /^task 1 'failAt' failed in .*, by a task that it waited for: RangeError: the bottom$/,
      );
      assert.ok(error.message.length < 150);
      return true;
    });
  });

  test('without end are refused when a worker holds too many of them', { timeout: 60_000 }, async (t) => {
    const manager = makeManager(t);
    assert.match(await manager.run<string>(at('endless'), [0]), /^ERR_BOSUN_WOULD_DEADLOCK at 20\d\d$/);
    assert.equal(manager.tasksLeft, 0);
  });

  for (const kind of ['a process', 'a remote worker']) {
    test(`stop a loop that they wait for, in ${kind}`, async (t) => {
      const grace = 60_000;
      const manager = kind === 'a process' ? makeManager(t, { grace }) : makeRemoteManager(t, { grace });
      const controller = new AbortController();
      const result = manager.run(at('passOn'), ['spin'], { signal: controller.signal });
      assert.deepEqual(await take(manager, 1), ['spinning']);
      controller.abort(new Error('enough'));
      await assert.rejects(result, /enough/);
      // The worker is the same: nobody had to kill it for the loop.
      assert.deepEqual(await manager.run(at('passOn'), ['echo', 1]), 1);
      assert.equal(manager.workers[0]?.worker, 1);
    });
  }

  test('are counted like all others', async (t) => {
    const manager = makeManager(t, { workers: 2 });
    await manager.run(at('fibonacci'), [10]);
    const { tasks } = manager.stats();
    // fib(10) is a tree of 177 calls.
    assert.deepEqual([tasks.accepted, tasks.done, tasks.waiting, tasks.sent], [177, 177, 0, 0]);
  });

  test('of a LocalManager may use it directly', async () => {
    const manager = new LocalManager();
    const parent = new Task(async () => {
      const doubled = await manager.schedule(new Double(2)).result;
      return doubled + (await manager.run<number>(at('echo'), [1]));
    });
    assert.equal(await manager.schedule(parent).result, 5);
  });
});
