// Workers on other hosts that a manager dials, and what becomes of them when the link does not last.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  type ProcessManager,
  type ProcessManagerOptions,
  RemoteServer,
  type RemoteServerOptions,
  type RemoteWorkerOptions,
  type WorkerLostError,
  WorkerStartError,
} from '../lib/index.js';
import { untilGone } from './fixtures/alive.js';
import { Cable, joined } from './fixtures/remote-workers.js';
import { holdProcess, makeManager } from './fixtures/scene.js';
import { Hello, Stubborn, UntilAborted } from './fixtures/tasks.js';

const FIXTURES = fileURLToPath(new URL('./fixtures/', import.meta.url));
const at = (name: string) => `${FIXTURES}tasks.js#${name}`;

async function serverIn(t: TestContext, options: RemoteServerOptions = {}): Promise<RemoteServer> {
  const server = new RemoteServer({ allowModules: [FIXTURES], grace: 100, ...options });
  t.after(() => server.terminate());
  await server.listen();
  return server;
}

const hostOf = ({ address, token }: RemoteServer): RemoteWorkerOptions => ({ host: address ?? {}, token });

/** A manager with nothing but one worker on a server, through a cable that can be cut. */
async function cabled(t: TestContext, options: ProcessManagerOptions = {}) {
  const server = await serverIn(t);
  const cable = await Cable.to(t, server.address?.port ?? 0);
  const remotes = [{ host: { port: cable.port }, token: server.token }];
  const manager = makeManager(t, { workers: 0, remotes, ...options });
  await manager.ready();
  return { server, cable, manager };
}

function seen(manager: ProcessManager, event: 'worker:error' | 'worker:exit'): Promise<unknown[]> {
  return once(manager, event);
}

async function running(manager: ProcessManager): Promise<void> {
  for await (const message of manager.messages()) if (message === 'running') return;
}

describe('a worker that is dialled', () => {
  test('is there when the manager is ready, and works beside local ones', async (t) => {
    const server = await serverIn(t);
    const manager = makeManager(t, { workers: 1, minWorkers: 1, remotes: [hostOf(server)] });
    const added = manager.addWorker('remote', {
      ...hostOf(server),
      host: '127.0.0.1',
      port: server.address?.port ?? 0,
    });
    await manager.ready();
    const { workers } = manager;
    assert.deepEqual(
      workers.map(({ state, host }) => [state, host !== undefined]),
      [
        ['alive', false],
        ['alive', true],
        ['alive', true],
      ],
    );
    assert.ok(workers.some(({ worker }) => worker === added));
    assert.equal(server.workers, 2);
    for (let i = 0; i < 30; i++) manager.schedule(new Hello(i));
    const numbers = new Set<number>();
    for await (const message of manager.messages()) numbers.add((message as { hi: number }).hi);
    assert.equal(numbers.size, 30);
    const report = await manager.close();
    assert.deepEqual([report.done, report.workers.length], [30, 3]);
    assert.ok(report.workers.every(({ exitCode }) => exitCode === 0));
    await untilGone(workers.map(({ pid }) => pid));
  });

  test('is enough for a manager that has no other', async (t) => {
    const server = await serverIn(t);
    const manager = makeManager(t, { workers: 0, remotes: [hostOf(server)] });
    // Before it is there.
    assert.equal(await manager.run(at('add'), [1, 2]), 3);
    assert.equal(manager.workers.length, 1);
  });

  test('loads what its server allows, and nothing else', async (t) => {
    const server = await serverIn(t, { allowModules: [`${FIXTURES}anywhere.js`] });
    const manager = makeManager(t, { workers: 0, remotes: [hostOf(server)] });
    for (const target of [at('add'), 'node:os#hostname']) {
      await assert.rejects(manager.run(target, [1, 2]), (error: Error) => {
        assert.equal((error.cause as { code: string }).code, 'ERR_BOSUN_NOT_PORTABLE');
        return true;
      });
    }
    assert.equal(manager.workers.length, 1);
  });

  test('is dialled until somebody is there, and that is said', async (t) => {
    const free = createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const { port } = free.address() as { port: number };
    free.close();
    const manager = makeManager(t, { workers: 1, minWorkers: 0 });
    const trouble = seen(manager, 'worker:error');
    manager.addWorker('remote', { host: { port }, token: 'the same here and there' });
    const isReady = manager.ready();
    const [{ error, retryMs }] = (await trouble) as [{ error: Error; retryMs: number }];
    assert.ok(error instanceof WorkerStartError && retryMs > 0);
    assert.match(error.message, new RegExp(`127.0.0.1:${port} is not there: .*ECONNREFUSED`));
    await serverIn(t, { port, token: 'the same here and there' });
    await isReady;
    assert.equal(manager.workers.filter(({ host }) => host !== undefined).length, 1);
  });

  test('is not let in with a wrong token, which costs the manager nothing', async (t) => {
    const server = await serverIn(t, { token: 'the right one, long enough' });
    const manager = makeManager(t, { workers: 1 });
    const trouble = seen(manager, 'worker:error');
    manager.addWorker('remote', { ...hostOf(server), token: 'a wrong one, as long' });
    const [{ error }] = (await trouble) as [{ error: Error }];
    assert.match(error.message, /hung up|ECONNRESET/);
    assert.equal(await manager.run(at('add'), [1, 2]), 3);
  });

  test('of which the set-up fails again and again is given up', async (t) => {
    const server = await serverIn(t);
    const setup = { module: new URL('./fixtures/tasks.js', import.meta.url), export: 'fail' };
    const manager = makeManager(t, { workers: 0, remotes: [hostOf(server)], setup, restart: { max: 2 } });
    const isReady = manager.ready();
    const task = manager.run(at('add'), [1, 2]);
    const isStart = (error: Error) => {
      assert.ok(error instanceof WorkerStartError);
      assert.match(error.message, /the message/);
      return true;
    };
    await assert.rejects(isReady, isStart);
    await assert.rejects(task, isStart);
    assert.deepEqual(manager.workers, []);
  });

  test('is dialled again when its process dies; the task that it ran is lost', async (t) => {
    const { manager } = await cabled(t);
    for (const code of [3, 4]) {
      await assert.rejects(manager.run(at('exit'), [code]), { code: 'ERR_BOSUN_WORKER_LOST', exitCode: code });
    }
    assert.equal(await manager.run(at('add'), [1, 2]), 3);
  });

  test('whose link is cut ends over there, and is dialled again; a task is run again if its policy says so', async (t) => {
    const { manager, cable } = await cabled(t);
    const pids: (number | undefined)[] = [];
    manager.on('worker:start', ({ pid }) => pids.push(pid));
    const first = manager.workers[0]?.pid;
    const lost = manager.schedule(new UntilAborted());
    await running(manager);
    cable.cut();
    await assert.rejects(lost.result, (error: WorkerLostError) => {
      assert.deepEqual([error.exitCode, error.exitSignal, error.finished], [null, null, false]);
      assert.match(error.message, /worker 1 on 127\.0\.0\.1:\d+ was lost.* while it ran task 1 'UntilAborted'/);
      return true;
    });
    await untilGone([first]);
    const again = manager.run<number>(at('pid'));
    const back = joined(manager);
    cable.restore();
    await back;
    assert.notEqual(await again, first);
    // A task that may be run again begins anew.
    const { pid } = manager.workers[0] ?? {};
    const retried = manager.schedule(new UntilAborted({ retry: { max: 1, on: ['lost'], backoff: () => 0 } }));
    await running(manager);
    cable.cut();
    cable.restore();
    await running(manager);
    retried.cancel();
    await assert.rejects(retried.result, { code: 'ERR_BOSUN_CANCELLED' });
    assert.notEqual(manager.workers[0]?.pid, pid);
    assert.ok(pids.length >= 2);
  });

  test('does not keep a manager that closes, however dead the link is', async (t) => {
    const { manager, cable } = await cabled(t, { grace: 50 });
    const handle = manager.schedule(new Stubborn());
    await running(manager);
    cable.cut();
    manager.addWorker('remote', { host: { port: cable.port }, token: 'nobody is there' });
    const report = await manager.close('kill');
    assert.ok(report.durationMs < 10_000);
    await assert.rejects(handle.result);
  });

  test('goes when its server ends: what runs may finish, and the manager dials again', async (t) => {
    holdProcess(t);
    const server = await serverIn(t, { grace: 10_000 });
    const { port } = server.address ?? {};
    const { token } = server;
    const manager = makeManager(t, { workers: 0, remotes: [hostOf(server)] });
    await manager.ready();
    const slow = manager.run(at('spinFor'), [300]);
    const exit = seen(manager, 'worker:exit');
    await server.terminate();
    assert.equal(await slow, 300);
    const [{ exitCode }] = (await exit) as [{ exitCode: number }];
    assert.equal(exitCode, 0);
    const waits = manager.run(at('add'), [1, 2]);
    await serverIn(t, { port: port ?? 0, token });
    assert.equal(await waits, 3);
  });
});
