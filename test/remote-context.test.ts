// Contexts: what workers on one server share, and that they do not outlive it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  DataCloneError,
  NotPortableError,
  PersistentRemoteWorker,
  Pool,
  RemoteContext,
  type RemoteContextOptions,
  RemoteServer,
  RemoteWorker,
  ThreadWorker,
  Worker,
  WorkerStartError,
  WorkerTerminatedError,
} from '../lib/index.js';
import { untilGone } from './fixtures/alive.js';
import { at, running } from './fixtures/worker-kinds.js';

const FIXTURES = fileURLToPath(new URL('./fixtures/', import.meta.url));
const CLIENT = fileURLToPath(new URL('./fixtures/context-client.js', import.meta.url));

let server: RemoteServer;
before(async () => {
  server = new RemoteServer({ allowModules: [FIXTURES], grace: 100 });
  await server.listen();
});
after(async () => {
  await server.terminate();
  assert.deepEqual(Worker.activeChildren(), []);
});

function contextIn(t: TestContext, options: RemoteContextOptions = {}): RemoteContext {
  const context = new RemoteContext({ host: server.address ?? {}, token: server.token, ...options });
  t.after(() => context.close({ timeout: 0 }));
  return context;
}

const invalid = { code: 'ERR_BOSUN_INVALID_ARGUMENT' };

describe('a context', () => {
  test('gives its workers a target and arguments, which theirs are laid over', async (t) => {
    const context = contextIn(t, { target: at('echo'), args: [1, 2], kwargs: { k: 5, l: 6 } });
    const plain = context.worker();
    const own = context.worker({ args: [7], kwargs: { k: 8 } });
    const more = new RemoteWorker({ context, args: [7, 8, 9] });
    await Promise.all([plain.wait(), own.wait(), more.wait()]);
    assert.deepEqual(plain.result, [1, 2, { k: 5, l: 6 }]);
    assert.deepEqual(own.result, [7, 2, { k: 8, l: 6 }]);
    assert.deepEqual(more.result, [7, 8, 9, { k: 5, l: 6 }]);
  });

  test('is found by its id, and its persistent workers take inputs', async (t) => {
    const { id } = await contextIn(t, { id: 'exp=3', target: at('power'), kwargs: { exp: 3 } }).started;
    assert.equal(id, 'exp=3');
    const remote = { host: server.address ?? {}, token: server.token };
    await using worker = new PersistentRemoteWorker<number>({ context: id, ...remote });
    const inputs = Array.from({ length: 10 }, (_, i) => i);
    assert.deepEqual(
      await Promise.all(inputs.map((i) => worker.call(i))),
      inputs.map((i) => i ** 3),
    );
    assert.equal(await worker.call(2, { exp: 4 }), 16);
  });

  test('needs no target; a worker of it may have its own', async (t) => {
    const context = contextIn(t, { args: [3] });
    const square = context.worker({ target: at('square') });
    await square.wait();
    assert.equal(square.result, 9);
    const nothing = context.worker();
    await nothing.wait();
    assert.equal((nothing.error as NotPortableError).code, 'ERR_BOSUN_NOT_PORTABLE');
    const pool = new Pool(at('echo'));
    pool.addWorker('remote', { context });
    assert.deepEqual(await pool.map([5, 6]), [[5], [6]]);
    await pool.close();
  });

  test('is not there twice; whoever wanted the second one runs nothing in the first', async (t) => {
    const first = await contextIn(t, { id: 'twice', target: at('square') }).started;
    const second = contextIn(t, { id: 'twice', target: at('square') });
    const worker = second.worker({ args: [1] });
    await assert.rejects(second.started, { ...invalid, message: /'twice'/ });
    await assert.rejects(worker.started, WorkerStartError);
    await worker.wait();
    assert.match(String(worker.error?.cause), /'twice'/);
    await second.close();
    await first.close();
    const third = await contextIn(t, { id: 'twice' }).started;
    assert.equal(third.id, 'twice');
  });

  test('ends at once without workers, and asks those that are slow to stop', async (t) => {
    const context = contextIn(t, { target: at('untilStopped') });
    await (await contextIn(t).started).close({ timeout: 1_000_000 });
    const worker = context.worker();
    const stubborn = context.worker({ target: at('stubborn') });
    await Promise.all([running(worker), running(stubborn)]);
    const { pid } = stubborn;
    await context.close({ timeout: 10 });
    await Promise.all([worker.wait(), stubborn.wait(), untilGone([pid])]);
    assert.ok(worker.error instanceof WorkerTerminatedError);
    assert.deepEqual([stubborn.hasError, stubborn.error], [true, undefined]);
    await context.close();
  });

  test('waits for workers that end by themselves, and takes no new ones', async (t) => {
    const context = contextIn(t, { target: at('upTo'), args: [100] });
    const worker = context.worker();
    const reading = worker[Symbol.asyncIterator]();
    await reading.next();
    const closing = context.close({ timeout: 1_000_000 });
    while (server.workers === 0) await turn();
    let late: RemoteWorker;
    do {
      late = context.worker({ args: [1] });
      await late.wait();
    } while (late.error === undefined);
    assert.match(late.error.message, /no context/);
    await worker.wait();
    await closing;
    assert.equal(worker.result, 'done');
  });

  test('goes with its program, and its workers too', async () => {
    const child = spawn(process.execPath, [CLIENT, String(server.address?.port), server.token], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [pid] = (await once(createInterface({ input: child.stdout as Readable }), 'line')) as [string];
    child.kill('SIGKILL');
    await untilGone([Number(pid)]);
    while (server.workers > 0) await turn();
  });

  test('keeps no program up', async () => {
    const child = spawn(process.execPath, [CLIENT, String(server.address?.port), server.token, 'idle'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    assert.deepEqual(await once(child, 'close'), [0, null]);
  });

  test('says what is wrong with it at the call, or when the server has heard it', async (t) => {
    for (const options of [
      { id: '' },
      { id: 'x'.repeat(257) },
      { args: 5 },
      { kwargs: [] },
      { unknown: 1 },
      { host: 'example.org' },
      { token: 5 },
    ]) {
      assert.throws(() => new RemoteContext(options as never), invalid, JSON.stringify(options));
    }
    assert.throws(() => new RemoteContext({ target: () => {} }), NotPortableError);
    assert.throws(() => contextIn(t, { args: [new Map()] }), DataCloneError);
    const context = contextIn(t);
    assert.throws(() => new RemoteWorker({ context, host: 'localhost' }), invalid);
    assert.throws(() => new ThreadWorker({ context, target: at('square') }), invalid);
    assert.throws(() => new RemoteWorker({ context: {} as never }), invalid);
    await assert.rejects(contextIn(t, { target: '/etc/passwd#x' }).started, {
      code: 'ERR_BOSUN_NOT_PORTABLE',
    });
    await assert.rejects(contextIn(t, { token: 'a wrong one' }).started, WorkerStartError);
    await assert.rejects(contextIn(t, { host: [`127.0.0.1`, 1] }).started, WorkerStartError);
    const unknown = new RemoteWorker({ context: 'unknown', host: server.address ?? {}, token: server.token });
    await unknown.wait();
    assert.match(unknown.error?.message ?? '', /no context 'unknown'/);
  });

  test('a server has no more of them than workers', async (t) => {
    const small = new RemoteServer({ maxWorkers: 1, allowModules: [FIXTURES] });
    t.after(() => small.terminate());
    const remote = { host: await small.listen(), token: small.token };
    const context = await contextIn(t, remote).started;
    await assert.rejects(contextIn(t, remote).started, { code: 'ERR_BOSUN_OUT_OF_RANGE' });
    const worker = context.worker({ target: at('square'), args: [4] });
    await worker.wait();
    assert.equal(worker.result, 16);
  });
});
