// Branches of a manager that only a failure reaches, as a program may bring it about.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ProtocolError, type WorkerException, WorkerLostError, WorkerStartError } from '../lib/index.js';
import { makeManager } from './fixtures/scene.js';
import { Stubborn, UntilAborted } from './fixtures/tasks.js';

const MODULE = new URL('./fixtures/failure-tasks.js', import.meta.url);
const target = (name: string) => ({ module: MODULE, export: name });
const ECHO = { module: new URL('./fixtures/tasks.js', import.meta.url), export: 'echo' };
const MIB = 2 ** 20;

/** What is wrong here often hangs; the limit of a whole run is too long to wait for that. */
const NOT_LINUX = process.platform !== 'linux' && 'only Linux has files that can be sealed';
const LIMIT = { timeout: 30_000 };

/** The texts of the warnings of this code, from now on. */
function warnings(t: TestContext, code: string): string[] {
  const texts: string[] = [];
  const onWarning = (warning: Error & { code?: string }) => {
    if (warning.code === code) texts.push(warning.message);
  };
  process.on('warning', onWarning);
  t.after(() => process.off('warning', onWarning));
  return texts;
}

describe('a worker that says what is no frame', () => {
  for (const [type, said] of [
    [0x01, 'a frame of an unknown type'],
    [0xff, 'a priority that does not exist'],
    [0x74, 'a malformed frame'],
    [0x68, 'a frame that is out of place'],
  ] as const) {
    test(`${said}, is killed, and only its task is lost`, LIMIT, async (t) => {
      const manager = makeManager(t);
      const warned = warnings(t, 'BOSUN_W002');
      const lost = assert.rejects(manager.run(target('writeNonsense'), [type]), (error) => {
        return error instanceof WorkerLostError && error.exitSignal === 'SIGKILL';
      });
      const behind = manager.run(ECHO, [1]);
      await lost;
      assert.equal(await behind, 1);
      assert.equal(warned.length, 1);
      assert.match(warned[0] as string, new RegExp(said));
    });
  }
});

test('a worker that has written more than there is room for is ended, and only its task is lost', LIMIT, async (t) => {
  const manager = makeManager(t);
  const lost = assert.rejects(manager.run(target('writeImpossibly')), WorkerLostError);
  const behind = manager.run(ECHO, [1]);
  await lost;
  assert.equal(await behind, 1);
});

test('a worker cannot take away the memory that it shares', { ...LIMIT, skip: NOT_LINUX }, async (t) => {
  const manager = makeManager(t);
  assert.equal(await manager.run(target('cutShort')), 'EPERM');
  assert.equal(await manager.run(ECHO, [1]), 1);
});

describe('a worker that says what cannot be decoded', () => {
  test('as a result, fails that task', LIMIT, async (t) => {
    const manager = makeManager(t);
    await assert.rejects(manager.run(target('writeBadPayload'), ['result']), (error: WorkerException) => {
      assert.deepEqual([error.code, error.taskId], ['ERR_BOSUN_TASK_FAILED', 1]);
      assert.match(error.message, /the result of task 1 cannot be decoded/);
      assert.equal((error.cause as ProtocolError).code, 'ERR_BOSUN_PROTOCOL');
      return true;
    });
    assert.equal(manager.stats().tasks.done, 1, 'by its word');
  });

  test('as a failure, fails it too', LIMIT, async (t) => {
    const manager = makeManager(t);
    await assert.rejects(manager.run(target('writeBadPayload'), ['failure']), (error: WorkerException) => {
      assert.deepEqual([error.code, error.taskId], ['ERR_BOSUN_TASK_FAILED', 1]);
      assert.equal((error.cause as ProtocolError).code, 'ERR_BOSUN_PROTOCOL');
      return true;
    });
    assert.equal(manager.stats().tasks.failed, 1);
  });

  test('as a message, is thrown to the reader; the next one goes on behind it', LIMIT, async (t) => {
    const manager = makeManager(t);
    const controller = new AbortController();
    const task = manager.run(target('writeBadPayload'), ['message'], { signal: controller.signal });
    await assert.rejects(manager.messages().next(), ProtocolError);
    manager.sendMessage('after it');
    assert.equal((await manager.messages().next()).value, 'after it');
    controller.abort();
    await assert.rejects(task, { name: 'AbortError' });
  });
});

describe('a standard error that nobody reads any more', () => {
  test('is no reason for a manager to fail when a worker writes to it', LIMIT, async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'bosun-stderr-'));
    t.after(() => rm(directory, { recursive: true }));
    const program = fileURLToPath(new URL('./fixtures/broken-stderr.js', import.meta.url));
    const file = join(directory, 'end');
    const child = spawn(process.execPath, [program, file], { stdio: ['pipe', 'pipe', 'pipe'] });
    t.after(() => child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    child.stderr.destroy();
    await once(child.stderr, 'close');
    child.stdin.write('go');
    const [code] = await once(child, 'exit');
    assert.equal(code, 0);
    assert.equal(await readFile(file, 'utf8'), 'all is well');
  });
});

describe('the end of a worker', () => {
  test('is seen although a process that it has left behind holds its standard error', LIMIT, async (t) => {
    const manager = makeManager(t);
    const dying = manager.run(target('leaveHolderBehind'));
    const lost = assert.rejects(dying, (error) => error instanceof WorkerLostError && error.exitCode === 5);
    const holder = (await manager.messages().next()).value as number;
    t.after(() => process.kill(holder, 'SIGKILL'));
    await lost;
    assert.equal(process.kill(holder, 0), true);
    assert.equal(await manager.run(ECHO, [1]), 1);
  });

  test('has no last words when its log file was taken away', LIMIT, async (t) => {
    const logDirectory = await mkdtemp(join(tmpdir(), 'bosun-failure-'));
    t.after(() => rm(logDirectory, { recursive: true, force: true }));
    const manager = makeManager(t, { logDirectory });
    await assert.rejects(manager.run(target('removeThenExit'), [logDirectory]), (error) => {
      return error instanceof WorkerLostError && error.exitCode === 6 && error.stderrTail === '';
    });
    // The next one makes it anew.
    assert.equal(await manager.run(ECHO, [1]), 1);
  });

  test('does not lose what it had sent, more than its socket takes at once', LIMIT, async (t) => {
    const manager = makeManager(t);
    const lost = assert.rejects(manager.run(target('sendManyThenExit'), [16]), { exitCode: 7 });
    const messages: { i: number; bytes: Uint8Array }[] = [];
    for await (const message of manager.messages()) messages.push(message as (typeof messages)[number]);
    await lost;
    assert.deepEqual(
      messages.map(({ i }) => i),
      Array.from({ length: 16 }, (_, i) => i),
    );
    assert.ok(messages.every(({ i, bytes }) => Buffer.compare(bytes, Buffer.alloc(MIB, i)) === 0));
  });

  test('of a task that another task scheduled is in messages() and in the event, with its name', LIMIT, async (t) => {
    const manager = makeManager(t);
    const failed = once(manager, 'task:failed');
    const id = await manager.run<number>(target('scheduleDeath'));
    const messages: unknown[] = [];
    for await (const message of manager.messages()) messages.push(message);
    assert.equal(messages.length, 1);
    const [error] = messages;
    assert.ok(error instanceof WorkerLostError);
    assert.deepEqual([error.taskId, error.taskName, error.exitCode], [id, 'Dies', 8]);
    const [event] = await failed;
    assert.deepEqual([event.id, event.name, event.error], [id, 'Dies', error]);
  });

  test('of such a task is a warning when nobody reads', LIMIT, async (t) => {
    const manager = makeManager(t);
    const warned = warnings(t, 'BOSUN_W001');
    await manager.run(target('scheduleDeath'));
    const { failed, errors } = await manager.close();
    assert.equal(failed, 1);
    assert.ok(errors[0] instanceof WorkerLostError);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(warned.length, 1);
  });
});

test('a result behind many large messages comes whole, and behind them', LIMIT, async (t) => {
  const manager = makeManager(t);
  const result = manager.run<Uint8Array>(target('sendMany'), [16]);
  const order: unknown[] = [];
  void result.then(() => order.push('result'));
  for await (const message of manager.messages()) order.push((message as { i: number }).i);
  assert.equal(Buffer.compare(await result, Buffer.alloc(4 * MIB, 'result')), 0);
  assert.deepEqual(
    order.filter((item) => item !== 'result'),
    Array.from({ length: 16 }, (_, i) => i),
  );
});

describe('a worker that the system cannot start at all', () => {
  test('is tried as often as `restart` says; then everything is refused for that reason', LIMIT, async (t) => {
    // Longer than any system takes for one variable.
    const env = { ...process.env, BOSUN_TEST_LARGE: 'x'.repeat(MIB) };
    const manager = makeManager(t, { env, restart: { max: 2 } });
    const errors: unknown[] = [];
    manager.on('worker:error', ({ error }) => errors.push(error));
    const refused = (error: unknown) => {
      return error instanceof WorkerStartError && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'E2BIG';
    };
    const task = manager.run(ECHO, [1]);
    await Promise.all([assert.rejects(manager.ready(), refused), assert.rejects(task, refused)]);
    // Of the first one, in the constructor, nobody could be told.
    assert.ok(errors.length > 0);
    assert.throws(() => manager.run(ECHO, [1]), refused);
    assert.deepEqual(manager.workers, []);
  });
});

describe('close(CANCEL, { timeout })', () => {
  test('gives what runs so long instead of `grace`', LIMIT, async (t) => {
    const manager = makeManager(t, { grace: 60_000 });
    const handle = manager.schedule(new Stubborn());
    assert.equal((await manager.messages().next()).value, 'running');
    const { workers } = await manager.close('cancel', { timeout: 50 });
    assert.equal(workers[0]?.exitSignal, 'SIGKILL');
    await assert.rejects(handle.result, { code: 'ERR_BOSUN_CANCELLED' });
  });

  test('behind a JOIN that waits stops what runs politely', LIMIT, async (t) => {
    const manager = makeManager(t);
    const handle = manager.schedule(new UntilAborted());
    assert.equal((await manager.messages().next()).value, 'running');
    const joined = manager.close('join');
    void manager.close('cancel', { timeout: 20_000 });
    const { policy, workers } = await joined;
    assert.deepEqual([policy, workers[0]?.exitCode], ['cancel', 0]);
    await assert.rejects(handle.result, { code: 'ERR_BOSUN_CANCELLED' });
  });
});
