// Where a manager listens, and the life of what it makes for that.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { chmod, link, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  AddressInUseError,
  CloseRequest,
  type ListenAddress,
  ListenError,
  type ListenOptions,
  type ProcessManager,
  Proxy,
  Task,
} from '../lib/index.js';
import { certificate } from './fixtures/certificate.js';
import { RawClient } from './fixtures/raw-client.js';
import { watchRefusals } from './fixtures/refusals.js';
import { makeDirectory, makeManager } from './fixtures/scene.js';
import { Hello } from './fixtures/tasks.js';

const IDLE = fileURLToPath(new URL('./fixtures/listen-program.js', import.meta.url));

/** Runs nothing itself. */
async function listening(t: TestContext, listen: true | string | ListenOptions = true): Promise<ProcessManager> {
  const manager = makeManager(t, { workers: 0, listen });
  await manager.ready();
  return manager;
}

const modeOf = (path: string): number => statSync(path).mode & 0o777;

/** Rejects `ready()`, and every call afterwards throws the same. */
async function assertRefused(t: TestContext, path: string, type: typeof ListenError, reason: RegExp): Promise<void> {
  const manager = makeManager(t, { workers: 0, listen: path });
  await assert.rejects(manager.ready(), (error) => {
    assert.ok(error instanceof type);
    assert.match(error.message, reason);
    assert.throws(() => manager.schedule(new Hello(1)), error);
    return true;
  });
  await assert.rejects(manager.ready(), type);
  assert.equal(manager.address, undefined);
  await manager.close();
}

describe('listen on a path', () => {
  test('makes a directory that is closed to others, and removes it', async (t) => {
    const manager = await listening(t);
    const path = manager.address as string;
    assert.equal(modeOf(dirname(path)), 0o700);
    assert.equal(modeOf(path), 0o600);
    const client = await RawClient.connect(t, path, manager.token);
    assert.equal(await client.ask('n'), 't:');
    await manager.close();
    assert.equal(existsSync(dirname(path)), false);
  });

  test('takes a path, makes its directory, and removes the socket only', async (t) => {
    const path = join(await makeDirectory(t), 'run', 'a.sock');
    const manager = await listening(t, path);
    assert.equal(manager.address, path);
    assert.equal(modeOf(dirname(path)), 0o700);
    await manager.close();
    assert.deepEqual(await readdir(dirname(path)), []);
  });

  test('refuses a directory that others can enter, and a link', async (t) => {
    const directory = await makeDirectory(t);
    const open = join(directory, 'open');
    await mkdir(open);
    for (const mode of [0o755, 0o710, 0o701]) {
      await chmod(open, mode);
      await assertRefused(t, join(open, 's'), ListenError, /others can enter .*open \(mode 7\d\d\)/);
    }
    await mkdir(join(directory, 'mine'), { mode: 0o700 });
    await symlink(join(directory, 'mine'), join(directory, 'link'));
    await assertRefused(t, join(directory, 'link', 's'), ListenError, /is a link/);
    assert.deepEqual(await readdir(open), []);
  });

  test('replaces a socket that nobody listens at', async (t) => {
    const directory = await makeDirectory(t);
    const server = createServer().listen(join(directory, 'first'));
    await once(server, 'listening');
    // Closing removes the first name only.
    await link(join(directory, 'first'), join(directory, 'stale'));
    await new Promise((resolve) => server.close(resolve));
    const manager = await listening(t, join(directory, 'stale'));
    const client = await RawClient.connect(t, manager.address as string, manager.token);
    assert.equal(await client.ask('n'), 't:');
  });

  test('leaves one that somebody listens at', async (t) => {
    const path = join(await makeDirectory(t), 's');
    const first = await listening(t, path);
    const { reasons } = watchRefusals(t, first);
    await assertRefused(t, path, AddressInUseError, /somebody listens/);
    const client = await RawClient.connect(t, path, first.token);
    assert.equal(await client.ask('n'), 't:');
    // The question whether it lives has been a connection.
    assert.deepEqual(reasons, ['it went away without a token']);
  });

  test('leaves one whose queue of connections is full', {
    skip: process.platform !== 'linux' && 'others refuse',
  }, async (t) => {
    const path = join(await makeDirectory(t), 's');
    const program = `const net = require('net'); net.createServer().listen({ path: ${JSON.stringify(path)}, backlog: 1 },
      () => { console.log('up'); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); })`;
    const child = execFile(process.execPath, ['-e', program]);
    t.after(() => child.kill('SIGKILL'));
    await once(child.stdout as NodeJS.ReadableStream, 'data');
    // More than it takes: each connection is refused or waits from some time on.
    const clients = Array.from({ length: 8 }, () => RawClient.connect(t, path).catch((error: Error) => error));
    await Promise.any(clients.map(async (client) => assert.ok((await client) instanceof Error)));
    await assertRefused(t, path, AddressInUseError, /somebody listens/);
    assert.ok(statSync(path).isSocket());
  });

  test('leaves a file that is no socket', async (t) => {
    const path = join(await makeDirectory(t), 's');
    await writeFile(path, 'precious');
    await assertRefused(t, path, AddressInUseError, /exists and is no socket/);
    assert.equal(await readFile(path, 'utf8'), 'precious');
  });

  test('leaves nothing when it is closed while it opens', async (t) => {
    const directory = await makeDirectory(t);
    const old = process.env['XDG_RUNTIME_DIR'];
    process.env['XDG_RUNTIME_DIR'] = directory;
    t.after(() => {
      if (old === undefined) delete process.env['XDG_RUNTIME_DIR'];
      else process.env['XDG_RUNTIME_DIR'] = old;
    });
    for (const listen of [true, join(directory, 'run', 's')] as const) {
      for (let turns = 0; turns < 6; turns++) {
        const manager = makeManager(t, { workers: 0, listen });
        for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
        await manager.close();
        const left = (await readdir(directory, { recursive: true })).filter((name) => name !== 'run');
        assert.deepEqual(left, [], `closed after ${turns} turns`);
      }
    }
  });

  test('an idle manager does not keep its process up, nor leave files', async (t) => {
    const directory = await makeDirectory(t);
    const run = promisify(execFile);
    const given = join(directory, 'given');
    for (const listen of ['true', given]) {
      const { stdout } = await run(process.execPath, [IDLE, listen], {
        env: { ...process.env, XDG_RUNTIME_DIR: directory },
      });
      assert.ok(stdout.startsWith(directory), stdout);
      assert.deepEqual(await readdir(directory), []);
    }
    // A runtime directory that is not there, or not named, is no reason to fail, nor one that is too long.
    for (const XDG_RUNTIME_DIR of [join(directory, 'gone'), '', `${directory}/${'x'.repeat(90)}`]) {
      await mkdir(`${directory}/${'x'.repeat(90)}`, { recursive: true });
      const { stdout } = await run(process.execPath, [IDLE, 'true'], {
        cwd: directory,
        env: { ...process.env, XDG_RUNTIME_DIR, TMPDIR: directory },
      });
      assert.equal(dirname(dirname(stdout)), directory);
    }
  });
});

test('close() is bounded, though the file system never says whether there is a socket', async () => {
  // Node.js 20 never gives up to make a directory there.
  const program = `
    import { ProcessManager } from ${JSON.stringify(new URL('../lib/index.js', import.meta.url).href)};
    const manager = new ProcessManager({ workers: 0, listen: '/proc/bosun/manager.sock', grace: 50 });
    manager.ready().catch(() => {});
    await manager.close('cancel');
    console.log('closed');
    process.exit();`;
  const args = ['--input-type=module', '--eval', program];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 20_000, killSignal: 'SIGKILL' });
  assert.equal(stdout, 'closed\n');
});

describe('listen on a port', () => {
  test('is 127.0.0.1 and a free port unless it is told otherwise', async (t) => {
    const manager = await listening(t, {});
    const { host, port } = manager.address as Exclude<ListenAddress, string>;
    assert.equal(host, '127.0.0.1');
    const client = await RawClient.connect(t, { host, port }, manager.token);
    assert.equal(await client.ask('n'), 't:');
    const second = makeManager(t, { workers: 0, listen: { port } });
    await assert.rejects(second.ready(), AddressInUseError);
  });

  test('an idle manager does not keep its process up, whoever is connected and silent', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [IDLE, 'port']);
    assert.equal(stdout, 'connected');
  });

  test('refuses, at construction, what must not be or cannot be', (t) => {
    const refuse = (listen: unknown, expected: RegExp, code = 'ERR_BOSUN_INVALID_ARGUMENT') =>
      assert.throws(
        () => makeManager(t, { workers: 0, listen: listen as ListenOptions }),
        (error: Error) => {
          assert.match(error.message, expected);
          assert.equal((error as NodeJS.ErrnoException).code, code);
          return true;
        },
      );
    for (const host of ['0.0.0.0', '::', '192.0.2.1', 'example.org', '127.0.0.1.example.org']) {
      refuse({ host }, /can be reached from other hosts/);
    }
    refuse({ host: '' }, /a name or an address/);
    refuse({ port: 65_536 }, /from 0 to 65535/, 'ERR_BOSUN_OUT_OF_RANGE');
    refuse({ host: '0.0.0.0', tls: {} }, /at least \{ key, cert \}/);
    refuse({ tls: { key: 'x', cert: 'y' } }, /listen.tls cannot be used/);
    refuse({ tls: 'yes' }, /listen.tls are an object/);
    refuse({ path: '/tmp/x/s', port: 1 }, /a path, or a host/);
    refuse('', /the path of a socket/);
    refuse('a\0b', /the path of a socket/);
    refuse(`/${'x'.repeat(120)}`, /at most 10\d bytes/, 'ERR_BOSUN_OUT_OF_RANGE');
    refuse({ token: 'short' }, /listen.token/);
    refuse({ token: 5 }, /listen.token/);
    refuse({ prot: 1 }, /'prot' is no option of listen; it takes path/);
    refuse(false, /are an object/);
    refuse(null, /are an object/);
    assert.throws(() => makeManager(t, { workers: 0 }), { code: 'ERR_BOSUN_OUT_OF_RANGE' });
  });

  test('has a token of 256 random bits, or the one that was given', async (t) => {
    const [one, two] = [await listening(t, {}), await listening(t, {})];
    assert.match(one.token as string, /^[0-9a-f]{64}$/);
    assert.notEqual(one.token, two.token);
    const token = 'correct horse battery staple';
    const own = await listening(t, { token });
    assert.equal(own.token, token);
    const client = await RawClient.connect(t, own.address as ListenAddress, token);
    assert.equal(await client.ask('n'), 't:');
    assert.equal(makeManager(t).token, undefined);
  });
});

describe('listen with TLS', () => {
  test('serves clients with TLS 1.3, and off loopback', async (t) => {
    const tls = certificate(t);
    if (typeof tls === 'string') return t.skip(tls);
    const manager = await listening(t, { host: '0.0.0.0', tls });
    const refusals = watchRefusals(t, manager);
    const { port } = manager.address as Exclude<ListenAddress, string>;
    const at = { host: '127.0.0.1', port };
    const client = await RawClient.connect(t, at, manager.token, { ca: tls.cert });
    assert.equal(await client.ask(0x81, 'work'), 's:');
    assert.equal(await client.ask('n'), 't:work');

    await using proxy = new Proxy(at, { token: manager.token as string, tls: { ca: tls.cert } });
    await proxy.setup();
    assert.equal(await proxy.nextTask(), null);
    await assert.rejects(new Proxy(at, { token: 'x', tls: {} }).setup(), { code: 'ERR_BOSUN_CONNECTION_RESET' });
    await refusals.atLeast(1);
    assert.match(refusals.reasons.join(), /^(the TLS handshake failed: .*|it went away without a token)$/);
    assert.equal(await client.ask('t'), 't:');
    const [ended, request] = await Promise.all([manager.close(), client.receive()]);
    assert.equal(request.type, 'c');
    assert.equal(ended.done, 1);
    assert.ok((await proxy.nextTask()) instanceof CloseRequest);
  });

  test('sends a client without TLS away, once, and older versions', async (t) => {
    const tls = certificate(t);
    if (typeof tls === 'string') return t.skip(tls);
    const manager = await listening(t, { tls });
    const refusals = watchRefusals(t, manager);
    const at = manager.address as Exclude<ListenAddress, string>;
    const plain = await RawClient.connect(t, at, manager.token);
    plain.send('n');
    await plain.closed;
    await assert.rejects(RawClient.connect(t, at, manager.token, { ca: tls.cert, maxVersion: 'TLSv1.2' }));
    await refusals.atLeast(2);
    for (const reason of refusals.reasons) assert.match(reason, /the TLS handshake failed/);
    for (const address of refusals.addresses) assert.match(address, /^127\.0\.0\.1:\d+$/);
    const client = await RawClient.connect(t, at, manager.token, { ca: tls.cert });
    assert.equal(await client.ask('n'), 't:');
    assert.equal(refusals.reasons.length, 2);
  });

  test('counts connections that have not finished their handshake, and ends them when it closes', async (t) => {
    const tls = certificate(t);
    if (typeof tls === 'string') return t.skip(tls);
    const manager = await listening(t, { tls });
    const refusals = watchRefusals(t, manager);
    const at = manager.address as Exclude<ListenAddress, string>;
    const clients = await Promise.all(Array.from({ length: 80 }, () => RawClient.connect(t, at)));
    await refusals.atLeast(16);
    assert.deepEqual(new Set(refusals.reasons), new Set(['too many others have yet to send their token']));
    await manager.close();
    await Promise.all(clients.map(({ closed }) => closed));
    assert.equal(refusals.reasons.length, 16);
    assert.equal(refusals.warnings.length, 16);
  });
});

describe('a Proxy of a manager that listens', () => {
  test('runs its tasks, sends messages and finishes when it is told to', async (t) => {
    const manager = await listening(t);
    await using proxy = new Proxy(manager.address as string, { token: manager.token as string });
    await proxy.setup();
    const handle = manager.schedule(new Hello(7), 0);
    const task = await proxy.nextTask();
    assert.ok(task instanceof Task);
    await task.run({ manager: proxy } as never);
    proxy.schedule(new Hello(8), 1);
    const second = await proxy.acknowledgeAndNextTask();
    assert.ok(second instanceof Task);
    // A peer's `t` carries no result.
    assert.equal(await handle.result, undefined);
    assert.deepEqual((await manager.messages().next()).value, { hi: 7 });
    const closing = manager.close();
    // The manager waits for this task, so the answer is that there is no other; the request follows.
    assert.equal(await proxy.acknowledgeAndNextTask(), null);
    assert.ok((await proxy.nextTask()) instanceof CloseRequest);
    assert.equal((await closing).done, 2);
  });

  test('hears of the close in the middle of other requests', async (t) => {
    const manager = await listening(t);
    await using proxy = new Proxy(manager.address as string, { token: manager.token as string });
    await proxy.setup();
    const { result } = manager.schedule(new Hello(1));
    assert.ok((await proxy.nextTask()) instanceof Task);
    const closing = manager.close('cancel');
    await proxy.sendMessage('still running');
    proxy.schedule(new Hello(2));
    assert.ok((await proxy.acknowledgeAndNextTask()) instanceof CloseRequest);
    const { done, cancelled, messagesDiscarded } = await closing;
    assert.deepEqual({ done, cancelled, messagesDiscarded }, { done: 1, cancelled: 1, messagesDiscarded: 1 });
    assert.equal(await result, undefined);
  });

  test('refuses, at the call, what the manager would not take', async (t) => {
    const manager = await listening(t);
    await using proxy = new Proxy(manager.address as string, { token: manager.token as string });
    await proxy.setup();
    for (const value of [new Map(), new Date(), -0, new Error('x'), new Float64Array(1)]) {
      assert.throws(() => void proxy.sendMessage(value), { code: 'ERR_BOSUN_DATA_CLONE' });
    }
    const plain = { a: [1, -1.5, 'x', null, undefined, true, Buffer.from('b')], n: 2 ** 53 - 1 };
    await proxy.sendMessage(plain);
    assert.deepEqual((await manager.messages().next()).value, plain);
  });
});
