// How the state of a task follows the manager that runs it.

import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  BlockedError,
  CancellationError,
  Chain,
  DeadlineError,
  FSMError,
  LocalManager,
  NullManager,
  type ProcessManager,
  Task,
  type TaskContext,
  WorkerException,
} from '../lib/index.js';
import { Whoami } from './fixtures/graph-tasks.js';
import { makeManager, useRemoteManagers } from './fixtures/scene.js';

const TASKS = new URL('./fixtures/graph-tasks.js', import.meta.url);
const makeRemoteManager = useRemoteManagers(fileURLToPath(new URL('./fixtures/', import.meta.url)));
const UNKEPT = { history: true } as const;

const call = (name: string, args: unknown[] = [], options: object = {}): Task<number> =>
  Task.from<number>(TASKS, name, args, { ...UNKEPT, ...options });
const events = (task: Task): string => (task.history ?? []).map(({ event }) => event).join(' ');

/** Resolves when the task comes into this state. */
const comesTo = (task: Task, state: 'RUNNING' | 'DONE' | 'FAILED' | 'CANCELLED'): Promise<void> => {
  return new Promise((resolve) => void task.on(state, () => resolve()));
};

for (const [kind, make] of [
  ['a LocalManager', () => new LocalManager()],
  ['a ProcessManager', makeManager],
  ['a manager of threads', (t: TestContext) => makeManager(t, { kind: 'thread' })],
  ['a remote worker', (t: TestContext) => makeRemoteManager(t)],
] as const) {
  describe(`a task of ${kind}`, () => {
    const ends: (() => unknown)[] = [];
    let manager: ProcessManager | LocalManager;
    before(async () => {
      manager = await make({ after: (end: () => unknown) => ends.push(end) } as unknown as TestContext);
    });
    after(async () => {
      for (const end of ends.toReversed()) await end();
    });

    test('is QUEUED, RUNNING and DONE', async () => {
      const task = call('add', [1, 2]);
      const handle = manager.schedule(task);
      assert.equal(task.state, 'QUEUED');
      assert.equal(await task.result, 3);
      assert.equal(await handle.result, 3);
      assert.equal(events(task), 'queue dispatch done');
    });

    test('is FAILED with the error of its handle, and is retried', async () => {
      const task = call('fail', ['broken']);
      const first = manager.schedule(task);
      await assert.rejects(task.result, (error: WorkerException) => {
        return error instanceof WorkerException && (error.cause as Error).message === 'broken';
      });
      assert.equal(task.state, 'FAILED');
      task.retry();
      const second = manager.schedule(task);
      await task.join();
      assert.equal(events(task), 'queue dispatch except retry queue dispatch except');
      assert.notEqual(await first.result.catch((error) => error), await second.result.catch((error) => error));
    });

    test('has the results of what it requires, whatever it is', async () => {
      const base = call('add', [1, 2], { name: 'base' });
      const failed = call('fail', ['x'], { name: 'failed' });
      const sum = base.andThen(call('sumOf', ['base'])).require(failed);
      const whoami = base.andThen(new Whoami('hi'));
      for (const task of [base, failed]) await manager.schedule(task).result.catch(() => {});
      assert.equal(await manager.schedule(sum).result, 3);
      assert.equal(await manager.schedule(whoami).result, 'hi true 3');
      const asks = failed.andThen(call('sumOf', ['failed']));
      await assert.rejects(manager.schedule(asks).result, /task 'failed' has no result: it is FAILED/);
    });

    test('is refused when it is blocked, or not PENDING', async () => {
      const base = call('add', [1]);
      const next = base.andThen(call('add', [2]));
      assert.throws(
        () => manager.schedule(next),
        (error: BlockedError) => {
          return error instanceof BlockedError && error.task === next && error.blockingTask === base;
        },
      );
      manager.schedule(base);
      assert.throws(
        () => manager.schedule(base),
        (error: FSMError) => {
          return error instanceof FSMError && error.state === 'QUEUED' && /retry\(\) or clone\(\)/.test(error.message);
        },
      );
      await assert.rejects(base.dispatch(), FSMError);
      await base.result;
      assert.throws(() => manager.schedule(base), FSMError);
      assert.equal(await manager.schedule(base.clone()).result, 1);
      base.cancel();
      assert.equal(base.state, 'DONE');
      const aborted = call('add');
      const behind = aborted.andThen(call('add'));
      aborted.abort();
      assert.equal(behind.state, 'ABORT');
      assert.throws(() => manager.schedule(aborted.andThen(call('add'))), BlockedError);
    });

    test('is cancelled at once while it waits, and by its signal while it runs', async () => {
      const running = call('wait');
      const begun = comesTo(running, 'RUNNING');
      const handle = manager.schedule(running);
      const waiting = call('add', [1]);
      const other = manager.schedule(waiting);
      await begun;
      waiting.cancel('no need');
      assert.equal(events(waiting), 'queue cancel');
      running.cancel('enough');
      assert.equal(running.state, 'RUNNING');
      await running.join();
      assert.equal(events(running), 'queue dispatch cancel');
      for (const result of [handle.result, other.result, running.result, waiting.result]) {
        await assert.rejects(result, CancellationError);
      }
      // What becomes of the first one is no matter of the second.
      waiting.retry();
      assert.equal(await manager.schedule(waiting).result, 1);
      assert.equal(events(waiting), 'queue cancel retry queue dispatch done');
    });

    test('is cancelled by its handle', async () => {
      const running = call('wait');
      const begun = comesTo(running, 'RUNNING');
      const handle = manager.schedule(running);
      const waiting = call('add', [1]);
      manager.schedule(waiting).cancel('no need');
      await waiting.join();
      await begun;
      handle.cancel('enough');
      await running.join();
      assert.deepEqual([events(waiting), events(running)], ['queue cancel', 'queue dispatch cancel']);
    });
  });
}

describe('a task of a ProcessManager', () => {
  test('is told RUNNING when it begins, before it ends', async (t) => {
    const manager = makeManager(t);
    const task = call('untilTold');
    const begun = comesTo(task, 'RUNNING');
    const handle = manager.schedule(task);
    await begun;
    assert.equal(events(task), 'queue dispatch');
    handle.send(5);
    assert.equal(await task.result, 5);
  });

  test('stays RUNNING while it is run again by its manager', async (t) => {
    const manager = makeManager(t, { retry: { max: 1, backoff: () => 0 } });
    const task = call('dieOnce');
    manager.schedule(task);
    assert.equal(await task.result, 2);
    assert.equal(events(task), 'queue dispatch done');
  });

  test('is CANCELLED when its deadline passes, or the manager closes, while it is QUEUED', async (t) => {
    const manager = makeManager(t);
    const running = call('wait');
    const begun = comesTo(running, 'RUNNING');
    manager.schedule(running);
    await begun;
    const late = call('add', [1], { deadline: 1 });
    const dropped = call('add', [1]);
    manager.schedule(late);
    manager.schedule(dropped);
    await assert.rejects(late.result, DeadlineError);
    await manager.close('cancel');
    // What it makes of the signal is its own matter.
    assert.deepEqual([late, dropped, running].map(events), ['queue cancel', 'queue cancel', 'queue dispatch done']);
  });

  test('stays PENDING when it is not accepted', async (t) => {
    const manager = makeManager(t);
    const task = call('add', [() => {}]);
    assert.throws(() => manager.schedule(task), { code: 'ERR_BOSUN_DATA_CLONE' });
    const base = new Task('base', () => () => {});
    await base.dispatch();
    const next = base.andThen(call('add', [1]));
    assert.throws(() => manager.schedule(next), /the result of 'base'/);
    assert.throws(() => manager.schedule(call('add', [1]), 9), RangeError);
    assert.deepEqual([task, next].map(events), ['', '']);
    assert.throws(() => new NullManager().schedule(task), { code: 'ERR_BOSUN_NULL_MANAGER' });
    await manager.close();
    assert.throws(() => manager.schedule(call('add', [1])), { code: 'ERR_BOSUN_MANAGER_CLOSED' });
  });

  test('is cancelled by what it returns, or throws, when it says so', async (t) => {
    const manager = makeManager(t);
    const returns = call('add', [1], { cancelOnResult: (result: number) => result === 1 });
    const throws = call('fail', ['x'], { cancelOnException: true });
    manager.schedule(returns);
    manager.schedule(throws);
    await assert.rejects(returns.result, CancellationError);
    await assert.rejects(throws.result, (error: CancellationError) => error.cause instanceof WorkerException);
    assert.deepEqual([returns, throws].map(events), ['queue dispatch cancel', 'queue dispatch cancel']);
  });

  test('that a task schedules goes the same way there', async (t) => {
    for (const manager of [makeManager(t), new LocalManager()]) {
      const task = Task.from<unknown>(TASKS, 'scheduleInside', [TASKS.href]);
      const told = await manager.schedule(task).result;
      assert.deepEqual(told, [3, ['queue dispatch done', 'queue dispatch done']]);
    }
  });

  test('is what its state says when callbacks look', async (t) => {
    const manager: ProcessManager = makeManager(t);
    const seen: string[] = [];
    const task = call('add', [1], { track: () => seen.push(task.state) });
    manager.schedule(task);
    await task.result;
    assert.deepEqual(seen, ['QUEUED', 'RUNNING', 'DONE']);
  });

  test('moves no task of a chain', async (t) => {
    const manager = makeManager(t);
    const steps = [call('add', [1]), call('add', [2])];
    const chain = new Chain(steps, UNKEPT);
    assert.deepEqual(await manager.schedule(chain).result, [1, 2]);
    assert.deepEqual([events(chain), ...steps.map(events)], ['queue dispatch done', '', '']);
  });
});

test('a task of a LocalManager is the one that runs there', async () => {
  const manager = new LocalManager();
  const task: Task<boolean> = new Task<boolean>('x', (ctx: TaskContext) => {
    return Task.current() === task && task.state === 'RUNNING' && ctx.worker === 0;
  });
  assert.equal(await manager.schedule(task).result, true);
});
