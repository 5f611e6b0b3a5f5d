// What a task says while it runs, and what it is told: on every kind of manager, and in Workers.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  DataCloneError,
  LocalManager,
  PersistentWorker,
  ProcessManager,
  Task,
  Worker,
  type WorkerException,
} from '../lib/index.js';
import { drained, makeManager, useRemoteManagers } from './fixtures/scene.js';
import { KINDS, useKinds } from './fixtures/worker-kinds.js';

const MODULE = new URL('./fixtures/fork-tasks.js', import.meta.url);
const makeRemoteManager = useRemoteManagers(fileURLToPath(new URL('.', MODULE)));
const at = (name: string) => ({ module: MODULE, export: name });

const optionsOf = useKinds();

type Made = ProcessManager | LocalManager;

const MANAGERS: Readonly<Record<string, (t: TestContext) => Made | Promise<Made>>> = {
  'a LocalManager': () => new LocalManager(),
  'a process': (t) => makeManager(t),
  'a thread': (t) => makeManager(t, { kind: 'thread' }),
  'a remote worker': (t) => makeRemoteManager(t),
};

for (const [kind, make] of Object.entries(MANAGERS)) {
  describe(`a task of ${kind}`, () => {
    test('tells its caller how far it has come, in order, before its result', async (t) => {
      const told: unknown[] = [];
      const result = (await make(t)).run(at('echoProgress'), [{ a: [1] }], {
        onProgress: (value) => told.push(value),
      });
      await result;
      assert.deepEqual(told, [{ a: [1] }]);
    });

    test('hears what it is sent, before it begins and while it runs', async (t) => {
      const manager = await make(t);
      const handle = manager.schedule(Task.from<unknown[]>(MODULE, 'converse', [3]));
      const told: unknown[] = [];
      const begun = new Promise<void>((resolve) => {
        handle.onProgress((value) => {
          told.push(value);
          if (told.length === 4) resolve();
        });
      });
      handle.send('early');
      await begun;
      handle.send({ late: true });
      handle.send('end');
      assert.deepEqual(await handle.result, ['early', { late: true }]);
      assert.deepEqual(told, [{ step: 1 }, { step: 2 }, { step: 3 }, 'early', { late: true }]);
      // It has ended: nothing happens.
      handle.send('too late');
    });

    test('hears nothing more when it is told to stop', async (t) => {
      const manager = await make(t);
      const handle = manager.schedule(Task.from<string>(MODULE, 'listenUntilStopped'));
      await new Promise((resolve) => handle.onProgress(resolve));
      handle.cancel('enough');
      await assert.rejects(handle.result, { name: 'CancellationError' });
      // Under load the waiter may be told before the worker has let go.
      if (manager instanceof ProcessManager) await drained(manager);
      assert.equal(manager.tasksLeft, 0);
    });

    test('speaks with the tasks that it has scheduled', async (t) => {
      const { told, heard, called } = await (await make(t)).run<Record<string, unknown>>(at('converseWithChild'));
      assert.deepEqual(heard, ['early', [1, 2]]);
      assert.deepEqual(told, [{ step: 1 }, { step: 2 }, 'early', [1, 2]]);
      assert.deepEqual(called, ['of a call']);
    });

    test('cannot say what cannot travel, nor be told so', async (t) => {
      const manager = await make(t);
      await assert.rejects(manager.run(at('progressOfNothing')), (error: WorkerException) => {
        assert.equal((error.cause as DataCloneError).code, 'ERR_BOSUN_DATA_CLONE');
        return true;
      });
      const handle = manager.schedule(Task.from(MODULE, 'converse', [0]));
      assert.throws(() => handle.send(() => {}), DataCloneError);
      assert.throws(() => handle.onProgress('no function' as unknown as () => void), { name: 'InvalidArgumentError' });
      assert.throws(() => void manager.run(at('echo'), [], { onProgress: 5 as unknown as () => void }), {
        name: 'InvalidArgumentError',
      });
      handle.send('end');
      assert.deepEqual(await handle.result, []);
    });

    test('is not disturbed by a listener that throws', async (t) => {
      const warned = once(process, 'warning');
      const onProgress = () => {
        throw new Error('of a listener');
      };
      await (await make(t)).run(at('echoProgress'), [1], { onProgress });
      const [warning] = await warned;
      assert.equal(warning.code, 'BOSUN_W003');
    });
  });
}

test('a task that is run again hears all of it again', async (t) => {
  const manager = makeManager(t, { retry: { max: 1 } });
  const handle = manager.schedule(Task.from<unknown[]>(MODULE, 'dieWhenTold'));
  for (const message of ['one', 'die', 'end']) handle.send(message);
  assert.deepEqual(await handle.result, ['one', 'die', 'end']);
});

test('a task that waits for room hears what it is sent meanwhile', async (t) => {
  const manager = makeManager(t, { maxQueue: 1, whenFull: 'wait' });
  const handles = Array.from({ length: 4 }, () => manager.schedule(Task.from<unknown[]>(MODULE, 'converse', [0])));
  for (const [i, handle] of handles.entries()) for (const message of [i, 'end']) handle.send(message);
  assert.deepEqual(await Promise.all(handles.map(({ result }) => result)), [[0], [1], [2], [3]]);
});

test('ten thousand values arrive, each once', async (t) => {
  const told: unknown[] = [];
  const manager = makeManager(t);
  const handle = manager.schedule(Task.from<unknown[]>(MODULE, 'converse', [10_000]));
  handle.onProgress((value) => told.push((value as { step: number }).step)).send('end');
  await handle.result;
  assert.deepEqual(
    told,
    Array.from({ length: 10_000 }, (_, i) => i + 1),
  );
});

for (const kind of KINDS) {
  test(`a ${kind} worker says how far it has come, and hears what it is sent`, async () => {
    const where = optionsOf(kind);
    const worker = Worker.create<unknown[]>(kind, { ...where, target: at('converse'), args: [1] });
    const told: unknown[] = [];
    worker.on('progress', (value) => told.push(value));
    for (const message of ['early', 'end']) worker.postMessage(message);
    await worker.wait();
    assert.deepEqual([worker.result, worker.error], [['early'], undefined]);
    assert.deepEqual(told, [{ step: 1 }, 'early']);
    const persistent = PersistentWorker.create(kind, { ...where, target: at('converse') });
    for (const message of ['for the first', 'end']) persistent.postMessage(message);
    assert.deepEqual(await persistent.call(0), ['for the first']);
    for (const message of ['for the second', 'end']) persistent.postMessage(message);
    assert.deepEqual(await persistent.call(0), ['for the second']);
    await persistent.wait();
  });
}
