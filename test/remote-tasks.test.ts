// Workers of a manager on other hosts, that dial it or are dialled.

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  LocalManager,
  type ProcessManager,
  type ProcessManagerOptions,
  type TaskHandle,
  type WorkerException,
  type WorkerLostError,
} from '../lib/index.js';
import { alive, untilGone } from './fixtures/alive.js';
import { Anywhere, type Report } from './fixtures/anywhere.js';
import { joined, work } from './fixtures/remote-workers.js';
import { makeDirectory, makeManager } from './fixtures/scene.js';
import { Fibonacci, Spin, Stubborn, UntilAborted } from './fixtures/tasks.js';

const FIXTURES = fileURLToPath(new URL('./fixtures/', import.meta.url));
const TASKS = `${FIXTURES}tasks.js`;
const at = (name: string) => `${TASKS}#${name}`;

/** A manager with nothing but one remote worker, which has dialled it. */
async function remote(t: TestContext, options: ProcessManagerOptions = {}, args: readonly string[] = []) {
  const manager = makeManager(t, { workers: 0, listen: { port: 0 }, ...options });
  await manager.ready();
  const start = joined(manager);
  const program = work(t, manager, args);
  const [{ worker, pid } = { worker: 0, pid: 0 }] = await start;
  return { manager, program, worker, pid };
}

async function firstMessage(manager: ProcessManager): Promise<unknown> {
  for await (const message of manager.messages()) return message;
  return undefined;
}

/** What tasks of one class come to: their messages and their results. */
async function outcome(manager: ProcessManager | LocalManager): Promise<unknown> {
  const handles = ['a', 'b', 'bad', 'c'].map(
    (label, i): TaskHandle<Report> => manager.schedule(new Anywhere(label, i)),
  );
  const messages: unknown[] = [];
  const failures: { readonly message: string; readonly [name: string]: unknown }[] = [];
  for await (const message of manager.messages()) {
    if (!(message instanceof Error)) {
      messages.push(JSON.stringify(message));
      continue;
    }
    const { code, taskName, cause } = message as WorkerException;
    const { name, detail, cause: why } = cause as RangeError & { detail: unknown };
    failures.push({ code, taskName, name, message: (cause as Error).message, detail, why: (why as Error).message });
  }
  const results = await Promise.allSettled(handles.map(({ result }) => result));
  const values = results.map((result) => (result.status === 'fulfilled' ? result.value : 'failed'));
  failures.sort((a, b) => (a.message < b.message ? -1 : 1));
  return { messages: messages.sort(), failures, values };
}

describe('one task class', () => {
  test('says and returns the same on this thread, in threads, in processes and on another host', async (t) => {
    const expected = await outcome(new LocalManager());
    const { messages, failures } = expected as { messages: unknown[]; failures: unknown[] };
    assert.deepEqual([messages.length > 20, failures.length], [true, 5]);
    for (const kind of ['process', 'thread'] as const) {
      assert.deepEqual(await outcome(makeManager(t, { kind, workers: 2 })), expected, kind);
    }
    const { manager } = await remote(t);
    assert.deepEqual(await outcome(manager), expected, 'remote');
  });
});

describe('a worker that dials its manager', () => {
  test('is one of its workers, and says where it is', async (t) => {
    const { manager, worker, pid, program } = await remote(t);
    const [info] = manager.workers;
    assert.deepEqual([info?.worker, info?.pid, info?.state, info?.window], [worker, pid, 'alive', 1]);
    assert.match(info?.host ?? '', /^127\.0\.0\.1:\d+$/);
    assert.notEqual(pid, program.child.pid);
    assert.equal(await manager.run(at('pid')), pid);
    assert.match(program.out[0] ?? '', /^the worker has joined 127\.0\.0\.1:\d+$/);
    const report = await manager.close();
    const ends = report.workers.map(({ exitCode, exitSignal, forced }) => [exitCode, exitSignal, forced]);
    assert.deepEqual([report.done, ends], [1, [[0, null, undefined]]]);
    await untilGone([pid]);
  });

  test('schedules tasks of tasks, and Buffers of any size come and go', async (t) => {
    const { manager } = await remote(t);
    manager.schedule(new Fibonacci(10));
    let leaves = 0;
    for await (const message of manager.messages()) leaves += message as number;
    assert.equal(leaves, 89);
    for (const size of [0, 1, 40_000, 3_000_000]) {
      const bytes = Buffer.alloc(size, 7);
      assert.deepEqual(await manager.run(at('echo'), [bytes]), bytes);
      assert.deepEqual(await manager.run(at('echo'), [{ bytes, size }]), { bytes, size });
    }
  });

  test('several of one program take tasks at once, as many each as `concurrency` says', async (t) => {
    const manager = makeManager(t, { workers: 0, listen: { port: 0 }, concurrency: 3 });
    await manager.ready();
    const start = joined(manager, 2);
    work(t, manager, ['--workers', '2']);
    await start;
    assert.deepEqual(
      manager.workers.map(({ window }) => window),
      [3, 3],
    );
    const aborted = Array.from({ length: 6 }, () => manager.schedule(new UntilAborted()));
    let running = 0;
    for await (const message of manager.messages()) if (message === 'running' && ++running === 6) break;
    for (const handle of aborted) handle.cancel();
    for (const { result } of aborted) await assert.rejects(result, { code: 'ERR_BOSUN_CANCELLED' });
  });

  test('that dies costs its task alone; it is there again, and says how it ended', async (t) => {
    const { manager, pid } = await remote(t);
    for (const [name, value, code, signal] of [
      ['exit', 7, 7, null],
      ['signalSelf', 'SIGKILL', null, 'SIGKILL'],
    ] as const) {
      const lost = manager.run(at(name), [value]);
      const behind = manager.run<number>(at('pid'));
      await assert.rejects(lost, (error: WorkerLostError) => {
        assert.deepEqual([error.code, error.exitCode, error.exitSignal], ['ERR_BOSUN_WORKER_LOST', code, signal]);
        return true;
      });
      assert.notEqual(await behind, pid);
    }
  });

  test('goes with its program, however that ends', async (t) => {
    const { manager, program, pid } = await remote(t);
    const handle = manager.schedule(new Stubborn());
    assert.equal(await firstMessage(manager), 'running');
    program.child.kill('SIGKILL');
    await assert.rejects(handle.result, (error: WorkerLostError) => {
      assert.deepEqual([error.code, error.exitCode, error.exitSignal], ['ERR_BOSUN_WORKER_LOST', null, null]);
      return true;
    });
    await untilGone([pid]);
    assert.deepEqual(manager.workers, []);
  });

  test('that was stopped by a signal is killed over there, and that is said', async (t) => {
    const { manager } = await remote(t, {}, ['--grace', '50']);
    await assert.rejects(manager.run(at('signalSelf'), ['SIGSTOP']), (error: WorkerLostError) => {
      assert.deepEqual([error.code, error.exitSignal], ['ERR_BOSUN_WORKER_LOST', 'SIGKILL']);
      assert.match(error.message, /it had been stopped for 50 ms/);
      return true;
    });
  });

  test('keeps to time-outs and retries, has a session of its own, and its last words are known', async (t) => {
    const setup = { module: new URL('./fixtures/session-setup.js', import.meta.url), export: 'default' };
    const { manager } = await remote(t, { setup });
    const extras = await manager.run<{ kind: string }>(`${FIXTURES}session-tasks.js#extras`);
    assert.equal(extras.kind, 'default');
    const retry = { max: 2, on: ['error'] as const, backoff: () => 0 };
    await assert.rejects(manager.run(at('fail'), ['error'], { retry }), (error: WorkerException) => {
      const cause = error.cause as Error & { code: string; detail: unknown };
      assert.deepEqual(
        [error.attempts, cause.name, cause.code, cause.detail],
        [3, 'TypeError', 'E_CODE', { deep: [1, 2] }],
      );
      assert.match(cause.stack ?? '', /fixtures\/tasks\.js/);
      return true;
    });
    await assert.rejects(manager.run(at('spinFor'), [150], { timeout: 20 }), { code: 'ERR_BOSUN_TIMEOUT' });
    await assert.rejects(manager.run(at('throwLater')), (error: WorkerLostError) => {
      assert.equal(error.exitCode, 1);
      assert.match(error.stderrTail ?? '', /thrown in a timer/);
      return true;
    });
  });

  test('is told to stop: by a signal, inside a loop, before it has begun', async (t) => {
    const { manager, pid } = await remote(t, { concurrency: 4 });
    for (const make of [() => new UntilAborted(), () => new Spin()]) {
      const handle = manager.schedule<unknown>(make());
      assert.equal(await firstMessage(manager), 'running');
      handle.cancel();
      await assert.rejects(handle.result, { code: 'ERR_BOSUN_CANCELLED' });
    }
    const busy = manager.run(at('spinFor'), [200]);
    const behind = manager.schedule(new Spin());
    await new Promise((resolve) => setImmediate(resolve));
    behind.cancel();
    await assert.rejects(behind.result, { code: 'ERR_BOSUN_CANCELLED' });
    await busy;
    assert.equal(await manager.run(at('pid')), pid);
  });

  test('is ended when a task does not stop, and when the manager is killed', async (t) => {
    const { manager, pid } = await remote(t, { grace: 50 });
    const handle = manager.schedule(new Stubborn());
    assert.equal(await firstMessage(manager), 'running');
    handle.cancel();
    await assert.rejects(handle.result, { code: 'ERR_BOSUN_CANCELLED' });
    const next = await manager.run<number>(at('pid'));
    assert.notEqual(next, pid);
    await untilGone([pid]);
    const other = manager.schedule(new Stubborn());
    assert.equal(await firstMessage(manager), 'running');
    const report = await manager.close('kill');
    assert.deepEqual(
      report.workers.map(({ exitSignal, forced }) => [exitSignal, forced]),
      [['SIGKILL', 'SIGKILL']],
    );
    await assert.rejects(other.result);
    await untilGone([next]);
  });

  test('asks its tasks to stop when the manager cancels', async (t) => {
    const { manager } = await remote(t);
    const handle = manager.schedule(new Spin());
    assert.equal(await firstMessage(manager), 'running');
    const report = await manager.close('cancel');
    assert.deepEqual([report.cancelled, report.workers[0]?.exitCode], [1, 0]);
    await assert.rejects(handle.result, { code: 'ERR_BOSUN_CANCELLED' });
  });

  test('finishes what it runs when its program is told to end, and then leaves', async (t) => {
    const { manager, program, pid } = await remote(t);
    const handle = manager.run(at('spinFor'), [300]);
    const running = manager.schedule(new UntilAborted());
    await handle;
    assert.equal(await firstMessage(manager), 'running');
    program.child.kill('SIGTERM');
    await program.said(/leaving/);
    const waits = manager.run(at('add'), [1, 2]);
    const end = new Promise<unknown>((resolve) => manager.once('worker:exit', resolve));
    running.cancel();
    await assert.rejects(running.result, { code: 'ERR_BOSUN_CANCELLED' });
    assert.equal(((await end) as { exitCode: number }).exitCode, 0);
    assert.deepEqual(await program.exited, [143, null]);
    await untilGone([pid]);
    // Whoever comes next gets it.
    work(t, manager);
    assert.equal(await waits, 3);
  });

  test('ends at once when its program is told twice', async (t) => {
    const { manager, program, pid } = await remote(t);
    const handle = manager.schedule(new UntilAborted());
    assert.equal(await firstMessage(manager), 'running');
    program.child.kill('SIGINT');
    await program.said(/leaving/);
    program.child.kill('SIGINT');
    assert.deepEqual(await program.exited, [130, null]);
    await assert.rejects(handle.result, { code: 'ERR_BOSUN_WORKER_LOST' });
    await untilGone([pid]);
  });

  test('looks for the modules of tasks in its own root, and loads nothing else', async (t) => {
    const directory = await makeDirectory(t);
    const [here, there] = [join(directory, 'here'), join(directory, 'there')];
    for (const folder of [here, there]) {
      mkdirSync(join(folder, 'jobs'), { recursive: true });
      const source = `export const where = () => import.meta.url;\nexport default () => '${folder}';\n`;
      writeFileSync(join(folder, 'jobs', 'job.mjs'), source);
      writeFileSync(join(folder, 'other.mjs'), source);
    }
    const { manager, pid } = await remote(t, { root: here }, [
      ...['--root', there],
      ...['--allow', join(there, 'jobs')],
    ]);
    assert.equal(await manager.run(join(here, 'jobs', 'job.mjs')), there);
    const refused = [join(here, 'other.mjs'), join(here, 'jobs', 'none.mjs'), join(there, 'other.mjs'), 'node:os'];
    for (const module of [...refused, TASKS]) {
      await assert.rejects(manager.run({ module, export: 'default' }), (error: WorkerException) => {
        assert.equal((error.cause as { code: string }).code, 'ERR_BOSUN_NOT_PORTABLE', module);
        return true;
      });
    }
    assert.equal(await manager.run({ module: join(there, 'jobs', 'job.mjs'), export: 'default' }), there);
    assert.ok(alive(pid));
  });

  test('gets no task that has more than plain values while there is a local one', async (t) => {
    const manager = makeManager(t, { workers: 1, minWorkers: 0, listen: { port: 0 } });
    await manager.ready();
    const start = joined(manager);
    work(t, manager);
    await start;
    const map = new Map([[1, new Set([2])]]);
    assert.deepEqual(
      await Promise.all(Array.from({ length: 20 }, () => manager.run(at('echo'), [map]))),
      Array(20).fill(map),
    );
  });

  test('fails a task that has more than plain values, and that alone, when there is no other', async (t) => {
    const { manager, pid } = await remote(t);
    for (const value of [new Map(), new Date(0), new Uint16Array(2)]) {
      await assert.rejects(manager.run(at('echo'), [value]), (error: WorkerException) => {
        assert.equal((error.cause as { code: string }).code, 'ERR_BOSUN_DATA_CLONE');
        assert.match(error.message, /task \d+ 'echo' failed.*plain values/);
        return true;
      });
    }
    await assert.rejects(
      manager.run(at('thenable').replace('thenable', 'returnFunction')),
      (error: WorkerException) => {
        assert.equal((error.cause as { code: string }).code, 'ERR_BOSUN_RESULT_CLONE');
        return true;
      },
    );
    assert.equal(await manager.run(at('pid')), pid);
  });

  test('of which the set-up fails is no worker, and the program goes on trying', async (t) => {
    const manager = makeManager(t, { workers: 0, listen: true, setup: new URL('file:///nowhere/setup.js') });
    await manager.ready();
    const program = work(t, manager);
    await program.said(/trying again/);
    assert.equal(manager.workers.filter(({ state }) => state === 'alive').length, 0);
  });
});
