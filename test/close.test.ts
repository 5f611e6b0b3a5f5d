// The three close policies.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ClosePolicy, ProcessManager, withManager } from '../lib/index.js';
import { alive } from './fixtures/alive.js';
import { Boom, Hello, Sleep, Spin, Stubborn, UntilAborted } from './fixtures/tasks.js';

const MODULE = new URL('./fixtures/tasks.js', import.meta.url);

/** One worker that sleeps, with five more tasks behind it. */
async function busyManager() {
  const manager = new ProcessManager({ workers: 1, minWorkers: 1 });
  const sleeping = manager.schedule(new Sleep(600, true), 0);
  const behind = Array.from({ length: 5 }, (_, i) => manager.schedule(new Hello(i)));
  const messages = manager.messages();
  assert.equal((await messages.next()).value, 'running');
  const [worker] = manager.workers;
  return { manager, sleeping, behind, messages, pid: worker?.pid };
}

describe('close', () => {
  test('CANCEL lets the running task finish, drops the rest, and the worker exits with 0 (U6)', async () => {
    const { manager, sleeping, behind, messages, pid } = await busyManager();
    const report = await manager.close(ClosePolicy.CANCEL);
    assert.equal(report.policy, 'cancel');
    assert.equal(report.done, 1);
    assert.equal(report.cancelled, 5);
    assert.deepEqual(report.workers, [{ worker: 1, pid, exitCode: 0, exitSignal: null, forced: undefined }]);
    await sleeping.result;
    for (const { result } of behind) await assert.rejects(result, { code: 'ERR_BOSUN_CANCELLED' });
    assert.deepEqual(await messages.next(), { done: true, value: undefined });
    assert.equal(alive(pid), false);
  });

  test('KILL ends everything with SIGKILL (U6)', async () => {
    const { manager, sleeping, behind, pid } = await busyManager();
    const report = await manager.close(ClosePolicy.KILL);
    assert.equal(report.done, 0);
    assert.equal(report.cancelled, 6);
    assert.deepEqual(report.workers, [{ worker: 1, pid, exitCode: null, exitSignal: 'SIGKILL', forced: 'SIGKILL' }]);
    for (const { result } of [sleeping, ...behind]) await assert.rejects(result, { code: 'ERR_BOSUN_CANCELLED' });
    assert.equal(alive(pid), false);
  });

  test('JOIN waits for all and reports failures instead of hiding them (U6)', async () => {
    const { manager, messages, pid } = await busyManager();
    await messages.return?.();
    manager.schedule(new Boom());
    const report = await manager.close();
    assert.equal(report.policy, 'join');
    assert.equal(report.done, 6);
    assert.equal(report.failed, 1);
    assert.equal(report.messagesDiscarded, 6);
    assert.match(String(report.errors[0]), /boom/);
    assert.equal(report.workers[0]?.exitCode, 0);
    assert.equal(alive(pid), false);
  });

  test('JOIN from inside the messages() loop ends, and the loop reads everything', async () => {
    const manager = new ProcessManager({ workers: 1 });
    for (let i = 0; i < 20; i++) manager.schedule(new Hello(i));
    const seen: unknown[] = [];
    let closed: Promise<unknown> | undefined;
    for await (const message of manager.messages()) {
      seen.push(message);
      closed ??= manager.close();
    }
    await closed;
    assert.equal(seen.length, 20);
  });

  test('is idempotent, and a stricter policy takes over', async () => {
    const { manager, pid } = await busyManager();
    const joined = manager.close();
    assert.equal(manager.close(), joined);
    const killed = manager.close(ClosePolicy.KILL);
    assert.equal(killed, joined);
    const report = await joined;
    assert.equal(report.policy, 'kill');
    assert.equal(report.workers[0]?.exitSignal, 'SIGKILL');
    assert.equal(alive(pid), false);
    assert.equal(await manager.close(ClosePolicy.KILL), report);
  });

  test('JOIN with a timeout becomes KILL', async () => {
    const manager = new ProcessManager({ workers: 1 });
    const handle = manager.schedule(new UntilAborted());
    const report = await manager.close(ClosePolicy.JOIN, { timeout: 100 });
    assert.equal(report.policy, 'kill');
    await assert.rejects(handle.result, { code: 'ERR_BOSUN_CANCELLED' });
  });

  test('CANCEL aborts the signal of what runs, and checkpoint() ends a synchronous loop', async () => {
    for (const task of [new UntilAborted(), new Spin()]) {
      const manager = new ProcessManager({ workers: 1 });
      const handle = manager.schedule<unknown>(task);
      assert.equal((await manager.messages().next()).value, 'running');
      const report = await manager.close(ClosePolicy.CANCEL);
      assert.deepEqual([report.cancelled, report.workers[0]?.exitCode], [1, 0]);
      await assert.rejects(handle.result, { code: 'ERR_BOSUN_CANCELLED' });
    }
  });

  test('handle.cancel() does the same for one task and spares the worker', async () => {
    const manager = new ProcessManager({ workers: 1 });
    const messages = manager.messages();
    for (const task of [new UntilAborted(), new Spin()]) {
      const handle = manager.schedule<unknown>(task);
      assert.equal((await messages.next()).value, 'running');
      handle.cancel();
      await assert.rejects(handle.result, { code: 'ERR_BOSUN_CANCELLED' });
    }
    assert.deepEqual(
      manager.workers.map(({ worker }) => worker),
      [1],
    );
    await manager.close();
  });

  test('CANCEL forces a task that ignores everything, by the ladder', async () => {
    const manager = new ProcessManager({ workers: 1, grace: 50 });
    const handle = manager.schedule(new Stubborn());
    assert.equal((await manager.messages().next()).value, 'running');
    const report = await manager.close(ClosePolicy.CANCEL);
    assert.equal(report.workers[0]?.exitSignal, 'SIGKILL');
    await assert.rejects(handle.result, { code: 'ERR_BOSUN_CANCELLED' });
  });

  test('works while workers are still starting', async () => {
    for (const policy of Object.values(ClosePolicy)) {
      const manager = new ProcessManager({ workers: 2, minWorkers: 2 });
      const refused = assert.rejects(manager.ready(), { code: 'ERR_BOSUN_MANAGER_CLOSED' });
      const report = await manager.close(policy);
      await refused;
      assert.equal(report.workers.length, 2);
      assert.ok(report.workers.every(({ pid }) => !alive(pid)));
    }
  });

  test('nothing is taken afterwards', async () => {
    const manager = new ProcessManager({ workers: 1 });
    await manager.close();
    const closed = { code: 'ERR_BOSUN_MANAGER_CLOSED' };
    assert.throws(() => manager.schedule(new Hello(1)), closed);
    assert.throws(() => manager.run(MODULE), closed);
    assert.throws(() => manager.sendMessage(1), closed);
    await assert.rejects(manager.ready(), closed);
  });
});

describe('withManager', () => {
  test('kills when the body throws, and passes the error on (U7)', async () => {
    let pid: number | undefined;
    const error = new Error('from the body');
    const running = withManager({ workers: 1 }, async (manager) => {
      manager.schedule(new UntilAborted());
      await manager.messages().next();
      pid = manager.workers[0]?.pid;
      throw error;
    });
    await assert.rejects(running, (thrown) => thrown === error);
    assert.ok(pid !== undefined);
    assert.equal(alive(pid), false);
  });

  test('cancels when the body returns, and gives its value (U7)', async () => {
    let handle: { result: Promise<unknown> } | undefined;
    const value = await withManager({ workers: 1 }, async (manager) => {
      handle = manager.schedule(new UntilAborted());
      await manager.messages().next();
      return 42;
    });
    assert.equal(value, 42);
    await assert.rejects(handle?.result as Promise<unknown>, { code: 'ERR_BOSUN_CANCELLED' });
  });

  test('await using cancels (U7)', async () => {
    let handle: { result: Promise<unknown> };
    {
      await using manager = new ProcessManager({ workers: 1 });
      handle = manager.schedule(new UntilAborted());
      await manager.messages().next();
    }
    await assert.rejects(handle.result, { code: 'ERR_BOSUN_CANCELLED' });
  });
});
