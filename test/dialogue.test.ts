// Peers that speak the reference dialogue, as a client in any language would: what they get, and what is got from them.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import {
  CancellationError,
  type ListenAddress,
  PoisonTaskError,
  type ProcessManager,
  type ProcessManagerOptions,
  Task,
  WorkerException,
  WorkerLostError,
} from '../lib/index.js';
import { RawClient } from './fixtures/raw-client.js';
import { watchRefusals } from './fixtures/refusals.js';
import { drained, makeManager } from './fixtures/scene.js';
import { Hello, UntilAborted } from './fixtures/tasks.js';

const TASKS = new URL('./fixtures/tasks.js', import.meta.url).href;

/** Runs nothing itself unless it is told to. */
async function listening(t: TestContext, options: ProcessManagerOptions = {}): Promise<ProcessManager> {
  const manager = makeManager(t, { workers: 0, listen: true, ...options });
  await manager.ready();
  return manager;
}

const join = (t: TestContext, manager: ProcessManager): Promise<RawClient> =>
  RawClient.connect(t, manager.address as ListenAddress, manager.token as string);

/** MessagePack of small values, by hand. */
const pack = {
  text: (value: string) => Buffer.concat([Buffer.from([0xd9, Buffer.byteLength(value)]), Buffer.from(value)]),
  array: (items: readonly Uint8Array[]) => Buffer.concat([Buffer.from([0x90 + items.length]), ...items]),
  payload: (value: Uint8Array) => Buffer.concat([Buffer.from([0x00]), value]),
};

/** A task that calls an exported function, as docs/protocol.md has it. */
function callOf(exportName: string, args: readonly Uint8Array[] = []): Buffer {
  const [kind, name, module] = [pack.text('f'), pack.text('from a peer'), pack.text(TASKS)];
  return pack.payload(pack.array([kind, name, module, pack.text(exportName), pack.array(args)]));
}

async function next(messages: AsyncIterator<unknown>): Promise<unknown> {
  return (await messages.next()).value;
}

/** The next message, without staying its reader. */
async function read(manager: ProcessManager): Promise<unknown> {
  for await (const message of manager.messages()) return message;
  return undefined;
}

describe('a peer', () => {
  test('gets tasks by priority, and in order inside a level, byte for byte', async (t) => {
    const manager = await listening(t, { priorityLevels: 3 });
    const [boss, worker] = [await join(t, manager), await join(t, manager)];
    const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const bodies: [priority: number, body: Buffer][] = [
      [2, Buffer.from('last')],
      [1, Buffer.from('third')],
      [0, every],
      [1, Buffer.alloc(300_000, 'fourth')],
      [0, Buffer.from([0])],
    ];
    for (const [priority, body] of bodies) assert.equal(await boss.ask(0x80 + priority, body), 's:');
    assert.equal(manager.tasksLeft, 5);
    const expected = [2, 4, 1, 3, 0].map((i) => (bodies[i] as [number, Buffer])[1]);
    let request = 'n';
    for (const body of expected) {
      worker.send(request);
      const answer = await worker.receive();
      assert.equal(answer.type, 't');
      assert.ok(answer.body.equals(body));
      request = 't';
    }
    assert.equal(manager.tasksLeft, 1);
    assert.equal(await worker.ask('t'), 't:');
    assert.equal(manager.tasksLeft, 0);
    assert.equal(manager.stats().tasks.done, 5);
  });

  test('is answered at once when nothing waits', async (t) => {
    const peer = await join(t, await listening(t));
    for (let i = 0; i < 3; i++) assert.equal(await peer.ask('n'), 't:');
  });

  test('shows in events and among the workers, without a pid', async (t) => {
    const manager = await listening(t);
    const started = once(manager, 'worker:start');
    const peer = await join(t, manager);
    const [{ worker, pid }] = await started;
    assert.equal(pid, undefined);
    assert.equal(await peer.ask(0x81, 'a'), 's:');
    assert.equal(await peer.ask('n'), 't:a');
    const [info] = manager.workers;
    assert.deepEqual(
      { ...info, window: 0 },
      {
        worker,
        pid: undefined,
        state: 'alive',
        inFlight: 1,
        window: 0,
        tasksEnded: 0,
        averageRunMs: 0,
      },
    );
    assert.equal(await peer.ask('t'), 't:');
    const exited = once(manager, 'worker:exit');
    peer.socket.end();
    const [exit] = await exited;
    assert.deepEqual(exit, { worker, pid: undefined, tasksEnded: 1, exitCode: null, exitSignal: null });
    assert.deepEqual(manager.workers, []);
  });

  test('sends messages, which messages() yields before it ends', async (t) => {
    const manager = await listening(t);
    const peer = await join(t, manager);
    await peer.ask(0x81, 'task');
    const messages = manager.messages();
    const first = next(messages);
    assert.equal(await peer.ask('n'), 't:task');
    assert.equal(await peer.ask('m', pack.payload(pack.array([pack.text('hi'), Buffer.from([7])]))), 'm:');
    assert.deepEqual(await first, ['hi', 7]);
    assert.equal(await peer.ask('m', Buffer.from([0x01, 1, 2, 3])), 'm:');
    assert.equal(await peer.ask('t'), 't:');
    assert.deepEqual(await next(messages), Buffer.from([1, 2, 3]));
    assert.deepEqual(await messages.next(), { done: true, value: undefined });
  });

  test('waits for the acceptance of its message while the inbox is above its mark', async (t) => {
    const manager = await listening(t, { inboxHighWaterMark: 1 });
    const peer = await join(t, manager);
    const other = await join(t, manager);
    const message = pack.payload(Buffer.from([1]));
    assert.equal(await peer.ask('m', message), 'm:');
    peer.send('m', message);
    // Whoever is behind it on the manager's loop is answered; it is not.
    assert.equal(await other.ask(0x80, 'x'), 's:');
    assert.equal(await other.ask('n'), 't:x');
    const messages = manager.messages();
    assert.equal(await next(messages), 1);
    assert.equal(await next(messages), 1);
    const third = next(messages);
    assert.deepEqual(await peer.receive(), { type: 'm', body: Buffer.alloc(0) });
    assert.equal(await other.ask('t'), 't:');
    assert.equal(await third, undefined);
  });

  test('waits for the acceptance of its task while the queue is full', async (t) => {
    const manager = await listening(t, { maxQueue: 1 });
    const [boss, worker] = [await join(t, manager), await join(t, manager)];
    assert.equal(await boss.ask(0x81, 'a'), 's:');
    boss.send(0x81, 'b');
    assert.equal(await worker.ask('n'), 't:a');
    assert.deepEqual(await boss.receive(), { type: 's', body: Buffer.alloc(0) });
  });

  test('schedules tasks for the workers of the manager, whose failures come as messages', async (t) => {
    const manager = await listening(t, { workers: 1 });
    const peer = await join(t, manager);
    const done = once(manager, 'task:done');
    assert.equal(await peer.ask(0x81, callOf('add', [Buffer.from([2]), Buffer.from([3])])), 's:');
    const [{ priority, worker }] = await done;
    assert.equal(priority, 1);
    assert.equal(worker, 1);
    assert.equal(await peer.ask(0x80, callOf('fail', [pack.text('error')])), 's:');
    const failure = await read(manager);
    assert.ok(failure instanceof WorkerException);
    assert.equal(failure.taskName, 'from a peer');
    assert.equal((failure.cause as Error).message, 'the message');
    for (const body of ['opaque', callOf('nothing'), Buffer.from([0xff, 0x0f])]) {
      assert.equal(await peer.ask(0x80, body), 's:');
      assert.ok((await read(manager)) instanceof WorkerException);
    }
  });

  test('shares the work with the workers of the manager', async (t) => {
    const manager = await listening(t, { workers: 1 });
    const peer = await join(t, manager);
    const holding = manager.schedule(new UntilAborted());
    assert.equal(await read(manager), 'running');
    const results = Array.from({ length: 20 }, (_, i) => manager.run({ module: TASKS, export: 'add' }, [i, 1]));
    // The worker is busy: the first ten are the peer's.
    for (let i = 0; i < 10; i++) assert.match(await peer.ask(i === 0 ? 'n' : 't'), /^t:./);
    holding.cancel();
    const byWorker = await Promise.all(results.slice(10));
    assert.deepEqual(
      byWorker,
      Array.from({ length: 10 }, (_, i) => i + 11),
    );
    assert.equal(await peer.ask('t'), 't:');
    // A peer says that a task is done, and not what came of it.
    assert.deepEqual(await Promise.all(results.slice(0, 10)), Array(10).fill(undefined));
  });
});

describe('a peer that goes away', () => {
  test('loses the task that it had', async (t) => {
    const manager = await listening(t);
    const peer = await join(t, manager);
    const { result } = manager.schedule(new Hello(1));
    assert.match(await peer.ask('n'), /^t:./);
    peer.socket.destroy();
    await assert.rejects(result, (error) => {
      assert.ok(error instanceof WorkerLostError);
      assert.match(error.message, /^peer \d+ went away while it ran task \d+ 'Hello'$/);
      assert.deepEqual([error.exitCode, error.exitSignal, error.pid], [null, null, undefined]);
      return true;
    });
    assert.equal(manager.tasksLeft, 0);
  });

  test('loses it to another one when it may be retried', async (t) => {
    const manager = await listening(t, { retry: { max: 1, on: ['lost'], backoff: () => 0 } });
    const [first, second] = [await join(t, manager), await join(t, manager)];
    const { result } = manager.schedule(new Hello(1));
    const task = await first.ask('n');
    const retried = once(manager, 'task:retry');
    first.socket.destroy();
    await retried;
    assert.equal(await second.ask('n'), task);
    assert.equal(await second.ask('t'), 't:');
    assert.equal(await result, undefined);
    assert.equal(manager.stats().tasks.retried, 1);
  });

  test('loses it in the same way when another peer has scheduled it: the manager’s policy holds', async (t) => {
    const manager = await listening(t, { retry: { max: 1, on: ['lost'], backoff: () => 0 } });
    const [owner, first, second] = [await join(t, manager), await join(t, manager), await join(t, manager)];
    assert.equal(await owner.ask(0x81, 'body'), 's:');
    assert.equal(await first.ask('n'), 't:body');
    const retried = once(manager, 'task:retry');
    first.socket.destroy();
    await retried;
    assert.equal(await second.ask('n'), 't:body');
    assert.equal(manager.stats().tasks.retried, 1);
  });

  test('costs a task no more peers than maxCrashes', async (t) => {
    const manager = await listening(t, { retry: { max: 9, on: ['lost'], backoff: () => 0, maxCrashes: 2 } });
    const { result } = manager.schedule(new Hello(1));
    const poisoned = assert.rejects(result, PoisonTaskError);
    for (let i = 0; i < 2; i++) {
      const peer = await join(t, manager);
      assert.match(await peer.ask('n'), /^t:./);
      const exited = once(manager, 'worker:exit');
      peer.socket.destroy();
      await exited;
    }
    await poisoned;
  });

  test('in the middle of a frame, or after half of the dialogue, takes nothing else along', async (t) => {
    const manager = await listening(t);
    const refusals = watchRefusals(t, manager);
    const good = await join(t, manager);
    for (const cut of [Buffer.from('m'), Buffer.from([0x6d, 9, 0, 0, 0, 0, 0, 0, 0, 1, 2])]) {
      for (const end of ['end', 'destroy'] as const) {
        const peer = await join(t, manager);
        assert.equal(await peer.ask('n'), 't:');
        const exited = once(manager, 'worker:exit');
        peer.socket.write(cut, () => peer.socket[end]());
        await exited;
        assert.equal(await good.ask('n'), 't:');
      }
    }
    assert.deepEqual(refusals.reasons, []);
  });

  test('when it is told to stop a task and does not, for which it is sent away', async (t) => {
    const manager = await listening(t, { grace: 50 });
    const peer = await join(t, manager);
    const { result } = manager.schedule(Task.from(TASKS, 'pid', [], { timeout: 20 }));
    assert.match(await peer.ask('n'), /^t:./);
    await assert.rejects(result, { code: 'ERR_BOSUN_TIMEOUT' });
    await peer.closed;
    await drained(manager);
    assert.equal(manager.tasksLeft, 0);
  });
});

describe('a manager that closes', () => {
  test('tells every peer, under each policy that waits', async (t) => {
    for (const policy of ['join', 'cancel'] as const) {
      const manager = await listening(t);
      const peers = [await join(t, manager), await join(t, manager)];
      assert.equal(await (peers[0] as RawClient).ask('n'), 't:');
      const closing = manager.close(policy);
      for (const peer of peers) {
        assert.deepEqual(await peer.receive(), { type: 'c', body: Buffer.alloc(0) });
        await peer.closed;
      }
      await closing;
      assert.deepEqual(manager.workers, []);
    }
  });

  test('waits for tasks with JOIN, whoever runs them', async (t) => {
    const manager = await listening(t);
    const first = await join(t, manager);
    await first.ask(0x81, 'a');
    await first.ask(0x81, 'b');
    const closing = manager.close();
    assert.equal(await first.ask('n'), 't:a');
    // Tasks may still schedule others.
    assert.equal(await first.ask(0x80, 'c'), 's:');
    const late = await join(t, manager);
    assert.equal(await late.ask('n'), 't:c');
    assert.equal(await first.ask('t'), 't:b');
    assert.equal(await first.ask('t'), 't:');
    assert.equal(await late.ask('t'), 't:');
    for (const peer of [first, late]) assert.equal((await peer.receive()).type, 'c');
    assert.equal((await closing).done, 3);
  });

  test('lets what runs finish with CANCEL, its messages included, and drops what waits', async (t) => {
    const manager = await listening(t);
    const peer = await join(t, manager);
    const [runs, waits] = [manager.schedule(new Hello(1)), manager.schedule(new Hello(2))];
    assert.match(await peer.ask('n'), /^t:./);
    const closing = manager.close('cancel');
    await assert.rejects(waits.result, CancellationError);
    assert.equal((await peer.receive()).type, 'c');
    assert.equal(await peer.ask('m', pack.payload(Buffer.from([1]))), 'm:');
    assert.equal(await peer.ask(0x81, 'too late'), 's:');
    peer.send('t');
    await peer.closed;
    assert.equal(await runs.result, undefined);
    const { done, cancelled } = await closing;
    assert.deepEqual({ done, cancelled }, { done: 1, cancelled: 2 });
  });

  test('waits no longer than its grace for a peer that runs a task', async (t) => {
    const manager = await listening(t);
    const peer = await join(t, manager);
    const { result } = manager.schedule(new Hello(1));
    assert.match(await peer.ask('n'), /^t:./);
    const rejected = assert.rejects(result, CancellationError);
    const { cancelled } = await manager.close('cancel', { timeout: 20 });
    assert.equal(cancelled, 1);
    await rejected;
    await peer.closed;
  });

  test('waits for no idle peer that does not hang up', async (t) => {
    const manager = await listening(t);
    const peer = await join(t, manager);
    assert.equal(await peer.ask('n'), 't:');
    peer.socket.allowHalfOpen = true;
    peer.socket.pause();
    await manager.close();
  });

  test('hangs up at once with KILL', async (t) => {
    const manager = await listening(t);
    const peer = await join(t, manager);
    const { result } = manager.schedule(new Hello(1));
    assert.match(await peer.ask('n'), /^t:./);
    const rejected = assert.rejects(result, CancellationError);
    await manager.close('kill');
    await rejected;
    await peer.closed;
  });

  test('reports nothing of peers that come, or are sent away, meanwhile', async (t) => {
    const manager = await listening(t);
    const refusals = watchRefusals(t, manager);
    const at = manager.address as ListenAddress;
    const silent = await RawClient.connect(t, at);
    await manager.close();
    await silent.closed;
    await assert.rejects(RawClient.connect(t, at, manager.token as string), { code: 'ENOENT' });
    assert.deepEqual(refusals.reasons, []);
  });
});
