// A ProcessManager whose workers are threads.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { MessageChannel } from 'node:worker_threads';
import {
  type BosunError,
  DataCloneError,
  Task,
  ThreadWorker,
  type WorkerException,
  type WorkerLostError,
} from '../lib/index.js';
import { alive, untilGone } from './fixtures/alive.js';
import { makeManager } from './fixtures/scene.js';
import { Hello } from './fixtures/tasks.js';

const TARGETS = new URL('./fixtures/thread-tasks.js', import.meta.url);
const at = (name: string) => ({ module: TARGETS, export: name });

describe('workers that are threads', () => {
  test('run tasks of this process, each in a thread of its own', async (t) => {
    const manager = makeManager(t, { kind: 'thread', workers: 2, minWorkers: 2 });
    await manager.ready();
    const places = await Promise.all(Array.from({ length: 20 }, () => manager.run<[number, number]>(at('where'))));
    assert.deepEqual(new Set(places.map(([pid]) => pid)), new Set([process.pid]));
    assert.equal(new Set(places.map(([, tid]) => tid)).size, 2);
    assert.ok(places.every(([, tid]) => tid > 0));
    assert.deepEqual(
      manager.workers.map(({ pid }) => pid),
      [process.pid, process.pid],
    );
    const report = await manager.close();
    assert.deepEqual([report.done, report.workers.map(({ exitCode }) => exitCode)], [20, [0, 0]]);
  });

  test('schedule tasks and send messages, in order', async (t) => {
    const manager = makeManager(t, { kind: 'thread', workers: 2 });
    for (let i = 0; i < 5; i++) manager.schedule(new Hello(i));
    const messages: unknown[] = [];
    for await (const message of manager.messages()) messages.push(message);
    assert.ok(messages.length >= 5);
    assert.equal(manager.tasksLeft, 0);
  });

  test('are replaced when they end, and their task is lost alone', async (t) => {
    const manager = makeManager(t, { kind: 'thread', workers: 1 });
    const before = manager.run(at('where'));
    const lost = manager.run(at('exit'), [7]);
    const behind = manager.run(at('where'));
    await before;
    await assert.rejects(lost, (error: WorkerLostError) => {
      assert.deepEqual([error.code, error.exitCode, error.exitSignal], ['ERR_BOSUN_WORKER_LOST', 7, null]);
      return true;
    });
    const [pid] = (await behind) as [number, number];
    assert.equal(pid, process.pid);
  });

  test('say what ended them: an error that nothing caught, or too little memory', async (t) => {
    const manager = makeManager(t, { kind: 'thread', workers: 1, resourceLimits: { maxOldGenerationSizeMb: 32 } });
    await assert.rejects(manager.run(at('throwLater')), /nobody waits for this/);
    await assert.rejects(manager.run(at('fillMemory')), /memory/i);
    assert.equal((await manager.run<[number]>(at('where')))[0], process.pid);
  });

  test('are stopped by force inside a loop, and nothing else of this process is', async (t) => {
    const manager = makeManager(t, { kind: 'thread', workers: 2, minWorkers: 2, grace: 50 });
    const busy = manager.run(at('busyForEver'), [], { timeout: 20 });
    await assert.rejects(busy, { code: 'ERR_BOSUN_TIMEOUT' });
    assert.equal((await manager.run<[number]>(at('where')))[0], process.pid);
    const other = manager.run(at('busyForEver'));
    const rejected = assert.rejects(other, { code: /ERR_BOSUN_(CANCELLED|WORKER_LOST)/ });
    await manager.close('kill');
    await rejected;
  });

  test('take buffers and errors as processes do', async (t) => {
    const manager = makeManager(t, { kind: 'thread', workers: 1 });
    const big = Buffer.alloc(3_000_000, 7);
    assert.deepEqual(await manager.run(at('echo'), [big]), big);
    assert.deepEqual(await manager.run(at('echo'), [new Map([[1, new Set([2])]])]), new Map([[1, new Set([2])]]));
    await assert.rejects(manager.schedule(Task.from(TARGETS, 'fail', [3])).result, { code: 'ERR_BOSUN_TASK_FAILED' });
  });

  test('end in mid-call, sixteen times, and leave no descriptor behind', async (t) => {
    const manager = makeManager(t, { kind: 'thread', workers: 2, minWorkers: 2, restart: { max: 1_000 } });
    await manager.run(at('where'));
    const before = countDescriptors();
    for (let round = 0; round < 8; round++) {
      const flood = Array.from({ length: 200 }, (_, i) => manager.run(at('where'), [i]));
      const deaths = [0, 1].map(() => manager.run(at('exit'), [1]));
      const outcomes = await Promise.allSettled([...flood, ...deaths]);
      assert.equal(outcomes.filter(({ status }) => status === 'rejected').length, 2);
    }
    await manager.run(at('where'));
    await manager.close();
    // Its workers' sockets and pages are gone too.
    assert.ok(countDescriptors() <= before, `${countDescriptors()} descriptors, ${before} before`);
  });

  test('share memory with the owner, and may be given ports', async (t) => {
    const manager = makeManager(t, { kind: 'thread', workers: 2 });
    const counter = new Int32Array(new SharedArrayBuffer(4));
    await Promise.all(Array.from({ length: 20 }, () => manager.run(at('increment'), [counter])));
    assert.equal(counter[0], 20);
    await manager.schedule(Task.from(TARGETS, 'increment', [counter])).result;
    assert.equal(counter[0], 21);
    assert.equal(await manager.run(at('sumOf'), [{ counter }]), 21);
    const { port1, port2 } = new MessageChannel();
    const heard = once(port1, 'message');
    await manager.run(at('sayTo'), [port2, 'hello'], { transferList: [port2] });
    assert.deepEqual(await heard, ['hello']);
    port1.close();
  });

  test('are handed what is moved, at the call', async (t) => {
    const manager = makeManager(t, { kind: 'thread', workers: 1 });
    const buffer = new ArrayBuffer(1 << 20);
    new Uint8Array(buffer).fill(7);
    const result = manager.run(at('lengthOf'), [buffer], { transferList: [buffer] });
    assert.equal(buffer.byteLength, 0);
    assert.equal(await result, 1 << 20);
    // Moved once: a second attempt has nothing to begin with.
    const other = new ArrayBuffer(8);
    const again = manager.run(at('exitOnce'), [other], { transferList: [other], retry: { max: 1 } });
    await assert.rejects(again, (error: WorkerException) => {
      assert.equal((error.cause as BosunError).code, 'ERR_BOSUN_DATA_CLONE');
      return true;
    });
    const kept = new ArrayBuffer(8);
    const dropped = manager.run(at('lengthOf'), [kept], {
      transferList: [kept],
      signal: AbortSignal.abort(new Error('no')),
    });
    await assert.rejects(dropped, /no/);
    assert.equal(kept.byteLength, 8);
  });

  test('are told what cannot go to any thread, and processes what can go to threads alone', async (t) => {
    const manager = makeManager(t, { kind: 'thread', workers: 1 });
    const shared = new SharedArrayBuffer(4);
    await assert.rejects(manager.run(at('lengthOf'), [() => {}]), DataCloneError);
    await assert.rejects(manager.run(at('lengthOf'), [shared, () => {}]), DataCloneError);
    assert.throws(() => void manager.run(at('lengthOf'), [], { transferList: 5 as unknown as [] }), {
      name: 'InvalidArgumentError',
    });
    const processes = makeManager(t);
    await assert.rejects(processes.run(at('lengthOf'), [shared]), DataCloneError);
    assert.throws(() => void processes.run(at('lengthOf'), [], { transferList: [] }), /kind 'thread'/);
    // A process among threads has no part in it.
    manager.addWorker('process');
    const counter = new Int32Array(new SharedArrayBuffer(4));
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, () => manager.run(at('increment'), [counter])),
    );
    const failed = outcomes.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
    assert.equal(counter[0], 50 - failed.length);
    for (const { reason } of failed) assert.match(String(reason.message), /reach worker threads alone/);
  });

  test('and processes work for one manager', async (t) => {
    const manager = makeManager(t, { workers: 1, minWorkers: 1 });
    const added = manager.addWorker('thread', { resourceLimits: { maxOldGenerationSizeMb: 64 } });
    const other = manager.addWorker('process', { env: { ...process.env, MINE: 'yes' } });
    // An idle manager keeps no process up, so nothing is waited for but the next turn.
    while (manager.workers.some(({ state }) => state !== 'alive')) await turn();
    // Who has nothing to do is given one before anybody is given a second.
    const places = await Promise.all([1, 2, 3].map(() => manager.run<[number, number]>(at('where'))));
    const pids = places.map(([pid]) => pid);
    assert.equal(pids.filter((pid) => pid === process.pid).length, 1);
    assert.equal(new Set(pids).size, 3);
    assert.deepEqual(
      manager.workers.map(({ worker }) => worker),
      [1, added, other],
    );
    const lost = Promise.allSettled([1, 2, 3].map(() => manager.run(at('exit'), [1])));
    assert.ok((await lost).every(({ status }) => status === 'rejected'));
    await manager.run(at('where'));
    // Nobody follows those that were added.
    assert.ok(manager.workers.length <= 2);
    const invalid = { code: 'ERR_BOSUN_INVALID_ARGUMENT' };
    assert.throws(() => manager.addWorker('coroutine' as never), invalid);
    assert.throws(() => manager.addWorker('process', { resourceLimits: {} }), invalid);
    assert.throws(() => manager.addWorker('thread', { workers: 1 } as never), invalid);
    await manager.close();
    assert.throws(() => manager.addWorker('thread'), { code: 'ERR_BOSUN_MANAGER_CLOSED' });
  });

  test('take the processes along that they have started, when they are stopped by force', async (t) => {
    const worker = new ThreadWorker({ target: at('startAndHang') });
    const { value: pid } = await worker[Symbol.asyncIterator]().next();
    assert.ok(alive(pid as number));
    await worker.terminate({ timeout: 0 });
    await untilGone([pid as number]);
    t.diagnostic(`process ${pid} is gone`);
  });

  test('cannot have what only processes have', (t) => {
    const invalid = { code: 'ERR_BOSUN_INVALID_ARGUMENT' };
    assert.throws(() => makeManager(t, { kind: 'thread', logDirectory: 'x' }), invalid);
    assert.throws(() => makeManager(t, { kind: 'thread', stdout: 'stderr' }), invalid);
  });
});

function countDescriptors(): number {
  return process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0;
}
