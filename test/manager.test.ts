// What a ProcessManager does while everything goes well.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { Packr } from 'msgpackr';
import {
  type BosunError,
  DataCloneError,
  type ProcessManager,
  type ResultCloneError,
  type Task,
  WorkerException,
} from '../lib/index.js';
import { makeManager } from './fixtures/scene.js';
import { BadPriority, Boom, Fibonacci, Held, Hello, Say, SendsUnclonable } from './fixtures/tasks.js';

const MODULE = new URL('./fixtures/tasks.js', import.meta.url);
const target = (name: string) => ({ module: MODULE, export: name });

async function collect(manager: ProcessManager): Promise<unknown[]> {
  const messages: unknown[] = [];
  for await (const message of manager.messages()) messages.push(message);
  return messages;
}

/** Resolves with what ends it when a task holds the only worker. */
async function occupy(manager: ProcessManager): Promise<() => void> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  manager.schedule(new Held((server.address() as AddressInfo).port), 0);
  const [socket] = (await once(server, 'connection')) as [Socket];
  server.close();
  return () => socket.end();
}

describe('ProcessManager', () => {
  test('two of them, and whoever else uses msgpackr in this process, do not disturb each other', async (t) => {
    const managers = [makeManager(t), makeManager(t)];
    const packr = new Packr();
    const results: Promise<unknown>[] = [];
    const kept: { readonly bytes: Buffer; readonly copy: Buffer }[] = [];
    const value = (i: number) => ({ i, text: `${i}`.repeat(1 + (i % 40)) });
    for (let i = 0; i < 2_000; i++) {
      results.push((managers[i % 2] as ProcessManager).run(target('echo'), [value(i)]));
      const bytes = packr.pack(value(i));
      kept.push({ bytes, copy: Buffer.from(bytes) });
      // Not everything takes the first tier.
      if (i % 100 === 0) results.push((managers[0] as ProcessManager).run(target('echo'), [new Map([[i, value(i)]])]));
    }
    const expected = Array.from({ length: 2_000 }, (_, i) =>
      i % 100 === 0 ? [value(i), new Map([[i, value(i)]])] : [value(i)],
    ).flat();
    assert.deepEqual(await Promise.all(results), expected);
    assert.ok(kept.every(({ bytes, copy }) => bytes.equals(copy)));
  });

  test('runs the most urgent first, first in first out inside a level (U1)', async (t) => {
    const manager = makeManager(t);
    const release = await occupy(manager);
    for (let i = 0; i < 3; i++) manager.schedule(new Say(`p1-${i}`), 1);
    for (let i = 0; i < 3; i++) manager.schedule(new Say(`p0-${i}`), 0);
    release();
    assert.deepEqual(await collect(manager), ['released', 'p0-0', 'p0-1', 'p0-2', 'p1-0', 'p1-1', 'p1-2']);
    assert.equal(manager.tasksLeft, 0);
  });

  test('does so over 128 levels in any order of arrival', async (t) => {
    const manager = makeManager(t, { priorityLevels: 128 });
    const release = await occupy(manager);
    const expected = Array.from({ length: 128 * 3 }, (_, i) => ({ level: Math.floor(i / 3), order: i % 3 }));
    // A fixed permutation: 5 and 128 have no common factor, so each round visits every level once.
    for (let order = 0; order < 3; order++) {
      for (let i = 0; i < 128; i++) {
        const level = (i * 5 + order) % 128;
        manager.schedule(new Say({ level, order }), level);
      }
    }
    release();
    assert.deepEqual((await collect(manager)).slice(1), expected);
  });

  test('keeps the order of priorities with a window of many tasks too', async (t) => {
    const manager = makeManager(t, { prefetch: 16 });
    const release = await occupy(manager);
    // Some of these are sent ahead before the urgent ones exist; among what waits, the order is strict.
    for (let i = 0; i < 50; i++) manager.schedule(new Say(`p1-${i}`), 1);
    for (let i = 0; i < 50; i++) manager.schedule(new Say(`p0-${i}`), 0);
    release();
    const order = (await collect(manager)) as string[];
    const urgent = order.filter((name) => name.startsWith('p0'));
    assert.deepEqual(
      urgent,
      Array.from({ length: 50 }, (_, i) => `p0-${i}`),
    );
    assert.deepEqual(
      order.slice(-34),
      Array.from({ length: 34 }, (_, i) => `p1-${i + 16}`),
    );
  });

  test('delivers each of 1000 messages once, twice in a row, with 4 workers (U2)', async (t) => {
    const manager = makeManager(t, { workers: 4, minWorkers: 4 });
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 1000; i++) manager.schedule(new Hello(i));
      const seen = ((await collect(manager)) as { hi: number }[]).map(({ hi }) => hi).sort((a, b) => a - b);
      assert.deepEqual(
        seen,
        Array.from({ length: 1000 }, (_, i) => i),
      );
      assert.equal(manager.tasksLeft, 0);
    }
  });

  test('follows a tree that tasks grow to its last leaf (U3)', async (t) => {
    const manager = makeManager(t, { workers: 3, minWorkers: 3 });
    manager.schedule(new Fibonacci(15));
    assert.equal((await collect(manager)).length, 987);
    assert.equal(manager.stats().tasks.done, 1973);
  });

  test('the reader may schedule from inside the loop (U13)', async (t) => {
    const manager = makeManager(t);
    for (let i = 0; i < 10; i++) manager.schedule(new Hello(i));
    let count = 0;
    for await (const _ of manager.messages()) {
      count += 1;
      if (count <= 10) manager.schedule(new Hello(100 + count));
    }
    assert.equal(count, 20);
  });

  test('ends messages() at once when there is nothing', async (t) => {
    assert.deepEqual(await collect(makeManager(t)), []);
  });

  test('has one reader at a time, and is usable after a break', async (t) => {
    const manager = makeManager(t);
    for (let i = 0; i < 3; i++) manager.schedule(new Hello(i));
    for await (const message of manager.messages()) {
      assert.deepEqual(message, { hi: 0 });
      assert.throws(
        () => manager.messages(),
        (error: BosunError) => error.code === 'ERR_BOSUN_MANAGER_BUSY',
      );
      break;
    }
    assert.deepEqual(await collect(manager), [{ hi: 1 }, { hi: 2 }]);
  });

  test('a task that throws fails alone, in its handle and in the inbox', async (t) => {
    const manager = makeManager(t);
    const boom = manager.schedule(new Boom());
    const hello = manager.schedule(new Hello(1));
    const messages = await collect(manager);
    assert.equal(messages.length, 2);
    const [failure] = messages as [WorkerException];
    assert.ok(failure instanceof WorkerException);
    assert.equal(failure.taskName, 'Boom');
    assert.equal((failure.cause as Error).message, 'boom');
    assert.match(String(failure), /fixtures\/tasks\.js:\d+/);
    await assert.rejects(boom.result, (error) => error === failure);
    assert.equal(await hello.result, failure.pid);
  });

  test('throwOnError ends the iteration with the failure, not the manager', async (t) => {
    const manager = makeManager(t, { throwOnError: true });
    manager.schedule(new Boom());
    manager.schedule(new Hello(1));
    await assert.rejects(collect(manager), WorkerException);
    assert.deepEqual(await collect(manager), [{ hi: 1 }]);
  });

  test('a message of a task comes before its completion', async (t) => {
    const manager = makeManager(t);
    const handle = manager.schedule(new Hello(7));
    await handle.result;
    assert.equal(manager.stats().inbox.messages, 1);
    assert.deepEqual(await collect(manager), [{ hi: 7 }]);
  });

  test('reports the ends of tasks and workers as events', async (t) => {
    const manager = makeManager(t);
    const names: (string | undefined)[] = [];
    manager.on('task:done', ({ name }) => names.push(name));
    const failed = once(manager, 'task:failed');
    const drained = once(manager, 'drain');
    const starting = once(manager, 'worker:start');
    await manager.ready();
    const [started] = await starting;
    manager.schedule(new Hello(1));
    manager.schedule(new Boom());
    const [failure] = await failed;
    assert.equal(failure.name, 'Boom');
    assert.equal(failure.worker, started.worker);
    await drained;
    assert.deepEqual(names, ['Hello']);
    const exited = once(manager, 'worker:exit');
    await manager.close();
    assert.deepEqual((await exited)[0], { ...started, tasksEnded: 2, exitCode: 0, exitSignal: null });
  });

  test('counts add up at any time', async (t) => {
    const manager = makeManager(t, { workers: 2, minWorkers: 2 });
    const handles = Array.from({ length: 300 }, (_, i) =>
      manager.schedule((i % 10 === 0 ? new Boom() : new Hello(i)) as Task),
    );
    for (let i = 5; i < 300; i += 50) handles[i]?.cancel();
    let sums = 0;
    for await (const _ of manager.messages()) {
      const { accepted, waiting, sent, held, done, failed, cancelled } = manager.stats().tasks;
      assert.equal(accepted, waiting + sent + held + done + failed + cancelled);
      sums += 1;
    }
    assert.ok(sums > 200);
    assert.equal(manager.stats().tasks.accepted, 300);
  });

  test('cancel drops a waiting task at once and gives the reason', async (t) => {
    const manager = makeManager(t);
    const release = await occupy(manager);
    const handle = manager.schedule(new Hello(1));
    handle.cancel('not needed');
    await assert.rejects(handle.result, { code: 'ERR_BOSUN_CANCELLED', cause: 'not needed' });
    release();
    assert.deepEqual(await collect(manager), ['released']);
    assert.equal(manager.stats().tasks.cancelled, 1);
  });

  test('takes tasks back from a worker that is held up, and runs them elsewhere', async (t) => {
    const manager = makeManager(t, { workers: 2, minWorkers: 2, prefetch: 8 });
    await manager.ready();
    // Both workers get several; one of them is then busy for longer than the test may take.
    const slow = manager.run(target('spinFor'), [3_000]);
    const quick = Promise.all(Array.from({ length: 14 }, (_, i) => manager.run(target('echo'), [i])));
    const first = await Promise.race([slow.then(() => 'slow'), quick.then(() => 'quick')]);
    assert.equal(first, 'quick');
  });

  test('starts more workers only when work waits', async (t) => {
    const manager = makeManager(t, { workers: 3, minWorkers: 1 });
    await manager.ready();
    assert.equal(manager.workers.length, 1);
    const pids = await Promise.all(Array.from({ length: 6 }, () => manager.run(target('spinFor'), [300])));
    assert.equal(pids.length, 6);
    assert.ok(manager.workers.length > 1 && manager.workers.length <= 3);
  });

  test('ctx.manager.schedule checks priorities at the call', async (t) => {
    const manager = makeManager(t);
    assert.match(await manager.schedule(new BadPriority()).result, /^OutOfRangeError: a priority is an integer from 0/);
  });

  test('an unclonable message fails that task alone', async (t) => {
    const manager = makeManager(t);
    await assert.rejects(manager.schedule(new SendsUnclonable()).result, (error: WorkerException) => {
      assert.equal((error.cause as DataCloneError).code, 'ERR_BOSUN_DATA_CLONE');
      return true;
    });
    assert.equal(typeof (await manager.schedule(new Hello(1)).result), 'number');
  });
});

describe('ProcessManager.run', () => {
  test('calls exported functions, named in every way', async (t) => {
    const manager = makeManager(t);
    assert.equal(await manager.run(target('add'), [1, 2]), 3);
    assert.equal(await manager.run(`${MODULE.href}#add`, [3, 4]), 7);
    assert.equal(await manager.run(new URL('#add', MODULE), [5, 6]), 11);
    assert.equal(await manager.run('node:path#basename', ['/a/b.c', '.c']), 'b');
    assert.equal(await manager.run(target('thenable')), 'from a thenable');
  });

  test('gives values back with the fidelity of structuredClone', async (t) => {
    const manager = makeManager(t);
    const cycle: Record<string, unknown> = { date: new Date(5), map: new Map([[1, new Set(['a'])]]), big: 2n ** 70n };
    cycle['self'] = cycle;
    const values = [undefined, null, -0, Number.NaN, 'text', new Array(3), new Uint16Array([1, 2]), cycle];
    for (const value of values) assert.deepEqual(await manager.run(target('echo'), [value]), structuredClone(value));
    const bytes = Buffer.alloc(300_000, 'x');
    assert.ok(bytes.equals((await manager.run(target('echo'), [bytes])) as Buffer));
  });

  test('an unclonable argument or result fails that call alone', async (t) => {
    const manager = makeManager(t);
    await assert.rejects(manager.run(target('echo'), [{ deep: [() => {}] }]), DataCloneError);
    await assert.rejects(manager.run(target('returnFunction')), (error: WorkerException) => {
      assert.ok(error.cause instanceof Error);
      assert.equal((error.cause as ResultCloneError).code, 'ERR_BOSUN_RESULT_CLONE');
      return true;
    });
    assert.equal(await manager.run(target('add'), [1, 1]), 2);
    assert.equal(manager.tasksLeft, 0);
  });

  test('errors keep class, message, code, cause, properties and the remote stack', async (t) => {
    const manager = makeManager(t);
    await assert.rejects(manager.run(target('fail'), ['error']), (error: WorkerException) => {
      assert.equal(error.code, 'ERR_BOSUN_TASK_FAILED');
      assert.equal(error.taskName, 'fail');
      const cause = error.cause as TypeError & { code: string; detail: unknown };
      assert.ok(cause instanceof TypeError);
      assert.equal(cause.message, 'the message');
      assert.equal(cause.code, 'E_CODE');
      assert.deepEqual(cause.detail, { deep: [1, 2] });
      assert.ok(cause.cause instanceof RangeError);
      assert.match(cause.stack ?? '', /fixtures\/tasks\.js/);
      return true;
    });
    await assert.rejects(manager.run(target('fail'), ['value']), { cause: 'not an error' });
  });

  test('failures reach only the promise', async (t) => {
    const manager = makeManager(t);
    await assert.rejects(manager.run(target('fail'), ['error']));
    assert.deepEqual(await collect(manager), []);
  });

  test('finds no such export, or no such module', async (t) => {
    const manager = makeManager(t);
    await assert.rejects(manager.run(target('nothing')), (error: WorkerException) => {
      assert.match((error.cause as Error).message, /exports no function 'nothing'; it exports .*add/);
      return true;
    });
    await assert.rejects(manager.run(new URL('./fixtures/absent.js#x', import.meta.url)), WorkerException);
  });

  test('respects priorities', async (t) => {
    const manager = makeManager(t);
    const release = await occupy(manager);
    const order: number[] = [];
    const calls = [1, 0, 1, 0].map((priority, i) =>
      manager.run(target('echo'), [i], { priority }).then(() => order.push(i)),
    );
    release();
    await Promise.all(calls);
    assert.deepEqual(order, [1, 3, 0, 2]);
  });

  test('the context is found everywhere inside a task', async (t) => {
    const manager = makeManager(t);
    assert.deepEqual(await manager.run(target('describeContext')), { taskId: 1, attempt: 1, worker: 1 });
    assert.equal(await manager.run(target('contextAcrossAwaits')), true);
  });
});
