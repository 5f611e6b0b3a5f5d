// Hosts of workers, and managers of them, that do not keep to the rules: the connection ends, and nothing else.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { serialize } from 'node:v8';
import {
  type ListenAddress,
  type ProcessManager,
  ProtocolError,
  RemoteServer,
  RemoteWorker,
  type WorkerException,
} from '../lib/index.js';
import { encodePayload } from '../lib/internals.js';
import { certificate } from './fixtures/certificate.js';
import { frame, RawClient } from './fixtures/raw-client.js';
import { watchRefusals } from './fixtures/refusals.js';
import { joined, work } from './fixtures/remote-workers.js';
import { makeManager } from './fixtures/scene.js';

const FIXTURES = fileURLToPath(new URL('./fixtures/', import.meta.url));
const at = (name: string) => `${FIXTURES}tasks.js#${name}`;

/** The body of the first frame. */
function join(token: string | undefined, role = 1, version = 1): Buffer {
  const fields = Buffer.alloc(4);
  fields.writeUInt16LE(version, 0);
  fields.writeUInt16LE(role, 2);
  return Buffer.concat([fields, Buffer.from(token ?? '')]);
}

function u32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32LE(value, 4 * i);
  return bytes;
}

const HELLO = Buffer.concat([Buffer.from([1, 0, 0, 0]), u32(4321)]);

/** An answer: a sequence number, a status, a time, a payload. */
const done = (sequence: number, status: number, payload: Uint8Array) =>
  frame('t', Buffer.concat([u32(sequence), Buffer.from([status]), u32(5), payload]));

async function makeScene(t: TestContext, workers = 0) {
  const manager = makeManager(t, { workers, listen: true });
  await manager.ready();
  return { manager, refusals: watchRefusals(t, manager) };
}

/** A worker that is played by the test, and has been let in. */
async function fakeWorker(t: TestContext, manager: ProcessManager, greets = true): Promise<RawClient> {
  const client = await RawClient.connect(t, manager.address as ListenAddress);
  const start = joined(manager);
  client.send('w', join(manager.token));
  const { type, body } = await client.receive();
  assert.deepEqual([type, body[0]], ['h', 0]);
  if (greets) {
    client.send('h', HELLO);
    await start;
  }
  return client;
}

describe('a host that dials a manager', () => {
  test('is not let in with a wrong token, role or version, and told of', async (t) => {
    const { manager, refusals } = await makeScene(t, 1);
    const { token = '' } = manager;
    for (const [body, reason] of [
      [join('no token at all, but long enough'), /token is wrong/],
      [join(''), /token is wrong/],
      [Buffer.from([1, 0]), /malformed/],
      [join(token, 1, 2), /version 2/],
      [join(token, 0), /malformed/],
      [join(token, 3), /malformed/],
      [join(token, 2), /it is a manager/],
      [Buffer.alloc(1025), /too long/],
    ] as const) {
      const client = await RawClient.connect(t, manager.address as ListenAddress);
      client.send('w', body);
      await client.closed;
      assert.match(refusals.reasons.at(-1) ?? '', reason);
    }
    assert.equal(refusals.reasons.length, 8);
    assert.equal(await manager.run(at('add'), [1, 2]), 3);
  });

  test('is sent away for what is out of place, alone, and its task is lost', async (t) => {
    const { manager } = await makeScene(t, 1);
    const big = frame('m', '', 2n ** 60n);
    for (const [name, greets, bytes] of [
      ['its hello twice', true, frame('h', HELLO)],
      ['the first frame again', true, frame('w', join(manager.token))],
      ['a result before its hello', false, done(1, 0, Buffer.from([0, 1]))],
      ['another version', false, frame('h', Buffer.from([9, 0, 0, 0, 0, 0, 0, 0]))],
      ['half a hello', false, frame('h', 'x')],
      ['an answer to no task', true, done(7, 0, Buffer.from([0, 1]))],
      ['half an answer', true, frame('t', 'abc')],
      ['an unknown type', true, frame('?', 'abc')],
      ['a priority that is not there', true, frame(0x90, Buffer.alloc(40))],
      ['too long a frame', true, big],
      ['how it ended twice', true, Buffer.concat([frame('q', 'x'), frame('q', 'x')])],
    ] as const) {
      const client = await fakeWorker(t, manager, greets);
      client.write(bytes);
      await client.closed;
      assert.equal(manager.workers.filter(({ host }) => host !== undefined).length, 0, name);
      assert.equal(await manager.run(at('add'), [1, 2]), 3);
    }
  });

  test('cannot say anything that is no plain value: results, errors, messages, tasks', async (t) => {
    const { manager } = await makeScene(t);
    const client = await fakeWorker(t, manager);
    const clone = Buffer.concat([Buffer.from([0xff]), serialize(new Map([[1, 2]]))]);
    const name = Buffer.from([0, 0]);
    for (const [status, payload, message] of [
      [0, clone, /cannot be decoded/],
      [0, encodePayload(new Map([[1, 2]])), /cannot be decoded/],
      [0, Buffer.from([0, 0xc1]), /cannot be decoded/],
      [0, Buffer.from([0, 0xdd, 0xff, 0xff, 0xff, 0xff]), /cannot be decoded/],
      [1, Buffer.alloc(0), /failed/],
      [1, Buffer.from([0xff, 0xff, 1]), /failed/],
      [1, Buffer.concat([name, clone]), /failed/],
      [1, Buffer.concat([name, Buffer.from([0, 0xc0])]), /failed/],
      [1, Buffer.concat([name, Buffer.from(encodePayload({ isError: true, value: [1, 2, 3] }))]), /failed/],
    ] as const) {
      const task = manager.run(at('add'), [1, 2]);
      const { body } = await client.receive();
      client.write(done(body.readUInt32LE(0), status, payload));
      await assert.rejects(task, (error: WorkerException) => {
        assert.equal(error.code, 'ERR_BOSUN_TASK_FAILED');
        assert.match(error.message, message);
        assert.ok(error.cause instanceof ProtocolError, String(error.cause));
        return true;
      });
    }
    // Its messages are errors in their place, and its tasks fail in a local worker that decodes them.
    client.write(frame('m', clone));
    manager.addWorker('process');
    client.send('c');
    const failed = once(manager, 'task:failed');
    client.write(frame(0x81, Buffer.concat([u32(1, 0, 0, 0x0100_0000, 0), clone])));
    await failed;
    const seen: unknown[] = [];
    for await (const message of manager.messages()) seen.push(message);
    assert.equal(seen.length, 2);
    assert.ok(seen[0] instanceof ProtocolError);
    assert.equal(((seen[1] as WorkerException).cause as ProtocolError).code, 'ERR_BOSUN_PROTOCOL');
  });

  test('may say anything about its end', async (t) => {
    const { manager } = await makeScene(t);
    for (const [said, code, signal] of [
      [{ exitCode: 5, exitSignal: null, stderrTail: 'words', reason: 'why' }, 5, null],
      [{ exitCode: '5', exitSignal: 'SIGx', stderrTail: 5, reason: {} }, null, null],
      [{ exitCode: null, exitSignal: 'SIGSEGV' }, null, 'SIGSEGV'],
      [null, null, null],
    ] as const) {
      const client = await fakeWorker(t, manager);
      const task = manager.run(at('add'), [1, 2]);
      await client.receive();
      client.write(frame('q', encodePayload(said)));
      client.socket.end();
      await assert.rejects(task, { code: 'ERR_BOSUN_WORKER_LOST', exitCode: code, exitSignal: signal });
    }
    const client = await fakeWorker(t, manager);
    client.write(frame('q', serialize(new Map())));
    client.socket.end();
    await once(manager, 'worker:exit');
  });

  test('that never says that it is set up is not waited for', async (t) => {
    const { manager } = await makeScene(t);
    const client = await fakeWorker(t, manager, false);
    const report = await manager.close();
    await client.closed;
    assert.equal(report.workers.length, 1);
  });
});

describe('a manager that dials a server', () => {
  const CONFIGURATION = {
    worker: 1,
    levels: 2,
    maxFrameBytes: 1_000_000,
    concurrency: 1,
    policy: { timeoutMs: 0, deadlineMs: 0, maxRetries: 0, maxCrashes: 3, flags: 0 },
    there: 'file:///nowhere/',
  };

  async function serverIn(t: TestContext): Promise<RemoteServer> {
    const server = new RemoteServer({ allowModules: [FIXTURES], grace: 100 });
    t.after(() => server.terminate());
    await server.listen();
    return server;
  }

  test('is sent away for what makes no sense; the process ends, and the server does not', async (t) => {
    const server = await serverIn(t);
    const good = frame('h', encodePayload(CONFIGURATION));
    const task = (sequence: number) => frame('t', Buffer.concat([u32(sequence, 0, 1, 0), Buffer.from([0, 1])]));
    for (const [name, bytes] of [
      ['no configuration', frame('h', '')],
      ['another value', frame('h', encodePayload([1, 2]))],
      ['no plain value', frame('h', encodePayload(new Map()))],
      ['too much at once', frame('h', encodePayload({ ...CONFIGURATION, concurrency: 5_000 }))],
      ['no folder', frame('h', encodePayload({ ...CONFIGURATION, there: 'here' }))],
      ['a task first', task(1)],
      ['a configuration twice', Buffer.concat([good, good])],
      ['tasks with a gap', Buffer.concat([good, task(1), task(3)])],
      ['half a task', Buffer.concat([good, frame('t', 'abc')])],
      ['half a request to stop', Buffer.concat([good, frame('x', 'abc')])],
      ['an unknown type', Buffer.concat([good, frame('?', '')])],
      ['too long a frame', Buffer.concat([good, frame('t', '', 2n ** 60n)])],
    ] as const) {
      const client = await RawClient.connect(t, server.address as ListenAddress);
      client.write(Buffer.concat([frame('w', join(server.token, 2)), bytes]));
      await client.closed;
      const worker = new RemoteWorker({
        host: server.address ?? {},
        token: server.token,
        target: at('add'),
        args: [1, 2],
      });
      await worker.wait();
      assert.equal(worker.result, 3, name);
    }
    await server.terminate();
    assert.equal(server.workers, 0);
  });

  test('and a worker that looks for one there are not let in', async (t) => {
    const server = await serverIn(t);
    const warned = once(process, 'warning');
    const client = await RawClient.connect(t, server.address as ListenAddress);
    client.send('w', join(server.token, 1));
    await client.closed;
    const [{ message }] = (await warned) as [Error];
    assert.match(message, /looks for a manager/);
  });
});

describe('TLS', () => {
  test('is between a manager and workers that dial it, or that it dials', async (t) => {
    const made = certificate(t);
    if (typeof made === 'string') return t.skip(made);
    const { key, cert, certFile } = made;
    const server = new RemoteServer({ allowModules: [FIXTURES], tls: { key, cert }, grace: 100 });
    t.after(() => server.terminate());
    await server.listen();
    const remotes = [{ host: server.address ?? {}, token: server.token, tls: { ca: cert } }];
    const manager = makeManager(t, { workers: 0, remotes, listen: { port: 0, tls: { key, cert } } });
    await manager.ready();
    const start = joined(manager);
    const program = work(t, manager, ['--tls-ca', certFile, '--tls-name', 'localhost']);
    await start;
    const tasks = Array.from({ length: 50 }, () => manager.run<number>(at('pid')));
    assert.equal(new Set(await Promise.all(tasks)).size, 2);
    const bytes = Buffer.alloc(3_000_000, 7);
    assert.deepEqual(await Promise.all([1, 2].map(() => manager.run(at('echo'), [bytes]))), [bytes, bytes]);
    // Whoever does not know the authority hears of nothing else.
    const stranger = work(t, manager, ['--tls']);
    await stranger.said(/self-signed certificate; trying again/);
    program.child.kill('SIGTERM');
    assert.deepEqual(await program.exited, [143, null]);
  });
});

describe('bosun work', () => {
  test('says what is wrong with its command line', async (t) => {
    const { manager } = await makeScene(t);
    for (const [options, message] of [
      [['--root', '/nowhere/at/all'], /ENOENT/],
      [['--workers', '0'], /--workers is a whole number from 1/],
      [['--tls-ca', '/nowhere'], /cannot be read/],
      [['--connect', 'host'], /host:port/],
      [['--connect', 'host:99999'], /port/],
      [['--token-file', '/dev/null'], /is empty/],
    ] as const) {
      const program = work(t, manager, options);
      assert.deepEqual(await program.exited, [2, null], options.join(' '));
      assert.match(program.err.join('\n'), message);
    }
  });

  test('goes on dialling until somebody is there, and leaves when it is told to', async (t) => {
    const { manager } = await makeScene(t);
    const program = work(t, manager, [], '127.0.0.1:1');
    await program.said(/no manager at 127\.0\.0\.1:1: .*ECONNREFUSED.*; trying again/);
    program.child.kill('SIGINT');
    assert.deepEqual(await program.exited, [130, null]);
  });
});
