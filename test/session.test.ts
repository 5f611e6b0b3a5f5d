// What the tasks of one worker share, and what a worker is started with.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type ProcessManagerOptions, Task, WorkerStartError } from '../lib/index.js';
import { makeDirectory, makeManager } from './fixtures/scene.js';

const TASKS = new URL('./fixtures/session-tasks.js', import.meta.url);
const SETUP = new URL('./fixtures/session-setup.js', import.meta.url);
const LOG_MAIN = fileURLToPath(new URL('./fixtures/log-main.js', import.meta.url));

const target = (name: string) => ({ module: TASKS, export: name });
const setup = (name: string) => ({ module: SETUP, export: name });

/** A server with keep-alive that counts its connections; `answer` decides when a request is answered. */
async function serve(t: TestContext, answer = (response: ServerResponse): unknown => response.end('hello')) {
  const connections: number[] = [];
  const server = createServer((_, response) => void answer(response));
  server.on('connection', ({ remotePort }) => connections.push(remotePort as number));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, connections, server };
}

/** A server that answers when `count` requests have arrived: whoever awaits it holds one worker each. */
function rendezvous(t: TestContext, count: number) {
  const waiting: ServerResponse[] = [];
  return serve(t, (response) => {
    waiting.push(response);
    if (waiting.length === count) for (const each of waiting.splice(0)) each.end('met');
  });
}

describe('ctx.session', () => {
  test('is one for all tasks of a worker', async (t) => {
    const manager = makeManager(t);
    const pids = new Set<number>();
    for (let i = 0; i < 3; i++) {
      const { pid, same } = await manager.run<{ pid: number; same: boolean }>(target('sameSession'));
      assert.equal(same, true);
      pids.add(pid);
    }
    assert.equal(pids.size, 1);
  });

  test('has a dispatcher that is an undici Agent', async (t) => {
    assert.equal(await makeManager(t).run(target('hasAgent')), true);
  });

  test('fetches over connections that are kept alive between tasks, one set for each worker', async (t) => {
    const { url, connections } = await serve(t);
    const manager = makeManager(t);
    for (let i = 0; i < 4; i++) assert.equal(await manager.run(target('fetchText'), [url]), 'hello');
    assert.equal(connections.length, 1);
    const other = makeManager(t);
    assert.equal(await other.run(target('fetchText'), [url]), 'hello');
    assert.equal(connections.length, 2);
  });

  test('closes its connections with the worker, also those that are idle', async (t) => {
    const { url, server } = await serve(t);
    server.keepAliveTimeout = 60_000;
    const connected = once(server, 'connection');
    const manager = makeManager(t);
    await manager.run(target('fetchText'), [url]);
    const [socket] = await connected;
    const closed = once(socket, 'close');
    const report = await manager.close();
    assert.deepEqual([report.workers[0]?.exitCode, report.workers[0]?.forced], [0, undefined]);
    await closed;
  });
});

describe('setup', () => {
  test('is a path, a URL, or an export, and lies on the session', async (t) => {
    for (const [option, kind] of [
      [SETUP, 'default'],
      [fileURLToPath(SETUP), 'default'],
      [setup('synchronous'), 'synchronous'],
      [{ module: fileURLToPath(SETUP), export: 'asynchronous' }, 'asynchronous'],
    ] as const) {
      const manager = makeManager(t, { setup: option });
      const extra = await manager.run<{ kind: string }>(target('extras'));
      assert.equal(extra.kind, kind);
      await manager.close();
    }
  });

  test('is called once in each worker, and every worker has its own', async (t) => {
    const { url } = await rendezvous(t, 2);
    const manager = makeManager(t, { workers: 2, minWorkers: 2, prefetch: 1, setup: setup('asynchronous') });
    await manager.ready();
    const seen = new Map<string, number>();
    for (let round = 0; round < 2; round++) {
      // Chained behind the meeting, so that each worker looks at its own session.
      const looks = Array.from({ length: 2 }, () =>
        manager.run<{ id: string; calls: number }>(target('meetAndLook'), [url]),
      );
      for (const { id, calls } of await Promise.all(looks)) seen.set(id, calls);
    }
    assert.deepEqual([...seen.values()], [1, 1]);
  });

  test('does not take the places of fetch and dispatcher, and may make nothing', async (t) => {
    const { kind, fetch, dispatcher } = await makeManager(t, { setup: setup('greedy') }).run<Record<string, unknown>>(
      target('extras'),
    );
    assert.deepEqual({ kind, fetch, dispatcher }, { kind: 'greedy', fetch: 'function', dispatcher: true });
    assert.deepEqual(await makeManager(t, { setup: setup('nothing') }).run(target('extras')), {
      fetch: 'function',
      dispatcher: true,
    });
  });

  for (const [name, policy] of [
    ['asynchronous', 'join'],
    ['asynchronous', 'cancel'],
    ['synchronous', 'join'],
  ] as const) {
    test(`what the ${name} one made is disposed of before the worker ends, on ${policy}`, async (t) => {
      const file = join(await makeDirectory(t), 'disposed');
      await writeFile(file, '');
      const manager = makeManager(t, { setup: setup(name), env: { ...process.env, BOSUN_TEST_FILE: file } });
      const { pid } = await manager.run<{ pid: number }>(target('sameSession'));
      assert.equal(await readFile(file, 'utf8'), '');
      const report = await manager.close(policy);
      assert.equal(await readFile(file, 'utf8'), `disposed ${pid}\n`);
      assert.equal(report.workers[0]?.exitCode, 0);
    });
  }

  test('whose disposal fails is for the log: the worker ends as it would have', async (t) => {
    const logDirectory = await makeDirectory(t);
    const manager = makeManager(t, { setup: setup('brokenEnd'), logDirectory });
    await manager.ready();
    const [exit] = (await manager.close()).workers;
    assert.deepEqual([exit?.exitCode, exit?.forced], [0, undefined]);
    assert.match(await readFile(join(logDirectory, 'worker-1.log'), 'utf8'), /Z ERROR .*Error: no way to close/);
  });
});

describe('workers that cannot be set up', () => {
  const BAD: [what: string, options: ProcessManagerOptions, cause: object][] = [
    ['a set-up that throws', { setup: setup('broken') }, { name: 'RangeError', message: 'no such database' }],
    ['no such export', { setup: setup('absent') }, { code: 'ERR_BOSUN_NOT_PORTABLE' }],
    ['no such module', { setup: './absent.js' }, { code: 'ERR_MODULE_NOT_FOUND' }],
    ['a log directory that cannot be made', { logDirectory: join(LOG_MAIN, 'logs') }, { code: 'ENOTDIR' }],
  ];

  for (const [what, options, expected] of BAD) {
    test(`${what} is a WorkerStartError, everywhere, and nothing hangs`, { timeout: 10_000 }, async (t) => {
      const manager = makeManager(t, options);
      const isStartError = (error: WorkerStartError): boolean => {
        assert.ok(error instanceof WorkerStartError, String(error));
        assert.equal(error.code, 'ERR_BOSUN_WORKER_START');
        const cause = error.cause as Record<string, unknown>;
        for (const [key, value] of Object.entries(expected)) assert.equal(cause[key], value);
        assert.ok(error.message.includes(String(cause['message'])));
        return true;
      };
      const scheduled = manager.schedule(Task.from(TASKS, 'hasAgent'));
      const rejections = [
        manager.ready(),
        manager.run(target('hasAgent')),
        scheduled.result,
        manager.messages().next(),
      ];
      await Promise.all(rejections.map((rejection) => assert.rejects(rejection, isStartError)));
      await assert.rejects(manager.ready(), isStartError);
      assert.throws(() => manager.schedule(Task.from(TASKS, 'hasAgent')), isStartError);
      assert.throws(() => manager.run(target('hasAgent')), isStartError);
      assert.throws(() => manager.messages(), isStartError);
      assert.equal(manager.tasksLeft, 0);
      assert.equal((await manager.close()).done, 0);
    });
  }
});

describe('logDirectory', () => {
  const LINE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO |WARN |ERROR) (.*)$/;

  test('gets one file for each worker: ctx.log, console and stderr, with time and level', async (t) => {
    const logDirectory = join(await makeDirectory(t), 'made', 'here');
    const manager = makeManager(t, { workers: 2, minWorkers: 2, logDirectory });
    await manager.ready();
    const worker = await manager.run<number>(target('logAll'));
    await manager.close();
    assert.deepEqual((await readdir(logDirectory)).sort(), ['worker-1.log', 'worker-2.log']);
    assert.equal(await readFile(join(logDirectory, `worker-${3 - worker}.log`), 'utf8'), '');
    const lines = (await readFile(join(logDirectory, `worker-${worker}.log`), 'utf8')).trimEnd().split('\n');
    const plain = lines.filter((line) => line.startsWith('plain'));
    assert.deepEqual(plain.sort(), ['plain stderr', 'plain stdout']);
    assert.deepEqual(
      lines.filter((line) => !line.startsWith('plain')).map((line) => LINE.exec(line)?.slice(1)),
      [
        ['DEBUG', 'debug 1'],
        ['INFO ', 'info { a: 1 }'],
        ['WARN ', 'warn'],
        ['ERROR', 'error'],
        ['INFO ', 'console log'],
        ['ERROR', 'console error'],
      ],
    );
  });

  test('is appended to by the next manager', async (t) => {
    const logDirectory = await makeDirectory(t);
    for (let i = 0; i < 2; i++) {
      const manager = makeManager(t, { logDirectory });
      await manager.run(target('logAll'));
      await manager.close();
    }
    const log = await readFile(join(logDirectory, 'worker-1.log'), 'utf8');
    assert.equal(log.match(/ WARN {2}warn$/gm)?.length, 2);
  });

  /** What a program prints whose worker logs, and the files that it leaves in its directory. */
  async function printed(t: TestContext, options: ProcessManagerOptions) {
    const cwd = await makeDirectory(t);
    const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
    const output = await promisify(execFile)(process.execPath, [LOG_MAIN, JSON.stringify(options)], { cwd, env });
    return { ...output, files: await readdir(cwd) };
  }

  test('left out: warnings and errors on stderr, the console as it is, and no file', async (t) => {
    const { stdout, stderr, files } = await printed(t, {});
    assert.deepEqual(files, []);
    assert.equal(stdout, 'console log\nplain stdout\n');
    const lines = stderr.trimEnd().split('\n');
    assert.deepEqual(
      lines.map((line) => LINE.exec(line)?.slice(1) ?? line),
      [['WARN ', 'warn'], ['ERROR', 'error'], 'console error', 'plain stderr'],
    );
  });

  test("with stdout: 'stderr' the program's own output stays its own", async (t) => {
    const { stdout, stderr } = await printed(t, { stdout: 'stderr' });
    assert.equal(stdout, '');
    assert.match(stderr, /^console log$/m);
    assert.match(stderr, /^plain stdout$/m);
  });
});

describe('env and execArgv', () => {
  test('env is the whole environment of the workers; this one, unless given', async (t) => {
    process.env['BOSUN_TEST_OWN'] = 'own';
    t.after(() => delete process.env['BOSUN_TEST_OWN']);
    assert.equal(await makeManager(t).run(target('environment'), ['BOSUN_TEST_OWN']), 'own');
    const env = { BOSUN_TEST_GIVEN: 'given' };
    const manager = makeManager(t, { env });
    env.BOSUN_TEST_GIVEN = 'changed later';
    assert.equal(await manager.run(target('environment'), ['BOSUN_TEST_GIVEN']), 'given');
    const names = await manager.run<string[]>(target('environmentNames'));
    assert.ok(!names.includes('BOSUN_TEST_OWN') && !names.includes('PATH'), names.join());
  });

  test('execArgv are the Node.js options of the workers', async (t) => {
    const execArgv = ['--no-deprecation', '--stack-trace-limit=5'];
    assert.deepEqual(await makeManager(t, { execArgv }).run(target('execArgv')), execArgv);
    assert.deepEqual(await makeManager(t, { execArgv: [] }).run(target('execArgv')), []);
  });
});
