// The Proxy against a server that knows nothing but the reference dialogue.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import {
  Chain,
  CloseRequest,
  ConnectionResetError,
  DataCloneError,
  encodeFrame,
  FRAME,
  type Frame,
  NotPortableError,
  OutOfRangeError,
  ProcessManager,
  ProtocolError,
  Proxy,
  receiveBytes,
  receiveMessage,
  sendBytes,
  sendMessage,
  sendType,
  Task,
  type TaskContext,
} from '../lib/index.js';
import { Boom, Fibonacci, Hello, Say } from './fixtures/tasks.js';

const TASKS = new URL('./fixtures/tasks.js', import.meta.url);

interface Scene {
  readonly server: Server;
  readonly path: string;
}

/** A server on a Unix path, both gone after the test. */
async function listen(t: TestContext): Promise<Scene> {
  const directory = await mkdtemp(join(tmpdir(), 'bosun-proxy-'));
  const path = join(directory, 'socket');
  const server = createServer((socket) => {
    // A proxy that ends is no fault of the server's.
    socket.on('error', () => {});
    t.after(() => socket.destroy());
  }).listen(path);
  await once(server, 'listening');
  t.after(async () => {
    server.close();
    await rm(directory, { recursive: true });
  });
  return { server, path };
}

/** A proxy that is set up, and the manager's end of its connection. */
async function connected(t: TestContext, options?: ConstructorParameters<typeof Proxy>[1]): Promise<[Proxy, Socket]> {
  const { server, path } = await listen(t);
  const proxy = new Proxy(path, options);
  t.after(() => proxy[Symbol.asyncDispose]());
  const [[peer]] = await Promise.all([once(server, 'connection') as Promise<[Socket]>, proxy.setup()]);
  return [proxy, peer];
}

/** What a manager does, in twenty lines: the levels, the messages and the types of all frames, in order. */
function manage(peer: Socket) {
  const levels: Uint8Array[][] = Array.from({ length: 128 }, () => []);
  const messages: unknown[] = [];
  const types: number[] = [];
  const answer = async ({ type, payload }: Frame): Promise<void> => {
    types.push(type);
    if (type === FRAME.MESSAGE) {
      await sendBytes(peer, FRAME.MESSAGE, new Uint8Array(0));
      messages.push(payload);
    } else if (type >= FRAME.SCHEDULE) {
      levels[type - FRAME.SCHEDULE]?.push(payload);
      await sendType(peer, FRAME.SCHEDULED);
    } else {
      const task = levels.find((level) => level.length > 0)?.shift();
      await sendBytes(peer, FRAME.TASK, task ?? new Uint8Array(0));
    }
  };
  const ended = (async () => {
    for (;;) await answer(await receiveBytes(peer));
  })().catch((error: unknown) => assert.ok(error instanceof ConnectionResetError));
  return { messages, types, ended };
}

const context = (manager: Proxy): TaskContext => ({ manager }) as unknown as TaskContext;

/** The worker loop of the class's example, until nothing waits. */
async function work(proxy: Proxy): Promise<unknown[]> {
  const results: unknown[] = [];
  let task = await proxy.nextTask();
  while (task instanceof Task) {
    results.push(await task.run(context(proxy)));
    task = await proxy.acknowledgeAndNextTask();
  }
  assert.equal(task, null);
  return results;
}

describe('Proxy', () => {
  test('gets null when nothing waits', async (t) => {
    const [proxy, peer] = await connected(t);
    const { types } = manage(peer);
    assert.equal(await proxy.nextTask(), null);
    assert.equal(await proxy.acknowledgeAndNextTask(), null);
    assert.deepEqual(types, [FRAME.NEXT, FRAME.DONE]);
  });

  test('gets what it scheduled, most urgent first, and can run it', async (t) => {
    const [proxy, peer] = await connected(t);
    manage(peer);
    const add = (a: number, b: number): Task => Task.from(TASKS, 'add', [a, b]);
    proxy.schedule(add(1, 2), 1);
    proxy.schedule(new Chain([add(3, 4), add(5, 6)]), 0);
    proxy.schedule(new Hello(1));
    const first = await proxy.nextTask();
    assert.ok(first instanceof Task);
    assert.equal(first.name, 'Chain');
    assert.deepEqual(await first.run(context(proxy)), [7, 11]);
    assert.deepEqual(await work(proxy), [3, process.pid]);
  });

  test('sends messages and waits until they are accepted', async (t) => {
    const [proxy, peer] = await connected(t);
    const { messages, types } = manage(peer);
    await proxy.sendMessage({ a: 1 });
    assert.equal(messages.length, 1);
    await proxy.sendMessage(null);
    assert.deepEqual(types, [FRAME.MESSAGE, FRAME.MESSAGE]);
  });

  test('a body of a message decodes to what was sent', async (t) => {
    const [proxy, peer] = await connected(t);
    const sent = proxy.sendMessage({ when: new Date(3) });
    assert.deepEqual(await receiveMessage(peer), { type: FRAME.MESSAGE, message: { when: new Date(3) } });
    await sendType(peer, FRAME.MESSAGE);
    await sent;
  });

  test('carries a tree that tasks grow, to its last leaf', async (t) => {
    const [proxy, peer] = await connected(t);
    const { messages } = manage(peer);
    proxy.schedule(new Fibonacci(8));
    // 34 leaves, 33 nodes above them.
    assert.equal((await work(proxy)).length, 67);
    assert.equal(messages.length, 34);
  });

  test('writes the priority into the type of the frame (U8)', async (t) => {
    const [proxy, peer] = await connected(t, { priorityLevels: 128 });
    for (const [argument, type] of [
      [0, 0x80],
      [5, 0x85],
      [127, 0xff],
      [undefined, 0x81],
    ] as const) {
      proxy.schedule(new Hello(1), argument);
      assert.equal((await receiveBytes(peer)).type, type);
      await sendType(peer, FRAME.SCHEDULED);
    }
  });

  test('issues requests one at a time, in the order of the calls', async (t) => {
    const [proxy, peer] = await connected(t);
    proxy.schedule(new Hello(1), 1);
    const message = proxy.sendMessage('m');
    const next = proxy.nextTask();
    const done = proxy.acknowledgeAndNextTask();
    const answers: [type: number, answer: () => Promise<void>][] = [
      [0x81, () => sendType(peer, FRAME.SCHEDULED)],
      [FRAME.MESSAGE, () => sendType(peer, FRAME.MESSAGE)],
      [FRAME.NEXT, () => sendMessage(peer, FRAME.TASK, ['f', 'first', TASKS.href, 'pid', []])],
      [FRAME.DONE, () => sendBytes(peer, FRAME.TASK, new Uint8Array(0))],
    ];
    for (const [type, answer] of answers) {
      assert.equal((await receiveBytes(peer)).type, type);
      // The next request waits for this answer: the stream is silent through whole turns of the event loop.
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
      assert.equal(peer.readableLength, 0);
      await answer();
    }
    await message;
    assert.equal(((await next) as Task).name, 'first');
    assert.equal(await done, null);
  });

  test('gets the request to finish, with or without abort', async (t) => {
    const [proxy, peer] = await connected(t);
    for (const [body, abort] of [
      [[], false],
      [[0], false],
      [[1], true],
    ] as const) {
      const next = proxy.nextTask();
      await receiveBytes(peer);
      await sendBytes(peer, FRAME.CLOSE, Uint8Array.from(body));
      const request = await next;
      assert.ok(request instanceof CloseRequest);
      assert.equal(request.abort, abort);
    }
  });

  test('sends its token in the first frame, and no such frame without one', async (t) => {
    const [withToken, peer] = await connected(t, { token: Buffer.from('secret') });
    const next = withToken.nextTask();
    const { type, payload } = await receiveBytes(peer);
    assert.equal(type, 0x68);
    assert.equal(Buffer.from(payload).toString(), 'secret');
    manage(peer);
    assert.equal(await next, null);

    const [without, other] = await connected(t);
    const { types } = manage(other);
    await without.nextTask();
    assert.deepEqual(types, [FRAME.NEXT]);
  });

  test('connects to a port, or takes a stream that is connected', async (t) => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      manage(socket);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    for (const address of [{ port }, { host: '127.0.0.1', port }, connect(port, '127.0.0.1')]) {
      await using proxy = new Proxy(address);
      await proxy.setup();
      assert.equal(await proxy.nextTask(), null);
    }
  });

  test('disposal waits for what was asked and ends the connection', async (t) => {
    const [proxy, peer] = await connected(t);
    const { messages, ended } = manage(peer);
    void proxy.sendMessage('last');
    await proxy[Symbol.asyncDispose]();
    await ended;
    assert.equal(messages.length, 1);
    await assert.rejects(proxy.nextTask(), ConnectionResetError);
    await proxy[Symbol.asyncDispose]();
  });

  test('is a static of ProcessManager, which starts its own workers without it', () => {
    assert.equal(ProcessManager.Proxy, Proxy);
  });
});

describe('a Proxy that is refused', () => {
  test('needs an address, and someone who listens there', async (t) => {
    assert.throws(() => new (Proxy as unknown as new () => unknown)(), { code: 'ERR_BOSUN_INVALID_ARGUMENT' });
    const { path } = await listen(t);
    const proxy = new Proxy(`${path}.none`);
    await assert.rejects(proxy.setup(), (error: ConnectionResetError) => {
      assert.equal(error.code, 'ERR_BOSUN_CONNECTION_RESET');
      assert.match(error.message, /socket\.none/);
      assert.equal((error.cause as NodeJS.ErrnoException).code, 'ENOENT');
      return true;
    });
    await assert.rejects(proxy.nextTask(), /call setup\(\) first/);
  });

  test('refuses wrong priorities, tasks and messages at the call and sends nothing', async (t) => {
    const [proxy, peer] = await connected(t);
    for (const priority of [-1, 2, 1.5]) assert.throws(() => proxy.schedule(new Hello(1), priority), OutOfRangeError);
    assert.throws(() => proxy.schedule(new Task(() => 1)), NotPortableError);
    assert.throws(() => proxy.schedule(new Say(() => {})), DataCloneError);
    assert.throws(() => void proxy.sendMessage(() => {}), DataCloneError);
    const { types } = manage(peer);
    assert.equal(await proxy.nextTask(), null);
    assert.deepEqual(types, [FRAME.NEXT]);
  });

  test('a wrong answer is a ProtocolError of that request', async (t) => {
    const [proxy, peer] = await connected(t);
    const message = proxy.sendMessage('m');
    await receiveBytes(peer);
    await sendType(peer, FRAME.SCHEDULED);
    await assert.rejects(message, ProtocolError);
    const next = proxy.nextTask();
    await receiveBytes(peer);
    await sendType(peer, FRAME.MESSAGE);
    await assert.rejects(next, { code: 'ERR_BOSUN_PROTOCOL' });
    const garbled = proxy.nextTask();
    await receiveBytes(peer);
    await sendBytes(peer, FRAME.TASK, Buffer.from([0xee]));
    await assert.rejects(garbled, ProtocolError);
  });

  test('a task whose export is missing fails its request alone', async (t) => {
    const [proxy, peer] = await connected(t);
    manage(peer);
    proxy.schedule(Task.from(TASKS, 'nothing'));
    proxy.schedule(new Boom());
    await assert.rejects(proxy.nextTask(), NotPortableError);
    const boom = await proxy.nextTask();
    assert.ok(boom instanceof Task);
    await assert.rejects(async () => boom.run(context(proxy)), /boom/);
  });

  for (const [what, cut] of [
    ['without an answer', 0],
    ['inside a header', 4],
    ['inside a body', 11],
  ] as const) {
    test(`a manager that closes ${what} resets this request and all behind it`, async (t) => {
      const [proxy, peer] = await connected(t);
      const first = proxy.nextTask();
      const behind = proxy.sendMessage('m');
      await receiveBytes(peer);
      peer.end(encodeFrame(FRAME.TASK, Buffer.from('never')).subarray(0, cut));
      await assert.rejects(first, { name: 'ConnectionResetError', code: 'ERR_BOSUN_CONNECTION_RESET' });
      await assert.rejects(behind, ConnectionResetError);
      await assert.rejects(proxy.acknowledgeAndNextTask(), ConnectionResetError);
    });
  }

  test('what nobody awaits is no unhandled rejection when the manager dies', async (t) => {
    const [proxy, peer] = await connected(t);
    peer.destroy();
    // An unhandled rejection would fail this test.
    await assert.rejects(proxy.nextTask(), ConnectionResetError);
    proxy.schedule(new Hello(1));
    void proxy.sendMessage('to nobody');
    await new Promise((resolve) => setImmediate(resolve));
  });
});
