// Peers that do not keep to the rules: each is sent away and told of once, and nobody else notices.

import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { serialize } from 'node:v8';
import { type ListenAddress, ProcessManager, type ProcessManagerOptions, ProtocolError } from '../lib/index.js';
import { frame, RawClient } from './fixtures/raw-client.js';
import { type Refusals, watchRefusals } from './fixtures/refusals.js';
import { makeManager } from './fixtures/scene.js';
import { Say } from './fixtures/tasks.js';

const ADD = { module: new URL('./fixtures/tasks.js', import.meta.url).href, export: 'add' };
const TASKS = 200;
const TALK = 100;
const MiB = 2 ** 20;

/** A payload of a message: the number 7. */
const SEVEN = Buffer.from([0x00, 7]);

interface Scene {
  readonly manager: ProcessManager;
  readonly refusals: Refusals;
  readonly token: string;
  connect(token?: string): Promise<RawClient>;
}

async function makeScene(t: TestContext, options: ProcessManagerOptions = {}): Promise<Scene> {
  const manager = makeManager(t, { workers: 0, listen: true, ...options });
  await manager.ready();
  return sceneOf(t, manager);
}

function sceneOf(t: TestContext, manager: ProcessManager): Scene {
  const connect = (token?: string) => RawClient.connect(t, manager.address as ListenAddress, token);
  return { manager, refusals: watchRefusals(t, manager), token: manager.token as string, connect };
}

/** One that outlives them all. */
let victim: ProcessManager;
before(async () => {
  victim = new ProcessManager({ workers: 1, listen: true });
  await victim.ready();
});
after(() => victim.close('kill'));

/**
 * Runs real tasks, and messages of a good peer, while `attack` goes on.
 *
 * @returns what was reported meanwhile.
 */
async function amidWork(t: TestContext, attack: (scene: Scene) => Promise<unknown>): Promise<Refusals> {
  const scene = sceneOf(t, victim);
  const { manager, refusals, token } = scene;
  const good = await scene.connect(token);
  const work = Promise.all(Array.from({ length: TASKS }, (_, i) => manager.run(ADD, [i, 1])));
  const talk = async () => {
    for (let i = 0; i < TALK; i++) assert.equal(await good.ask('m', SEVEN), 'm:');
  };
  const talking = talk();
  await attack(scene);
  assert.deepEqual(
    await work,
    Array.from({ length: TASKS }, (_, i) => i + 1),
  );
  await talking;
  await talk();
  let read = 0;
  for await (const message of manager.messages()) {
    assert.equal(message, 7);
    read += 1;
  }
  assert.equal(read, 2 * TALK);
  assert.equal(manager.tasksLeft, 0);
  assert.equal(refusals.warnings.length, refusals.reasons.length);
  return refusals;
}

/** Sends bytes, with or without the token before them, and is sent away. */
function sentAway(t: TestContext, isLetIn: boolean, bytes: (token: string) => Uint8Array): Promise<Refusals> {
  return amidWork(t, async ({ connect, refusals, token }) => {
    const peer = await connect(isLetIn ? token : undefined);
    peer.write(bytes(token));
    await peer.closed;
    await refusals.atLeast(1);
  });
}

describe('without the token', () => {
  const cases: [what: string, bytes: (token: string) => Uint8Array, reason: RegExp][] = [
    ['random bytes', () => Buffer.from('\x16\x03\x01GET / HTTP/1.1\r\n\r\n'), /first frame is no hello/],
    ['a request', () => frame('n'), /first frame is no hello/],
    ['a wrong token', (token) => frame('h', token.replace(/./g, '0')), /token is wrong/],
    ['the token but for its last character', (token) => frame('h', token.slice(0, -1)), /token is wrong/],
    ['the token and more', (token) => frame('h', `${token}0`), /token is wrong/],
    ['no token', () => frame('h'), /token is wrong/],
    ['a hello of 1025 bytes', () => frame('h', Buffer.alloc(1025)), /hello of 1025 bytes is too long/],
    ['a hello of 4 GiB', () => frame('h', '', 2n ** 32n), /4294967296 bytes is too long/],
    ['a hello of 2^64 - 1 bytes', () => frame('h', 'x', 2n ** 64n - 1n), /18446744073709551615 bytes is too long/],
    ['a wrong token and requests', () => Buffer.concat([frame('h', 'x'), frame('n'), frame('m', SEVEN)]), /is wrong/],
  ];
  for (const [what, bytes, reason] of cases) {
    test(`${what}: is sent away`, async (t) => {
      const { reasons, addresses } = await sentAway(t, false, bytes);
      assert.equal(reasons.length, 1);
      assert.match(reasons[0] as string, reason);
      assert.deepEqual(addresses, ['a local socket']);
    });
  }

  test('silence: is sent away after 5 s', { timeout: 20_000 }, async (t) => {
    const { reasons } = await amidWork(t, async ({ connect, refusals }) => {
      const [silent, slow] = [await connect(), await connect()];
      // A frame that is begun is no reason to wait any longer.
      slow.write(frame('h', 'x'.repeat(64)).subarray(0, 20));
      await Promise.all([silent.closed, slow.closed]);
      await refusals.atLeast(2);
    });
    assert.deepEqual(reasons, Array(2).fill('it sent no token for 5000 ms'));
  });

  test('a connection that ends: is told of once', async (t) => {
    const { reasons } = await amidWork(t, async ({ connect, refusals }) => {
      (await connect()).socket.end();
      (await connect()).socket.destroy();
      (await connect()).socket.end(frame('h', 'x'.repeat(64)).subarray(0, 20));
      await refusals.atLeast(3);
    });
    assert.deepEqual(reasons, Array(3).fill('it went away without a token'));
  });

  test('200 connections at once: 64 may stay, and who was let in goes on', async (t) => {
    const { reasons } = await amidWork(t, async ({ connect, refusals, token }) => {
      const all = await Promise.all(Array.from({ length: 200 }, () => connect()));
      await refusals.atLeast(136);
      assert.equal(refusals.reasons.length, 136);
      // As soon as they have left there is room again.
      for (const peer of all) peer.socket.destroy();
      await refusals.atLeast(200);
      const late = await connect(token);
      late.send('s');
      await late.closed;
    });
    assert.deepEqual(new Set(reasons.slice(0, 136)), new Set(['too many others have yet to send their token']));
    assert.deepEqual(new Set(reasons.slice(136, 200)), new Set(['it went away without a token']));
    assert.deepEqual(reasons.slice(200), ['it sent a frame of an unknown type']);
  });

  test('64 that say nothing: who says the token is let in', async (t) => {
    const { connect, token } = await makeScene(t);
    await Promise.all(Array.from({ length: 64 }, () => connect()));
    const late = await connect(token);
    assert.equal(await late.ask('n'), 't:');
  });

  test('the right token byte by byte: is let in', async (t) => {
    const { connect, token, refusals } = await makeScene(t);
    const peer = await connect();
    peer.socket.setNoDelay(true);
    for (const byte of frame('h', token)) {
      await new Promise<unknown>((resolve) => peer.socket.write(Uint8Array.of(byte), resolve));
    }
    assert.equal(await peer.ask('n'), 't:');
    for (const byte of frame('m', SEVEN)) {
      await new Promise<unknown>((resolve) => peer.socket.write(Uint8Array.of(byte), resolve));
    }
    assert.equal((await peer.receive()).type, 'm');
    assert.deepEqual(refusals.reasons, []);
  });
});

describe('with the token', () => {
  const cases: [what: string, bytes: (token: string) => Uint8Array, reason: RegExp][] = [
    ['hello again', (token) => frame('h', token), /out of place/],
    ['a length of 4 GiB', () => frame('m', 'x', 2n ** 32n), /above maxFrameBytes/],
    ['a length of 2^64 - 1', () => frame(0x81, 'x', 2n ** 64n - 1n), /above maxFrameBytes/],
    ['a level that does not exist', () => frame(0x82, 'x'), /a priority that does not exist/],
    ['the last level', () => frame(0xff, 'x'), /a priority that does not exist/],
    ['no type', () => frame(0), /an unknown type/],
    ["the type of a manager's answer", () => frame('s'), /an unknown type/],
    ["a type of bosun's own workers", () => frame('e', 'x'), /an unknown type/],
    ['n with a body', () => frame('n', 'x'), /malformed/],
    ['t with a body', () => frame('t', 'x'), /malformed/],
    ['a task without a body', () => frame(0x80), /malformed/],
    ['a message without a body', () => frame('m'), /malformed/],
    ['done, without a task', () => frame('t'), /out of place/],
    ['random bytes', () => Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'), /above maxFrameBytes/],
    ['next twice, without waiting for the answer', () => Buffer.concat([frame('n'), frame('n')]), /out of place/],
  ];
  for (const [what, bytes, reason] of cases) {
    test(`${what}: is sent away`, async (t) => {
      const rssBefore = process.memoryUsage().rss;
      const { reasons, addresses } = await sentAway(t, true, bytes);
      assert.equal(reasons.length, 1);
      assert.match(reasons[0] as string, reason);
      assert.match(addresses[0] as string, /^peer \d+$/);
      assert.ok(process.memoryUsage().rss - rssBefore < 512 * MiB);
    });
  }

  test('a recorded dialogue, all at once: is sent away at its second request', async (t) => {
    const { manager, connect, token, refusals } = await makeScene(t);
    manager.schedule(new Say('held'));
    const peer = await connect();
    const dialogue = [frame('h', token), frame('n'), frame('m', SEVEN), frame(0x80, 'x'), frame('t'), frame('n')];
    peer.write(Buffer.concat(dialogue));
    await peer.closed;
    await refusals.atLeast(1);
    assert.match(refusals.reasons.join(), /^it sent a frame that is out of place$/);
    // The task was never sent to it, so it was not lost with it.
    const good = await connect(token);
    assert.match(await good.ask('n'), /^t:.*Say/);
    assert.equal(await good.ask('t'), 't:');
    const { tasks, inbox } = manager.stats();
    assert.deepEqual([tasks.done, tasks.failed, inbox.messages], [1, 0, 0]);
  });

  test('next, while it has a task: is sent away, and the task is lost', async (t) => {
    const { manager, connect, token, refusals } = await makeScene(t);
    const peer = await connect(token);
    const { result } = manager.schedule(new Say(1));
    const lost = assert.rejects(result, { code: 'ERR_BOSUN_WORKER_LOST' });
    assert.match(await peer.ask('n'), /^t:./);
    peer.send('n');
    await peer.closed;
    await lost;
    await refusals.atLeast(1);
    assert.equal(refusals.reasons.length, 1);
  });

  test('a request while its message waits for room in the inbox: is sent away', async (t) => {
    const { manager, connect, token, refusals } = await makeScene(t, { inboxHighWaterMark: 0 });
    for (const hasty of [frame('n'), frame('m', SEVEN), frame(0x80, 'x')]) {
      const peer = await connect(token);
      peer.send('m', SEVEN);
      peer.write(hasty);
      await peer.closed;
    }
    await refusals.atLeast(3);
    assert.deepEqual(refusals.reasons, Array(3).fill('it sent a frame that is out of place'));
    assert.deepEqual([manager.tasksLeft, manager.stats().inbox.messages], [0, 3]);
  });

  test('next for ever, without reading: is sent away, and costs no memory', async (t) => {
    const { connect, token, refusals } = await makeScene(t);
    const good = await connect(token);
    const peer = await connect(token);
    peer.socket.pause();
    const rssBefore = process.memoryUsage().rss;
    const many = Buffer.concat(Array.from({ length: 10_000 }, () => frame('n')));
    for (let i = 0; i < 20 && peer.socket.writable; i++) peer.write(many);
    await refusals.atLeast(1);
    assert.equal(await good.ask('n'), 't:');
    assert.equal(refusals.reasons.length, 1);
    assert.ok(process.memoryUsage().rss - rssBefore < 128 * MiB);
  });

  test('tasks, without reading them: gets no more than one', async (t) => {
    const { manager, connect, token, refusals } = await makeScene(t);
    const [good, peer] = [await connect(token), await connect(token)];
    for (let i = 0; i < 20; i++) manager.schedule(new Say('x'.repeat(MiB)));
    peer.socket.pause();
    for (const request of ['n', ...Array(19).fill('t')]) {
      peer.send(request);
      // Each request of its own arrival: the good peer's answer was written behind whatever came of it.
      assert.equal(await good.ask('m', SEVEN), 'm:');
    }
    assert.equal(manager.stats().tasks.done, 0);
    assert.equal(manager.tasksLeft, 20);
    assert.deepEqual(refusals.reasons, []);
    // As soon as it reads, it goes on where it was.
    peer.socket.resume();
    for (let i = 0; i < 20; i++) assert.equal((await peer.receive()).body.byteLength > MiB, true);
    assert.equal(await peer.ask('t'), 't:');
    assert.equal(manager.stats().tasks.done, 20);
  });
});

describe('messages that cannot be read', () => {
  const bytes = (...values: number[]) => Buffer.from(values);
  const cases: [what: string, payload: Uint8Array, reason: RegExp][] = [
    ['v8-serialized', Buffer.concat([bytes(0x02), serialize({ a: 1 })]), /begins with 0 or 1, not 2/],
    ['of an unknown tag', bytes(0xff, 1), /begins with 0 or 1, not 255/],
    ['empty behind their tag', bytes(0x00), /ends inside a value/],
    ['cut in a string', bytes(0x00, 0xa5, 0x61), /ends inside a value/],
    ['cut in a number', bytes(0x00, 0xcd, 1), /ends inside a value/],
    ['cut in an array', bytes(0x00, 0x92, 1), /ends inside a value/],
    ['cut in a map, behind a key', bytes(0x00, 0x82, 0xa1, 0x61, 1, 0xa1), /ends inside a value/],
    ['longer than their value', bytes(0x00, 1, 1), /bytes behind its value/],
    ['with an extension', bytes(0x00, 0xd4, 0x01, 0x00), /extension/],
    ['with a record of msgpackr', bytes(0x00, 0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 0x01), /extension/],
    ['with a time stamp', bytes(0x00, 0xd6, 0xff, 0, 0, 0, 0), /extension/],
    ['with a long extension', bytes(0x00, 0xc9, 0, 0, 0, 1, 1, 0), /extension/],
    ['with the byte that MessagePack does not use', bytes(0x00, 0xc1), /extension/],
    ['10 000 levels deep', Buffer.concat([bytes(0x00), Buffer.alloc(10_000, 0x91), bytes(1)]), /more than 200 levels/],
    ['of 2^32 - 1 elements', bytes(0x00, 0xdd, 255, 255, 255, 255, 1), /ends inside a value/],
    ['of 2^32 - 1 entries', bytes(0x00, 0xdf, 255, 255, 255, 255, 0xa0, 1), /ends inside a value/],
    ['of a string of 4 GiB', bytes(0x00, 0xdb, 255, 255, 255, 255, 0x61), /ends inside a value/],
    ['of bytes of 4 GiB', bytes(0x00, 0xc6, 255, 255, 255, 255, 0x61), /ends inside a value/],
    ['with a key that is a number', bytes(0x00, 0x81, 1, 1), /a key that is no string/],
    ['with a key that is a map', bytes(0x00, 0x81, 0x80, 1), /a key that is no string/],
  ];

  test('are a ProtocolError in their place, and the reader goes on', async (t) => {
    const { manager, connect, token, refusals } = await makeScene(t);
    const peer = await connect(token);
    for (const [, payload] of cases) {
      assert.equal(await peer.ask('m', payload), 'm:');
      assert.equal(await peer.ask('m', SEVEN), 'm:');
    }
    const read: unknown[] = [];
    for await (const message of manager.messages()) read.push(message);
    for (const [i, [what, , reason]] of cases.entries()) {
      assert.ok(read[2 * i] instanceof ProtocolError, what);
      assert.match((read[2 * i] as ProtocolError).message, reason, what);
      assert.equal(read[2 * i + 1], 7);
    }
    assert.equal(read.length, 2 * cases.length);
    assert.deepEqual(refusals.reasons, []);
  });

  test('that can be read, are: the limits, and keys of prototypes', async (t) => {
    const { manager, connect, token } = await makeScene(t);
    const peer = await connect(token);
    const deepest = Buffer.concat([bytes(0x00), Buffer.alloc(200, 0x91), bytes(1)]);
    const proto = Buffer.concat([bytes(0x00, 0x81, 0xa9), Buffer.from('__proto__'), bytes(0x81, 0xa1, 0x78, 1)]);
    const floats = bytes(0x00, 0x92, 0xca, 0x3f, 0xc0, 0, 0, 0xcb, 0xbf, 0xf8, 0, 0, 0, 0, 0, 0);
    const numbers = bytes(0x00, 0x95, 0xcc, 200, 0xcd, 1, 0, 0xd0, 0x80, 0xd1, 0xff, 0, 0xe0);
    const wide = bytes(0x00, 0x92, 0xcf, 0, 0, 0, 0, 0, 0, 0, 1, 0xd3, 255, 255, 255, 255, 255, 255, 255, 255);
    const odd = bytes(0x00, 0x93, 0xc0, 0xc2, 0xc4, 1, 9);
    for (const payload of [deepest, proto, floats, numbers, wide, odd])
      assert.equal(await peer.ask('m', payload), 'm:');
    const read: unknown[] = [];
    for await (const message of manager.messages()) read.push(message);
    assert.equal(JSON.stringify(read[0]).length, 401);
    assert.equal(({} as { x?: number }).x, undefined);
    assert.equal((read[1] as { x?: number }).x, undefined);
    assert.equal(Object.getPrototypeOf(read[1]), Object.prototype);
    assert.deepEqual(read[2], [1.5, -1.5]);
    assert.deepEqual(read[3], [200, 256, -128, -256, -32]);
    assert.deepEqual(read[4], [1n, -1n]);
    assert.deepEqual(read[5], [null, false, Buffer.from([9])]);
  });

  test('tasks that cannot be read fail alone, in the worker', async (t) => {
    const { manager, connect, token } = await makeScene(t, { workers: 1 });
    const peer = await connect(token);
    for (const [, payload] of cases) assert.equal(await peer.ask(0x81, payload), 's:');
    // Values that are no task.
    for (const payload of [SEVEN, bytes(0x00, 0xc0), bytes(0x00, 0x90), bytes(0x01, 1)]) {
      assert.equal(await peer.ask(0x81, payload), 's:');
    }
    assert.equal(await manager.run(ADD, [1, 2]), 3);
    let failures = 0;
    for await (const failure of manager.messages()) {
      assert.equal((failure as Error).name, 'WorkerException');
      failures += 1;
    }
    assert.equal(failures, cases.length + 4);
    assert.equal(manager.stats().tasks.failed, failures);
    // By one worker, which has outlived them all.
    assert.deepEqual(
      manager.workers.map(({ worker }) => worker).filter((worker) => worker === 1),
      [1],
    );
  });
});
