// Workers on a server: who may use it, what it runs, and that nothing of it is left.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { after, describe, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  closeServer,
  DataCloneError,
  encodeFrame,
  FRAME,
  InvalidArgumentError,
  PersistentRemoteWorker,
  RemoteServer,
  type RemoteServerOptions,
  type RemoteServerProcess,
  RemoteWorker,
  spawnServer,
  Worker,
  type WorkerOptions,
  WorkerStartError,
  WorkerTerminatedError,
} from '../lib/index.js';
import { encodePayload } from '../lib/internals.js';
import { alive, untilGone } from './fixtures/alive.js';
import { certificate } from './fixtures/certificate.js';
import { at, running } from './fixtures/worker-kinds.js';

after(() => assert.deepEqual(Worker.activeChildren(), []));

const FIXTURES = fileURLToPath(new URL('./fixtures/', import.meta.url));
const MAIN = fileURLToPath(new URL('../lib/cli/main.js', import.meta.url));
const CLIENT = join(FIXTURES, 'remote-client.js');

async function serverIn(t: TestContext, options: RemoteServerOptions = {}): Promise<RemoteServer> {
  const server = new RemoteServer({ allowModules: [FIXTURES], grace: 100, ...options });
  t.after(() => server.terminate());
  await server.listen();
  return server;
}

async function spawned(t: TestContext, options: RemoteServerOptions = {}): Promise<RemoteServerProcess> {
  const server = await spawnServer({ allowModules: [FIXTURES], grace: 100, ...options });
  t.after(() => server.terminate());
  return server;
}

const worker = <R>(
  { address, token }: { readonly address: RemoteServer['address']; readonly token: string },
  name: string,
  options: WorkerOptions = {},
): RemoteWorker<R> => new RemoteWorker<R>({ target: at(name), host: address ?? {}, token, ...options });

async function warnings(t: TestContext, body: () => Promise<void>): Promise<string[]> {
  const seen: string[] = [];
  const listen = (warning: Error) => seen.push(warning.message);
  process.on('warning', listen);
  t.after(() => process.off('warning', listen));
  await body();
  await turn();
  return seen;
}

describe('a remote worker', () => {
  test('says where it is when it has started', async (t) => {
    const server = await spawned(t);
    const { host, port } = server.address;
    for (const given of [`${host}:${port}`, [host, port] as const, { port }]) {
      const remote = new RemoteWorker<number>({ target: at('pidOf'), host: given, token: server.token });
      assert.deepEqual([remote.pid, remote.host], [undefined, undefined]);
      await remote.started;
      const { pid } = remote;
      assert.notEqual(pid, process.pid);
      await remote.wait();
      assert.equal(remote.result, pid);
      assert.deepEqual([remote.isRemote, remote.isProcess, remote.id[1]], [true, false, pid]);
    }
  });

  test('takes plain values and gives them; what is no such value is said by whoever has it', async (t) => {
    const server = await serverIn(t);
    const plain = { a: [1, 'x', null, true, undefined, 2.5], b: { bytes: Buffer.from('y') } };
    const echo = worker(server, 'echo', { args: [plain] });
    await echo.wait();
    assert.deepEqual(echo.result, [plain]);
    const map = worker(server, 'echo', { args: [new Map()] });
    await assert.rejects(map.started, DataCloneError);
    await map.wait();
    assert.match(map.error?.message ?? '', /plain values/);
    const result = worker(server, 'mapOf');
    await result.wait();
    assert.equal((result.error as DataCloneError).code, 'ERR_BOSUN_RESULT_CLONE');
  });

  test('has an error with its causes and its properties', async (t) => {
    const server = await serverIn(t);
    const remote = worker(server, 'failDeeply');
    await remote.wait();
    const { error } = remote;
    assert.ok(error instanceof TypeError);
    const cause = error.cause as Error & { when: unknown };
    assert.deepEqual([error.message, cause.message], ['outer', 'inner']);
    // What is no plain value became text.
    assert.equal(cause.when, '1970-01-01T00:00:00.005Z');
    assert.match(error.stack ?? '', /worker-targets/);
  });

  test('is not let in with a wrong token, or where nobody is', async (t) => {
    const server = await serverIn(t, { token: 'the right one, long enough' });
    const seen = await warnings(t, async () => {
      const remote = worker({ ...server, address: server.address, token: 'a wrong one, as long' }, 'square', {
        args: [1],
      });
      await assert.rejects(remote.started, WorkerStartError);
      assert.equal(await remote.wait(), true);
      assert.deepEqual([remote.hasError, remote.error instanceof WorkerStartError], [true, true]);
    });
    assert.match(seen.join(), /its token is wrong/);
    const { port } = server.address as { port: number };
    await server.terminate();
    const late = new RemoteWorker({ target: at('square'), host: { port }, token: 'x' });
    await assert.rejects(
      late.started,
      (error: Error) => (error.cause as NodeJS.ErrnoException).code === 'ECONNREFUSED',
    );
    await late.wait();
  });

  test('finds the token of a server of the same user on the same host', async (t) => {
    const server = await serverIn(t);
    const host = server.address ?? {};
    const remote = new RemoteWorker<number>({ target: at('square'), args: [7], host });
    await remote.wait();
    assert.equal(remote.result, 49);
    await server.terminate();
    await assert.rejects(new RemoteWorker({ target: at('square'), host }).started, WorkerStartError);
  });

  test('is terminated in bounded time when its server does not answer', async (t) => {
    const server = await spawned(t);
    const remote = worker(server, 'untilStopped');
    await running(remote);
    process.kill(server.pid as number, 'SIGSTOP');
    assert.equal(await remote.terminate({ timeout: 10 }), true);
    assert.deepEqual([remote.hasError, remote.error], [true, undefined]);
    process.kill(server.pid as number, 'SIGCONT');
    await untilGone([remote.pid]);
  });

  test('ends with its client, whatever it does', async (t) => {
    const server = await spawned(t);
    const client = spawn(process.execPath, [CLIENT, String(server.address.port), server.token], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(createInterface({ input: client.stdout as Readable }), 'line')) as [string];
    const pids = JSON.parse(line) as number[];
    assert.ok(pids.length === 2 && pids.every(alive));
    client.kill('SIGKILL');
    await untilGone(pids);
  });

  test('of a persistent kind goes on after others were refused', async (t) => {
    const server = await serverIn(t, { maxWorkers: 1 });
    const first = new PersistentRemoteWorker<number>({
      target: at('square'),
      host: server.address ?? {},
      token: server.token,
    });
    assert.equal(await first.call(2), 4);
    await assert.rejects(worker(server, 'square').started, WorkerStartError);
    assert.equal(await first.call(3), 9);
    await first.wait();
    while (server.workers > 0) await turn();
    const second = worker<number>(server, 'square', { args: [4] });
    await second.wait();
    assert.equal(second.result, 16);
  });
});

describe('a server', () => {
  test('asks the targets of its workers to stop when it ends, and makes the others', async (t) => {
    const server = await spawned(t);
    const polite = worker(server, 'untilStopped');
    const stubborn = worker(server, 'stubborn');
    await Promise.all([running(polite), running(stubborn)]);
    await server.terminate();
    await Promise.all([polite.wait(), stubborn.wait()]);
    assert.ok(polite.error instanceof WorkerTerminatedError);
    assert.deepEqual([stubborn.error, stubborn.hasError], [undefined, true]);
    assert.deepEqual([polite.pid, stubborn.pid, server.pid].map(alive), [false, false, false]);
  });

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    test(`leaves no process behind when ${signal} ends it`, async (t) => {
      const server = await spawned(t);
      const workers = ['untilStopped', 'busyForEver'].map((name) => worker(server, name));
      await Promise.all(workers.map(running));
      process.kill(server.pid as number, signal);
      await Promise.all(workers.map((remote) => remote.wait()));
      assert.ok(workers.every(({ hasError }) => hasError === true));
      await untilGone([...workers.map(({ pid }) => pid), server.pid]);
    });
  }

  test('is not hurt by who connects and goes, says nothing, or says nonsense', async (t) => {
    const server = await serverIn(t);
    const { port } = server.address as { port: number };
    const seen = await warnings(t, async () => {
      for (const bytes of [
        Buffer.alloc(0),
        Buffer.from('GET / HTTP/1.1\r\n\r\n'),
        encodeFrame(FRAME.HELLO, Buffer.alloc(999)),
      ]) {
        const socket = connect(port, '127.0.0.1').on('error', () => {});
        await once(socket, 'connect');
        socket.end(bytes);
        await once(socket, 'close');
      }
    });
    assert.equal(seen.length, 3);
    const silent = connect(port, '127.0.0.1').on('error', () => {});
    t.after(() => silent.destroy());
    await once(silent, 'connect');
    const remote = worker<number>(server, 'square', { args: [3] });
    await remote.wait();
    assert.equal(remote.result, 9);
    // With the token, but no message that could be one.
    const rude = connect(port, '127.0.0.1').on('error', () => {});
    rude.write(encodeFrame(FRAME.HELLO, Buffer.from(server.token)));
    rude.write(encodeFrame(0x68, Buffer.from('nonsense')));
    await once(rude.resume(), 'close');
    const other = worker<number>(server, 'square', { args: [5] });
    await other.wait();
    assert.equal(other.result, 25);
  });

  test('loads only what it is allowed to, by real paths', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'bosun-allow-'));
    t.after(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'outside.mjs'), 'export const f = () => "outside";');
    const allowed = join(folder, 'allowed');
    symlinkSync(FIXTURES, allowed);
    writeFileSync(join(folder, 'inside.mjs'), 'export const f = () => "inside";');
    const server = await serverIn(t, { allowModules: ['inside.mjs', 'allowed'], root: folder });
    const run = async (target: string): Promise<unknown> => {
      const remote = new RemoteWorker({ target, host: server.address ?? {}, token: server.token, args: [2] });
      await remote.wait();
      return remote.error === undefined ? remote.result : (remote.error as Error & { code: string }).code;
    };
    assert.equal(await run('inside.mjs#f'), 'inside');
    assert.equal(await run(`${join(folder, 'inside.mjs')}#f`), 'inside');
    assert.equal(await run('./allowed/worker-targets.js#square'), 4);
    for (const target of [
      'outside.mjs#f',
      './allowed/../outside.mjs#f',
      'node:fs#rmSync',
      'no-such.mjs#f',
      '/etc/passwd#x',
    ]) {
      assert.equal(await run(target), 'ERR_BOSUN_NOT_PORTABLE', target);
    }
    symlinkSync(join(folder, 'outside.mjs'), join(folder, 'link.mjs'));
    assert.equal(await run('link.mjs#f'), 'ERR_BOSUN_NOT_PORTABLE');
  });

  test('off loopback takes TLS, a list of modules, and says so before it listens', async (t) => {
    const refuse = (options: RemoteServerOptions, pattern: RegExp) =>
      assert.throws(
        () => new RemoteServer(options),
        (error: Error) => error instanceof InvalidArgumentError && pattern.test(error.message),
      );
    refuse({ host: '0.0.0.0', allowModules: ['.'] }, /listen\.tls/);
    refuse({ allowModules: 'x' as never }, /allowModules is a list/);
    refuse({ unknown: 1 } as never, /has no option 'unknown'/);
    const tls = certificate(t);
    if (typeof tls === 'string') return t.skip(tls);
    const { key, cert } = tls;
    refuse({ host: '0.0.0.0', tls: { key, cert } }, /allowModules/);
    const server = await serverIn(t, { host: '0.0.0.0', tls: { key, cert } });
    const { port } = server.address as { port: number };
    const ask = (options: WorkerOptions) =>
      new RemoteWorker<number>({ target: at('square'), args: [6], host: ['localhost', port], ...options });
    const remote = ask({ token: server.token, tls: { ca: cert } });
    await remote.wait();
    assert.equal(remote.result, 36);
    await assert.rejects(ask({ token: server.token, tls: {} }).started, WorkerStartError);
    await assert.rejects(ask({ token: server.token }).started, WorkerStartError);
  });

  test('is told on the call what is wrong with its options, also in a process', async () => {
    await assert.rejects(spawnServer({ host: '0.0.0.0' }), { code: 'ERR_BOSUN_INVALID_ARGUMENT' });
    await using server = await spawnServer();
    await assert.rejects(spawnServer({ port: server.address.port }), { code: 'ERR_BOSUN_ADDRESS_IN_USE' });
  });
});

/** A client that keeps to nothing. */
async function rude(
  t: TestContext,
  server: RemoteServer,
): Promise<{ socket: Socket; say: (type: number, value?: unknown) => void }> {
  const { port } = server.address as { port: number };
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  socket.write(encodeFrame(FRAME.HELLO, Buffer.from(server.token)));
  const say = (type: number, value?: unknown) =>
    void socket.write(encodeFrame(type, value === undefined ? undefined : Uint8Array.from(encodePayload(value))));
  return { socket, say };
}

const START = 0x68;
const INPUT = 0x69;

const start = (exportName: string, details: object = {}): unknown => [
  { module: at(exportName).module.href, exportName },
  { args: [], persistent: false, diesOnError: true, ...details },
];

describe('a server and a client with its token that keeps to nothing', () => {
  test('the server survives its own refusals, however long, and goes on', async (t) => {
    const server = await serverIn(t, { maxFrameBytes: 1_024 });
    for (const module of ['a'.repeat(900), `./${'no-such-'.repeat(90)}.js`, 5, null]) {
      const { socket, say } = await rude(t, server);
      say(START, [{ module, exportName: 'x' }, {}]);
      await once(socket.resume(), 'close');
    }
    const remote = worker<number>(server, 'square', { args: [3] });
    await remote.wait();
    assert.equal(remote.result, 9);
  });

  test('something before START, START twice, and what is no pair end the connection, and the process', async (t) => {
    const server = await serverIn(t);
    for (const messages of [
      [[INPUT, [1, []]]],
      [[0x78], [START, start('square')]],
      [[START, 5]],
      [[START, [1, 2, 3]]],
      [[START]],
      [[START, [{ deep: 'x'.repeat(20_000) }, {}]]],
      [
        [START, start('busyForEver')],
        [START, start('square')],
      ],
    ] as [number, unknown?][][]) {
      const { socket, say } = await rude(t, server);
      for (const [type, value] of messages) say(type, value);
      await once(socket.resume(), 'close');
    }
    while (server.workers > 0) await turn();
    const remote = worker<number>(server, 'square', { args: [3] });
    await remote.wait();
    assert.equal(remote.result, 9);
  });

  test('what names nothing that a process can begin with leaves none behind', async (t) => {
    const server = await serverIn(t);
    for (const details of [{ args: 5 }, { args: null, state: { constructor: 1 } }]) {
      const { socket, say } = await rude(t, server);
      say(START, start('square', details));
      await once(socket.resume(), 'close');
    }
    while (server.workers > 0) await turn();
  });

  test('the worker of a client that is gone is stopped, however much was sent to it', async (t) => {
    const server = await serverIn(t);
    const remote = new PersistentRemoteWorker({
      target: at('busyForEver'),
      host: server.address ?? {},
      token: server.token,
    });
    await remote.started;
    for (let i = 0; i < 100; i++) void remote.call(Buffer.alloc(60_000)).catch(() => {});
    const { pid } = remote;
    assert.equal(await remote.terminate({ timeout: 10 }), true);
    await untilGone([pid]);
    while (server.workers > 0) await turn();
  });

  test('one that does not read does not keep the server from ending', async (t) => {
    const server = await serverIn(t);
    const { socket, say } = await rude(t, server);
    say(START, start('bulk', { args: [100] }));
    say(0x61, 1_000);
    socket.pause();
    while (server.workers === 0) await turn();
    await server.terminate();
    assert.equal(server.workers, 0);
  });

  test('one that reads late gets everything', async (t) => {
    const server = await serverIn(t);
    const remote = worker<string>(server, 'bulk', { args: [40] });
    const reading = remote[Symbol.asyncIterator]();
    assert.equal(((await reading.next()).value as Buffer).byteLength, 100_000);
    let count = 1;
    for (let next = await reading.next(); next.done !== true; next = await reading.next()) count += 1;
    assert.deepEqual([count, remote.result], [40, 'done']);
  });
});

describe('a client and a server that keeps to nothing', () => {
  async function serve(t: TestContext, answer: (socket: Socket) => void): Promise<number> {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      t.after(() => socket.destroy());
      answer(socket);
    }).listen(0, '127.0.0.1');
    t.after(() => server.close());
    await once(server, 'listening');
    return (server.address() as { port: number }).port;
  }
  const frame = (type: number, value: unknown): Uint8Array => encodeFrame(type, Uint8Array.from(encodePayload(value)));

  test('ends of any kind are ends', async (t) => {
    for (const exit of [null, 5, 'x', [], { exitCode: { toString: 1 }, exitSignal: 7 }, { exitSignal: 'rm -rf' }]) {
      const port = await serve(t, (socket) => {
        socket.write(frame(START, { host: 'x', pid: 1, tid: 0 }));
        socket.end(frame(0x71, exit));
      });
      const remote = new RemoteWorker({ target: 'x', host: { port }, token: 'x' });
      assert.equal(await remote.wait(), true);
      assert.deepEqual([remote.hasError, remote.exit], [true, { code: null, signal: null }]);
    }
  });

  test('more values than there is room for end it', async (t) => {
    const port = await serve(t, (socket) => {
      socket.write(frame(START, { host: 'x', pid: 1, tid: 0 }));
      for (let i = 0; i < 100; i++) socket.write(frame(0x76, i));
    });
    const remote = new RemoteWorker({ target: 'x', host: { port }, token: 'x' });
    await once(remote, 'exit');
    let count = 0;
    await assert.rejects(
      async () => {
        for await (const _ of remote) count += 1;
      },
      { code: 'ERR_BOSUN_WORKER_LOST' },
    );
    assert.ok(count <= 16);
  });

  test('nobody is told a token who must not hear it', () => {
    const refused = { code: 'ERR_BOSUN_INVALID_ARGUMENT' };
    assert.throws(() => new RemoteWorker({ target: 'x', host: 'example.org', token: 'x' }), refused);
    assert.throws(() => new RemoteWorker({ target: 'x', host: '192.0.2.1:1' }), refused);
  });
});

describe('a server with options', () => {
  test('ends when a client with the token says so, if it lets them', async (t) => {
    const server = await serverIn(t);
    const remote = { host: server.address ?? {}, token: server.token };
    await assert.rejects(closeServer(remote), { code: 'ERR_BOSUN_NOT_PORTABLE', message: /closeOnNone/ });
    const open = await serverIn(t, { closeOnNone: true });
    const host = open.address ?? {};
    await assert.rejects(closeServer({ host, token: 'a wrong one' }), WorkerStartError);
    const busy = worker(open, 'untilStopped');
    await running(busy);
    await closeServer({ host, token: open.token });
    await open.ended;
    await busy.wait();
    assert.ok(busy.error instanceof WorkerTerminatedError);
    await assert.rejects(closeServer({ host, token: open.token }), WorkerStartError);
    const process_ = await spawned(t, { closeOnNone: true });
    await closeServer({ host: process_.address, token: process_.token });
    assert.deepEqual(await process_.exited, { exitCode: 0, exitSignal: null });
    const square = worker<number>(server, 'square', { args: [2] });
    await square.wait();
    assert.equal(square.result, 4);
  });

  test('waits no longer than it is told to for a token, and for what a client wants', async (t) => {
    const server = await serverIn(t, { handshakeTimeout: 50 });
    const { port } = server.address as { port: number };
    const seen = await warnings(t, async () => {
      for (const bytes of [Buffer.alloc(0), encodeFrame(FRAME.HELLO, Buffer.from(server.token))]) {
        const socket = connect(port, '127.0.0.1').on('error', () => {});
        socket.write(bytes);
        await once(socket.resume(), 'close');
      }
    });
    assert.match(seen.join(), /no token for 50 ms.*said nothing for 50 ms/);
    assert.throws(() => new RemoteServer({ handshakeTimeout: 0 }), { code: 'ERR_BOSUN_OUT_OF_RANGE' });
    assert.throws(() => new RemoteServer({ closeOnNone: 1 as never }), InvalidArgumentError);
  });
});

describe('bosun serve', () => {
  for (const [flags, out, err] of [
    [[], /^out x$/m, /^err x$/m],
    [
      ['-v'],
      /^out x$/m,
      /^bosun: 127\.0\.0\.1:\d+ has a worker in process (\d+)\n[\s\S]*bosun: process \1 ended with exit code 0$/m,
    ],
    [['--suppress-children', '-v'], /^Listening on \S+\n$/, /^(bosun: .*\n){2}$/],
  ] as [string[], RegExp, RegExp][]) {
    test(`prints what it is told to: ${flags.join(' ') || 'nothing'}`, async (t) => {
      const child = spawn(process.execPath, [MAIN, 'serve', '--port', '0', '--close-on-none', ...flags], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      t.after(() => child.kill('SIGKILL'));
      const said = { stdout: '', stderr: '' };
      for (const name of ['stdout', 'stderr'] as const) {
        child[name].setEncoding('utf8').on('data', (text: string) => {
          said[name] += text;
        });
      }
      while (!said.stdout.includes('\n')) await once(child.stdout, 'data');
      const host = /^Listening on (\S+)$/m.exec(said.stdout)?.[1] ?? '';
      const remote = new RemoteWorker({ target: at('print'), args: ['x'], host });
      await remote.wait();
      await closeServer({ host });
      assert.deepEqual(await once(child, 'close'), [0, null]);
      assert.match(said.stdout, out);
      assert.match(said.stderr, err);
    });
  }

  test('says where it listens, and ends its workers with itself', async (t) => {
    const child = spawn(process.execPath, [MAIN, 'serve', '--port', '0', '--allow', FIXTURES], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    t.after(() => child.kill('SIGKILL'));
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    const [, host] = /^Listening on (\S+)$/.exec(line) ?? [];
    const square = new RemoteWorker<number>({ target: at('square'), args: [8], host: host as string });
    await square.wait();
    assert.equal(square.result, 64);
    const busy = new RemoteWorker({ target: at('untilStopped'), host: host as string });
    await running(busy);
    child.kill('SIGTERM');
    await busy.wait();
    assert.ok(busy.error instanceof WorkerTerminatedError);
    assert.deepEqual(await once(child, 'close'), [143, null]);
    assert.equal(alive(busy.pid), false);
  });

  test('refuses what it must not do, in one line', async () => {
    const child = spawn(process.execPath, [MAIN, 'serve', '--addr', '0.0.0.0'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let text = '';
    child.stderr.on('data', (chunk) => {
      text += String(chunk);
    });
    assert.deepEqual(await once(child, 'close'), [2, null]);
    assert.match(text, /^bosun: 0\.0\.0\.0 can be reached from other hosts/);
    assert.equal(text.trim().split('\n').length, 1);
  });
});
