// What a manager survives: odd values, listeners that throw, frames that are too large, workers that end at a bad time.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import {
  LocalManager,
  type ProcessManager,
  type ProcessManagerEvents,
  Task,
  WorkerException,
  WorkerLostError,
} from '../lib/index.js';
import { Carry, ODD_VALUES } from './fixtures/hardening-tasks.js';
import { makeDirectory, makeManager } from './fixtures/scene.js';
import { Boom, Hello, Say } from './fixtures/tasks.js';

const MODULE = new URL('./fixtures/tasks.js', import.meta.url);
const HARD = new URL('./fixtures/hardening-tasks.js', import.meta.url);
const target = (name: string) => ({ module: MODULE, export: name });
const hard = (name: string) => ({ module: HARD, export: name });

/** What is wrong here often hangs; the limit of a whole run is too long to wait for that. */
const LIMIT = { timeout: 20_000 };

async function collect(messages: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const message of messages) all.push(message);
  return all;
}

describe('a value that cannot be described', () => {
  for (const kind of Object.keys(ODD_VALUES)) {
    test(`${kind}, thrown, rejects its task alone`, LIMIT, async (t) => {
      const manager = makeManager(t);
      const before = manager.run(target('echo'), [1]);
      const thrown = manager.run(hard('throwOdd'), [kind]);
      const scheduled = manager.schedule(Task.from(HARD, 'throwOdd', [kind]));
      const behind = manager.run(target('echo'), [2]);
      for (const promise of [thrown, scheduled.result]) {
        await assert.rejects(promise, (error) => {
          assert.ok(error instanceof WorkerException);
          assert.ok(!(error instanceof WorkerLostError));
          assert.equal(typeof error.message, 'string');
          assert.equal(typeof error.toString(), 'string');
          return true;
        });
      }
      assert.deepEqual(await Promise.all([before, behind]), [1, 2]);
      assert.equal(await manager.run(target('echo'), [3]), 3);
      assert.equal(manager.workers.length, 1);
    });

    test(`${kind}, thrown under a LocalManager, rejects its task alone`, LIMIT, async () => {
      const manager = new LocalManager();
      const thrown = manager.schedule(
        new Task('odd', () => {
          throw ODD_VALUES[kind]?.();
        }),
      );
      const refused = assert.rejects(thrown.result, WorkerException);
      const behind = manager.schedule(new Task('even', () => manager.sendMessage('even ran')));
      const messages = await collect(manager.messages());
      await refused;
      await behind.result;
      assert.equal(messages.length, 2);
      assert.ok(messages[0] instanceof WorkerException);
      assert.equal(messages[1], 'even ran');
    });
  }

  test('is a reason to cancel', LIMIT, async (t) => {
    const manager = makeManager(t, { prefetch: 1 });
    const running = manager.schedule(Task.from(MODULE, 'contextAcrossAwaits'));
    const waiting = manager.schedule(new Say('never'));
    const reason = Object.create(null);
    for (const handle of [running, waiting]) {
      const refused = assert.rejects(handle.result, { code: 'ERR_BOSUN_CANCELLED', cause: reason });
      handle.cancel(reason);
      await refused;
    }
    assert.equal(await manager.run(target('echo'), [1]), 1);
  });

  test('is a reason to cancel a task of a LocalManager', LIMIT, async () => {
    const manager = new LocalManager();
    const handle = manager.schedule(new Task('never', () => assert.fail('it ran')));
    const reason = Object.create(null);
    handle.cancel(reason);
    await assert.rejects(handle.result, { code: 'ERR_BOSUN_CANCELLED', cause: reason });
    assert.equal(await manager.schedule(new Task('next', () => 1)).result, 1);
  });
});

describe('an event listener that throws', () => {
  /** Listens once and throws; resolves when the process was warned of that. */
  function throwOn(t: TestContext, manager: ProcessManager, event: keyof ProcessManagerEvents): Promise<void> {
    const text = `thrown on ${event}`;
    manager.once(event, () => {
      throw new Error(text);
    });
    return new Promise((resolve) => {
      const onWarning = (warning: Error) => {
        if (warning.message.includes(text)) resolve();
      };
      process.on('warning', onWarning);
      t.after(() => process.off('warning', onWarning));
    });
  }

  test('on task:done is a warning', LIMIT, async (t) => {
    const manager = makeManager(t);
    const warned = throwOn(t, manager, 'task:done');
    const both = [manager.run(target('echo'), [1]), manager.run(target('echo'), [2])];
    assert.deepEqual(await Promise.all(both), [1, 2]);
    await warned;
    assert.equal(await manager.run(target('echo'), [3]), 3);
    assert.equal((await manager.close()).done, 3);
  });

  test('on task:failed is a warning, of a lost task too', LIMIT, async (t) => {
    const manager = makeManager(t);
    const warned = throwOn(t, manager, 'task:failed');
    await assert.rejects(manager.run(target('fail'), ['error']), WorkerException);
    await warned;
    const warnedAgain = throwOn(t, manager, 'task:failed');
    await assert.rejects(manager.run(target('signalSelf'), ['SIGKILL']), WorkerLostError);
    await warnedAgain;
    assert.equal(await manager.run(target('echo'), [1]), 1);
    assert.equal((await manager.close()).failed, 2);
  });

  test('on task:cancelled is a warning', LIMIT, async (t) => {
    const manager = makeManager(t);
    const warned = throwOn(t, manager, 'task:cancelled');
    const handle = manager.schedule(new Say('never'));
    handle.cancel();
    await assert.rejects(handle.result, { code: 'ERR_BOSUN_CANCELLED' });
    await warned;
    assert.equal(await manager.run(target('echo'), [1]), 1);
  });

  test('on worker:start is a warning', LIMIT, async (t) => {
    const manager = makeManager(t, { minWorkers: 1 });
    const warned = throwOn(t, manager, 'worker:start');
    const behind = manager.run(target('echo'), [1]);
    await manager.ready();
    await warned;
    assert.equal(await behind, 1);
    assert.equal((await manager.close()).done, 1);
  });

  test('on worker:exit is a warning, and the worker is replaced', LIMIT, async (t) => {
    const manager = makeManager(t, { minWorkers: 1 });
    const pid = await manager.run<number>(target('pid'));
    // An idle manager does not keep a process up; this test waits for one.
    const hold = setInterval(() => {}, 1_000);
    t.after(() => clearInterval(hold));
    const warned = throwOn(t, manager, 'worker:exit');
    const replaced = once(manager, 'worker:start');
    process.kill(pid, 'SIGKILL');
    await warned;
    await replaced;
    assert.notEqual(await manager.run(target('pid')), pid);
    assert.equal(manager.workers.length, 1);
  });

  test('on drain is a warning', LIMIT, async (t) => {
    const manager = makeManager(t);
    const warned = throwOn(t, manager, 'drain');
    assert.equal(await manager.run(target('echo'), [1]), 1);
    await warned;
    const drained = once(manager, 'drain');
    assert.equal(await manager.run(target('echo'), [2]), 2);
    await drained;
    assert.equal((await manager.close()).done, 2);
  });

  test('on task:failed may schedule a task, and cancel it', LIMIT, async (t) => {
    const manager = makeManager(t, { prefetch: 1 });
    const fresh: { cancel(): void; result: Promise<unknown> }[] = [];
    manager.once('task:failed', () => {
      fresh.push(manager.schedule(new Say('cancelled later')), manager.schedule(new Say('cancelled at once')));
      fresh[1]?.cancel();
    });
    const lost = manager.schedule(Task.from(MODULE, 'signalSelf', ['SIGKILL']));
    await assert.rejects(lost.result, WorkerLostError);
    manager.schedule(new Say('another'), 0);
    fresh[0]?.cancel();
    assert.equal(fresh.length, 2);
    for (const { result } of fresh) await assert.rejects(result, { code: 'ERR_BOSUN_CANCELLED' });
    const messages = await collect(manager.messages());
    assert.deepEqual(messages.slice(1), ['another']);
    assert.ok(messages[0] instanceof WorkerLostError);
  });
});

describe('results of finished tasks', () => {
  test('leave before a long synchronous task begins', LIMIT, async (t) => {
    const manager = makeManager(t, { prefetch: 8 });
    const path = join(await makeDirectory(t), 'settled');
    // Both modules are loaded: a task that waits for an import lets results go anyway.
    await manager.run(target('echo'), [0]);
    await manager.run(hard('nothing'));
    const settled = Array.from({ length: 5 }, (_, i) => manager.run(target('echo'), [i]));
    const spinning = manager.run(hard('spinUntilExists'), [path]);
    assert.deepEqual(await Promise.all(settled), [0, 1, 2, 3, 4]);
    await writeFile(path, '');
    assert.equal(await spinning, true, 'it span to its end before the others were settled');
  });

  test('are not lost when the next one kills the worker', LIMIT, async (t) => {
    const manager = makeManager(t, { prefetch: 16 });
    await manager.run(target('echo'), [0]);
    const results = Array.from({ length: 10 }, (_, i) => manager.schedule(new Hello(i)).result);
    const dying = manager.schedule(Task.from(MODULE, 'signalSelf', ['SIGKILL']));
    const messages = await collect(manager.messages());
    const lost = messages.filter((message) => message instanceof Error);
    assert.equal(lost.length, 1);
    await assert.rejects(dying.result, (error) => error === lost[0] && error instanceof WorkerLostError);
    assert.deepEqual(
      messages.filter((message) => !(message instanceof Error)),
      Array.from({ length: 10 }, (_, i) => ({ hi: i })),
    );
    assert.equal(new Set(await Promise.all(results)).size, 1);
  });

  for (const [count, length, code] of [
    [2_000, 1_000, 3],
    [1, 2 ** 20, 0],
  ] as const) {
    test(`${count} messages of ${length} bytes arrive although their worker exits with ${code}`, LIMIT, async (t) => {
      const manager = makeManager(t);
      const handle = manager.schedule(Task.from(HARD, 'sendAndExit', [count, length, code]));
      const messages = await collect(manager.messages());
      const lost = messages.pop();
      assert.ok(lost instanceof WorkerLostError);
      assert.equal(lost.exitCode, code);
      await assert.rejects(handle.result, (error) => error === lost);
      assert.deepEqual(
        messages.map((message) => (message as { i: number }).i),
        Array.from({ length: count }, (_, i) => i),
      );
    });
  }
});

describe('maxFrameBytes', () => {
  const TOO_LARGE = 'ERR_BOSUN_FRAME_TOO_LARGE';

  async function limited(t: TestContext) {
    const manager = makeManager(t, { maxFrameBytes: 100_000, prefetch: 8 });
    const exits: unknown[] = [];
    manager.on('worker:exit', (exit) => exits.push(exit));
    const pid = await manager.run<number>(target('pid'));
    /** The same worker goes on as if nothing had been. */
    const unharmed = async () => {
      assert.equal(await manager.run(target('pid')), pid);
      assert.deepEqual(exits, []);
      assert.ok(manager.stats().tasks.failed <= 1);
    };
    return { manager, unharmed };
  }

  test('refuses one argument, and only that call', LIMIT, async (t) => {
    const { manager, unharmed } = await limited(t);
    const refused = manager.run(target('echo'), [Buffer.alloc(200_000)]);
    const behind = manager.run(target('echo'), [1]);
    await assert.rejects(refused, { name: 'FrameTooLargeError', code: TOO_LARGE });
    assert.equal(await behind, 1);
    await unharmed();
  });

  test('makes schedule() throw at the call', LIMIT, async (t) => {
    const { manager, unharmed } = await limited(t);
    const accepted = manager.stats().tasks.accepted;
    assert.throws(() => manager.schedule(new Carry(200_000)), { name: 'FrameTooLargeError', code: TOO_LARGE });
    assert.equal(manager.stats().tasks.accepted, accepted);
    assert.equal(await manager.schedule(new Carry(50_000)).result, 50_000);
    await unharmed();
  });

  for (const [what, name] of [
    ['a result', 'bytes'],
    ['a message', 'sendBytes'],
    ['a child', 'scheduleCarry'],
  ] as const) {
    test(`fails the task of ${what} above it, and no other`, LIMIT, async (t) => {
      const { manager, unharmed } = await limited(t);
      const behind = [1, 2, 3].map((i) => manager.run(target('echo'), [i]));
      await assert.rejects(manager.run(hard(name), [200_000]), (error) => {
        assert.ok(error instanceof WorkerException);
        assert.ok(!(error instanceof WorkerLostError));
        assert.equal((error.cause as { code?: string }).code, TOO_LARGE);
        return true;
      });
      assert.deepEqual(await Promise.all(behind), [1, 2, 3]);
      await unharmed();
    });
  }

  test('shortens an error above it', LIMIT, async (t) => {
    const { manager, unharmed } = await limited(t);
    await assert.rejects(manager.run(hard('throwLong'), [200_000]), (error) => {
      assert.ok(error instanceof WorkerException);
      assert.ok(!(error instanceof WorkerLostError));
      assert.ok(error.message.length < 100_000);
      return true;
    });
    await unharmed();
  });
});

describe('an inbox that is discarded', () => {
  test('never fills up with failures', LIMIT, async (t) => {
    const manager = makeManager(t, { messages: 'discard', inboxHighWaterMark: 10 });
    const failing = Array.from({ length: 30 }, () => manager.schedule(new Boom()).result);
    const outcomes = await Promise.allSettled(failing);
    assert.ok(outcomes.every(({ status }) => status === 'rejected'));
    assert.equal(await manager.run(hard('sendAndWait'), ['a message']), 'accepted');
    assert.equal(manager.stats().inbox.messages, 0);
  });
});

describe('drain', () => {
  test('needs a task: ready() alone does not emit it', LIMIT, async (t) => {
    const manager = makeManager(t, { minWorkers: 1 });
    let drains = 0;
    manager.on('drain', () => {
      drains += 1;
    });
    await manager.ready();
    await turnOfTheLoop();
    assert.equal(drains, 0);
    const drained = once(manager, 'drain');
    await manager.run(target('echo'), [1]);
    await drained;
    assert.equal(drains, 1);
  });
});

describe('a set-up that hangs in one worker', () => {
  for (const minWorkers of [2, 1]) {
    test(`does not hold up another, with minWorkers ${minWorkers}`, LIMIT, async (t) => {
      const lock = join(await makeDirectory(t), 'lock');
      const manager = makeManager(t, {
        workers: 2,
        minWorkers,
        setup: hard('hangInTheFirst'),
        env: { ...process.env, BOSUN_TEST_LOCK: lock },
      });
      assert.equal(await manager.run(target('echo'), [1]), 1);
    });
  }
});

describe('a program', () => {
  const FILE = fileURLToPath(new URL('./fixtures/hardening-program.js', import.meta.url));
  const CODE = `await import(${JSON.stringify(FILE)})`;

  /** Node.js options that are of this process alone, and would make a worker something else than a worker. */
  const PROGRAMS: [string, string[]][] = [
    ['--input-type module -e <code>', ['--input-type', 'module', '-e', CODE]],
    ['--input-type=module --eval=<code>', ['--input-type=module', `--eval=${CODE}`]],
    ['--test-reporter spec <file>', ['--test-reporter', 'spec', FILE]],
    ['--inspect-port 0 <file>', ['--inspect-port', '0', FILE]],
  ];
  for (const [what, args] of PROGRAMS) {
    test(`started as node ${what} has workers`, LIMIT, async () => {
      const env = { ...process.env };
      delete env['BOSUN_TEST_DEPTH'];
      const child = spawn(process.execPath, args, {
        env,
        stdio: ['ignore', 'pipe', 'pipe'],
        timeout: 15_000,
        killSignal: 'SIGKILL',
      });
      const ended = once(child, 'close');
      const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
      assert.deepEqual(await ended, [0, null], stderr);
      assert.match(stdout, /^worker \d+\n$/);
    });
  }
});

describe('a manager inside a worker thread', () => {
  test('warns of nothing, and its workers end when the thread is terminated', LIMIT, async (t) => {
    const path = join(await makeDirectory(t), 'socket');
    const server = createServer().listen(path);
    t.after(() => server.close());
    const gone: Promise<unknown>[] = [];
    const connected = new Promise<void>((resolve) => {
      server.on('connection', (socket) => {
        // A worker that is killed may reset its connection; the end of it is all that matters.
        socket.on('error', () => {}).resume();
        gone.push(once(socket, 'close'));
        if (gone.length === 2) resolve();
      });
    });
    const thread = new Worker(new URL('./fixtures/hardening-thread.js', import.meta.url), { workerData: path });
    t.after(() => thread.terminate());
    const posted: unknown[] = [];
    const running = new Promise<void>((resolve, reject) => {
      thread.once('error', reject);
      thread.on('message', (message) => {
        posted.push(message);
        if (message === 'running') resolve();
      });
    });
    await running;
    await connected;
    await thread.terminate();
    await Promise.all(gone);
    assert.deepEqual(posted, ['running']);
  });
});
