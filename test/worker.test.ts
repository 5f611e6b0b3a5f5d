// One function in a thread or a process: how it is started, how it ends, and what is known of it then.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  DataCloneError,
  InvalidArgumentError,
  NotPortableError,
  PersistentProcessWorker,
  PersistentRemoteWorker,
  PersistentThreadWorker,
  PersistentWorker,
  ProcessManager,
  ProcessWorker,
  RemoteWorker,
  Task,
  ThreadWorker,
  Worker,
  type WorkerOptions,
  WorkerStartError,
  WorkerTerminatedError,
} from '../lib/index.js';
import { alive } from './fixtures/alive.js';
import { at, KINDS, running, useKinds } from './fixtures/worker-kinds.js';
import { makeCube } from './fixtures/worker-maker.js';
import { square } from './fixtures/worker-targets.js';

after(() => assert.deepEqual(Worker.activeChildren(), []));

const place = useKinds();

for (const type of KINDS) {
  const make = <R>(name: string, options: WorkerOptions = {}): Worker<R> =>
    Worker.create<R>(type, { target: at(name), ...place(type), ...options });

  describe(`a ${type} worker`, () => {
    test('runs its target, and has its result when it is dead', async () => {
      const worker = make<number>('square', { args: [3] });
      assert.deepEqual(
        [worker.isAlive(), worker.result, worker.error, worker.hasError],
        [true, undefined, undefined, undefined],
      );
      assert.equal(await worker.started, worker);
      assert.equal(await worker.wait(), true);
      assert.equal(await worker.wait(), true);
      assert.deepEqual([worker.isAlive(), worker.result, worker.error, worker.hasError], [false, 9, undefined, false]);
      assert.deepEqual(worker.exit, { code: 0, signal: null });
      assert.equal(await worker.terminate(), true);
    });

    test('says where it is at once', { skip: type === 'remote' && 'it has to be asked' }, async () => {
      const worker = make<[number, number, string]>('where', { name: 'finder', userId: { mine: 1 } });
      const { pid, tid } = worker;
      assert.equal(type === 'thread', pid === process.pid);
      assert.equal(type === 'thread', tid > 0);
      assert.deepEqual(worker.id, [hostname(), pid, tid]);
      assert.deepEqual(worker.parentId, [hostname(), process.pid, 0]);
      assert.deepEqual([worker.name, worker.userId, worker.workerType], ['finder', { mine: 1 }, type]);
      assert.deepEqual(
        [worker.isThread, worker.isProcess, worker.isRemote],
        [type === 'thread', type === 'process', false],
      );
      assert.deepEqual([worker.isPersistent, worker.isChild], [false, false]);
      await worker.wait();
      assert.deepEqual(worker.result?.slice(0, 2), [pid, tid]);
      if (type === 'process') assert.equal(worker.result?.[2], 'finder');
      assert.deepEqual(worker.id, [hostname(), pid, tid]);
    });

    test('has the error that its target threw', async () => {
      const worker = make('fail', { args: [2] });
      await worker.wait();
      const { result, hasError, error } = worker;
      assert.deepEqual([result, hasError], [undefined, true]);
      assert.ok(error instanceof RangeError);
      assert.deepEqual([error.message, (error as RangeError & { extra: number }).extra], ['x = 2', 2]);
      assert.match(error.stack ?? '', /worker-targets\.js/);
      assert.equal(worker.exit?.code, 1);
    });

    test('has an error for a result that cannot be sent, and one for something that nobody waited for', async () => {
      const unsendable = make('unsendable');
      const late = make('failLater');
      await Promise.all([unsendable.wait(), late.wait()]);
      assert.deepEqual(
        [unsendable.hasError, (unsendable.error as DataCloneError).code],
        [true, 'ERR_BOSUN_RESULT_CLONE'],
      );
      assert.match(unsendable.error?.message ?? '', /deep/);
      assert.equal(late.error?.message, 'nobody waits for this');
    });

    test('has an error for a target that is not there', async () => {
      const nothing = make('nothing');
      const nowhere = Worker.create(type, { ...place(type), target: './no-such-file.js#x' });
      await Promise.all([nothing.wait(), nowhere.wait()]);
      assert.match(nothing.error?.message ?? '', /exports no function 'nothing'; it exports .*square/);
      assert.match(nowhere.error?.message ?? '', /no-such-file/);
    });

    test('stops when its target heeds the signal', async () => {
      const worker = make('untilStopped');
      await running(worker);
      assert.equal(await worker.terminate({ timeout: 60_000, force: false }), true);
      assert.ok(worker.error instanceof WorkerTerminatedError);
      assert.equal(worker.error.code, 'ERR_BOSUN_WORKER_TERMINATED');
      assert.equal(worker.hasError, true);
      assert.equal(await worker.terminate({ force: false }), true);
    });

    test('stops in a loop that lets no message in, at its checkpoint', async () => {
      const worker = make('busyUntilStopped');
      await running(worker);
      assert.equal(await worker.terminate({ timeout: 60_000, force: false }), true);
      assert.ok(worker.error instanceof WorkerTerminatedError);
    });

    test('may take its time: terminate without patience says that it is still there', async () => {
      const worker = make('untilStopped');
      await running(worker);
      assert.equal(await worker.terminate({ timeout: 0, force: false }), false);
      assert.equal(await worker.wait(60_000), true);
      assert.ok(worker.error instanceof WorkerTerminatedError);
    });

    for (const name of ['stubborn', 'busyForEver']) {
      test(`is stopped by force when its target does not stop (${name})`, async () => {
        const worker = make(name);
        const other = make<number>('square', { args: [4] });
        await running(worker);
        assert.equal(await worker.terminate({ timeout: 50, force: false }), false);
        assert.equal(worker.isAlive(), true);
        assert.equal(await worker.terminate({ timeout: 0 }), true);
        assert.deepEqual([worker.hasError, worker.error, worker.result], [true, undefined, undefined]);
        await other.wait();
        assert.equal(other.result, 16);
      });
    }

    test('that ends by itself has neither a result nor an error, but how it ended', async () => {
      const worker = make('exit', { args: [3] });
      await worker.wait();
      assert.deepEqual([worker.hasError, worker.error, worker.result], [true, undefined, undefined]);
      assert.deepEqual(worker.exit, { code: 3, signal: null });
    });

    test('keeps its state for its owner', async () => {
      const worker = make('count', { args: [2], initialState: 5 });
      assert.equal(worker.userState, 5);
      await worker.wait();
      assert.equal(worker.userState, 7);
      assert.throws(() => {
        (worker as { userState: unknown }).userState = 1;
      }, InvalidArgumentError);
    });

    for (const name of ['upTo', 'asyncUpTo']) {
      test(`yields what a generator yields (${name}), and has what it returned`, async () => {
        const worker = make<string>(name, { args: [100] });
        const values: unknown[] = [];
        for await (const value of worker) values.push(value);
        assert.deepEqual(
          values,
          Array.from({ length: 100 }, (_, i) => i),
        );
        assert.equal(worker.result, 'done');
      });
    }

    test('does not make a generator wait for a reader when its owner waits for its end', async () => {
      const worker = make<string>('upTo', { args: [1_000] });
      await worker.wait();
      const values: unknown[] = [];
      for await (const value of worker) values.push(value);
      assert.deepEqual([values.length, worker.result], [1_000, 'done']);
    });

    test('yields undefined as often as its generator does, also before anybody reads', async () => {
      const worker = make('nothings', { args: [40] });
      await worker.wait();
      let count = 0;
      for await (const value of worker) count += value === undefined ? 1 : 0;
      assert.equal(count, 40);
    });

    test('leaves its generator properly when a value cannot be sent', async () => {
      const worker = make('unsendableInside');
      await worker.wait();
      assert.equal((worker.error as DataCloneError).code, 'ERR_BOSUN_DATA_CLONE');
      assert.equal(worker.userState, 'finally');
    });

    test('stops a generator that its owner does not keep waiting', async () => {
      const worker = make('asyncUpTo', { args: [1e9] });
      const reading = worker[Symbol.asyncIterator]();
      await reading.next();
      void worker.wait();
      assert.equal(await worker.terminate({ timeout: 60_000, force: false }), true);
      assert.ok(worker.error instanceof WorkerTerminatedError);
    });

    test('throws behind the values what the generator threw', async () => {
      const values: unknown[] = [];
      await assert.rejects(
        async () => {
          for await (const value of make('failBehind', { args: [3] })) values.push(value);
        },
        { message: 'behind them' },
      );
      assert.deepEqual(values, [0, 1, 2]);
    });

    test('stops a generator that nobody reads', async () => {
      const worker = make('upTo', { args: [1e9] });
      const [first] = [(await worker[Symbol.asyncIterator]().next()).value];
      assert.equal(first, 0);
      assert.equal(await worker.terminate({ timeout: 60_000, force: false }), true);
      assert.ok(worker.error instanceof WorkerTerminatedError);
    });

    test('is terminated by its signal, by `await using`, and at the call when that is aborted already', async () => {
      const controller = new AbortController();
      const worker = make('untilStopped', { signal: controller.signal });
      await running(worker);
      controller.abort();
      await worker.wait();
      assert.ok(worker.error instanceof WorkerTerminatedError);
      assert.throws(() => make('square', { signal: controller.signal }), { name: 'AbortError' });
      let other: Worker;
      {
        await using used = make('untilStopped');
        other = used;
        await running(used);
      }
      assert.equal(other.isAlive(), false);
    });

    test('takes Buffers as Buffers, and kwargs behind its args', async () => {
      const buffer = make<boolean>('isBuffer', { args: [Buffer.from('x')] });
      const a = type === 'remote' ? [1] : new Map([[1, 2]]);
      const echo = make('echo', { args: [1], kwargs: { a } });
      await Promise.all([buffer.wait(), echo.wait()]);
      assert.equal(buffer.result, true);
      assert.deepEqual(echo.result, [1, { a }]);
    });

    test('takes a function that a module of the caller exports, and another one only inline', {
      skip: type === 'remote' && 'no function travels to another host',
    }, async () => {
      const exported = Worker.create(type, { target: square, args: [5] });
      await exported.wait();
      assert.match(exported.error?.message ?? '', /the function square is no export of a module that called/);
      const here = makeCube(type, 2);
      const inline = Worker.create<number>(type, { target: (x: number) => x + 1, args: [5], allowInline: true });
      await Promise.all([here.wait(), inline.wait()]);
      assert.deepEqual([here.result, inline.result], [8, 6]);
      const other = Worker.create(type, { target: (x: number) => x, args: [5] });
      await assert.rejects(other.started, NotPortableError);
      assert.equal(await other.wait(), true);
      assert.ok(other.error instanceof NotPortableError);
      assert.equal(other.hasError, true);
    });

    test('tells of its start and of its end', async () => {
      const worker = make('square', { args: [1] });
      const [, [exit]] = await Promise.all([once(worker, 'start'), once(worker, 'exit')]);
      assert.deepEqual(exit, { code: 0, signal: null });
    });
  });
}

describe('workers', () => {
  test('one function, one interface', async () => {
    const workers = KINDS.map((type, i) =>
      Worker.create<number>(type, { target: at('square'), args: [i + 1], ...place(type) }),
    );
    await Promise.all(workers.map((worker) => worker.wait()));
    assert.deepEqual(
      workers.map(({ result }) => result),
      [1, 4, 9],
    );
  });

  test('without a target, or told not to, they never start', async () => {
    for (const Class of [
      ThreadWorker,
      ProcessWorker,
      RemoteWorker,
      PersistentThreadWorker,
      PersistentProcessWorker,
      PersistentRemoteWorker,
    ]) {
      for (const worker of [new Class(), new Class({ target: at('square'), run: false })] as Worker[]) {
        assert.deepEqual(
          [worker.isAlive(), worker.hasError, worker.result, worker.error],
          [false, false, undefined, undefined],
        );
        assert.equal(await worker.wait(0), true);
        assert.equal(await worker.terminate(), true);
        assert.equal(worker.pid, undefined);
      }
    }
  });

  test('the living are known until they are dead', async () => {
    const worker = new ProcessWorker({ target: at('untilStopped') });
    const thread = new ThreadWorker({ target: at('stubborn') });
    assert.deepEqual(Worker.activeChildren(), [worker, thread]);
    await Promise.all([running(worker), running(thread)]);
    await Worker.autocloseActiveChildren(20);
    assert.deepEqual(Worker.activeChildren(), []);
    assert.deepEqual([worker.isAlive(), thread.isAlive()], [false, false]);
  });

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    test(`${signal} from outside ends one, and that is known`, async () => {
      const worker = new ProcessWorker({ target: at('untilStopped') });
      await running(worker);
      process.kill(worker.pid as number, signal);
      assert.equal(await worker.wait(60_000), true);
      assert.deepEqual([worker.hasError, worker.error, worker.exit], [true, undefined, { code: null, signal }]);
    });
  }

  test('a process that is stopped is killed in bounded time', {
    skip: process.platform === 'win32' && 'no SIGSTOP',
  }, async () => {
    const worker = new ProcessWorker({ target: at('untilStopped') });
    await running(worker);
    process.kill(worker.pid as number, 'SIGSTOP');
    assert.equal(await worker.terminate({ timeout: 10 }), true);
    assert.equal(worker.exit?.signal, 'SIGKILL');
    assert.equal(alive(worker.pid), false);
  });

  test('one that cannot start says so', async () => {
    const worker = new ProcessWorker({ target: at('square'), execArgv: ['--no-such-option'] });
    await assert.rejects(worker.started, WorkerStartError);
    await worker.wait();
    assert.ok(worker.error instanceof WorkerStartError);
    assert.equal(worker.hasError, true);
  });

  test('a function of a module that waits for it at its top level is refused, not waited for', async () => {
    const { error } = await import('./fixtures/worker-top-level.js');
    assert.ok(error instanceof NotPortableError);
  });

  test('what cannot travel is said before anything runs', async () => {
    const worker = new ProcessWorker({ target: at('square'), args: [() => {}] });
    await assert.rejects(worker.started, DataCloneError);
    await worker.wait();
    assert.ok(worker.error instanceof DataCloneError);
    const shared = new ProcessWorker({ target: at('addTo'), args: [new SharedArrayBuffer(4)] });
    await assert.rejects(shared.started, DataCloneError);
    await shared.wait();
  });

  test('threads share memory, and take what is transferred to them', async () => {
    const shared = new SharedArrayBuffer(4);
    const adder = new ThreadWorker({ target: at('addTo'), args: [shared] });
    const bytes = new Uint8Array(1_000);
    const length = new ThreadWorker<number>({ target: at('lengthOf'), args: [bytes], transferList: [bytes.buffer] });
    const { port1 } = new MessageChannel();
    const port = new ThreadWorker<string>({ target: at('kindOf'), args: [port1], transferList: [port1 as never] });
    await Promise.all([adder.wait(), length.wait(), port.wait()]);
    assert.equal(new Int32Array(shared)[0], 5);
    assert.deepEqual([length.result, bytes.byteLength], [1_000, 0]);
    assert.equal(port.result, 'MessagePort');
    assert.throws(() => new ProcessWorker({ target: at('lengthOf'), transferList: [] }), NotPortableError);
  });

  test('one that is made while its own module is imported in a worker is refused there', async () => {
    const worker = new ProcessWorker({ target: new URL('./fixtures/worker-bomb.js#harmless', import.meta.url) });
    await worker.wait();
    assert.ok(worker.error instanceof Error);
    assert.match(worker.error.message, /put the function into a module of its own/);
  });

  test('nor is a manager, by a program whose tasks are in its own file', async () => {
    const program = fileURLToPath(new URL('./fixtures/manager-bomb.js', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [program]);
    assert.match(stdout, /put the function into a module of its own/);
  });

  test('but a task may make one while the module of another task is imported beside it', async () => {
    await using manager = new ProcessManager({ workers: 1, concurrency: 2, prefetch: 2 });
    const module = new URL('./fixtures/late-module.js', import.meta.url).href;
    const handle = manager.schedule(
      Task.from<number>(new URL('./fixtures/nested-manager.js', import.meta.url).href, 'nested'),
    );
    const other = manager.run<number>({ module, export: 'late' });
    handle.send({ module });
    assert.deepEqual(await Promise.all([handle.result, other]), [7, 7]);
  });

  test('misuse is refused at the call', async () => {
    const invalid = { name: 'InvalidArgumentError', code: 'ERR_BOSUN_INVALID_ARGUMENT' };
    // biome-ignore lint/suspicious/noExplicitAny: misuse is what this test is about
    const bad: any[] = [
      { target: 5 },
      { args: 5 },
      { kwargs: [] },
      { name: 5 },
      { signal: 5 },
      { run: true },
      { target: at(''), x: 1 },
      5,
    ];
    for (const options of bad) assert.throws(() => new ProcessWorker(options), invalid, JSON.stringify(options));
    assert.throws(() => Worker.create('coroutine' as never), invalid);
    assert.throws(() => PersistentWorker.create('coroutine' as never), invalid);
    const worker = new ThreadWorker({ target: at('square'), args: [1] });
    await assert.rejects(worker.wait(-1), { code: 'ERR_BOSUN_OUT_OF_RANGE' });
    await assert.rejects(worker.terminate({ timeout: -1 }), { code: 'ERR_BOSUN_OUT_OF_RANGE' });
    await worker.wait();
    assert.deepEqual(Worker.activeChildren(), []);
  });
});
