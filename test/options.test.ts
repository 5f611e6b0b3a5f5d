// What a ProcessManager refuses: at the call, with a code, before anything changes.

import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, type TestContext, test } from 'node:test';
import {
  type BosunError,
  DataCloneError,
  ProcessManager,
  type ProcessManagerOptions,
  Task,
  withManager,
} from '../lib/index.js';
import { makeManager } from './fixtures/scene.js';
import { Boom, Hello, Say, UntilAborted } from './fixtures/tasks.js';

const TASKS = new URL('./fixtures/tasks.js', import.meta.url);
const target = (name: string) => ({ module: TASKS, export: name });

// biome-ignore lint/suspicious/noExplicitAny: misuse is what these tests are about
type Misuse = any;

const INVALID = { name: 'InvalidArgumentError', code: 'ERR_BOSUN_INVALID_ARGUMENT' };
const OUT_OF_RANGE = { name: 'OutOfRangeError', code: 'ERR_BOSUN_OUT_OF_RANGE' };
const CLOSED = { name: 'ManagerClosedError', code: 'ERR_BOSUN_MANAGER_CLOSED' };

/** Counts the child processes that are started from now on. */
function countChildren(t: TestContext): () => number {
  let count = 0;
  const started = (): void => {
    count += 1;
  };
  subscribe('child_process', started);
  t.after(() => unsubscribe('child_process', started));
  return () => count;
}

/** For each option what it must not be, and the error's shape. */
const WRONG: { readonly [name in keyof ProcessManagerOptions]-?: [error: object, ...values: unknown[]] } = {
  workers: [OUT_OF_RANGE, 0, -1, 1025, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '2', true, 2n],
  minWorkers: [OUT_OF_RANGE, -1, 3, 1.5, '1', {}],
  priorityLevels: [OUT_OF_RANGE, 0, 129, -1, 1.5, '2', [2]],
  kind: [INVALID, 'remote', '', 1, true],
  // Of threads only.
  resourceLimits: [INVALID, {}, { maxOldGenerationSizeMb: 64 }],
  prefetch: [OUT_OF_RANGE, 0, -1, 65_537, 1.5, 'fast', null],
  spin: [INVALID, 'on', true, 50],
  inboxHighWaterMark: [OUT_OF_RANGE, -1, 0.5, 2 ** 31 + 1, Number.POSITIVE_INFINITY, '10'],
  messages: [INVALID, 'drop', '', true, 1],
  throwOnError: [INVALID, 1, 0, 'yes', {}],
  maxFrameBytes: [OUT_OF_RANGE, 1023, 0, -1, 2 ** 31 + 1, Number.POSITIVE_INFINITY, '1024'],
  logDirectory: [INVALID, 5, null, {}, new URL('file:///tmp')],
  setup: [
    INVALID,
    ...['', 5, null, {}, [], 'https://example.org/setup.js', () => {}],
    ...[{ module: TASKS }, { export: 'x' }, { module: TASKS, export: '' }, { module: 5, export: 'x' }],
    ...['__proto__', 'constructor', 'then'].map((name) => ({ module: TASKS, export: name })),
  ],
  stdout: [INVALID, 'ignore', '', 1, false],
  remotes: [INVALID, 'host', {}, [5], [{ host: 'elsewhere.example' }], [{ nothing: 1 }], [{ token: 5 }]],
  root: [INVALID, 5, null, {}],
  execArgv: [INVALID, '--no-deprecation', [1], ['--ok', null], null, {}],
  env: [INVALID, 'A=1', 5, null],
  grace: [OUT_OF_RANGE, -1, 0.5, 2 ** 31, Number.POSITIVE_INFINITY, Number.NaN, '5'],
  concurrency: [OUT_OF_RANGE, 0, 1025, 1.5, '2'],
  yieldWhileWaiting: [INVALID, 0, 1, 'no', {}],
  timeout: [OUT_OF_RANGE, 0, -1, 0.5, 2 ** 31, Number.POSITIVE_INFINITY, '5', null],
  deadline: [OUT_OF_RANGE, 0, -1, 0.5, 2 ** 31, Number.POSITIVE_INFINITY, '5', null],
  retry: [
    { name: /InvalidArgumentError|OutOfRangeError/ },
    ...[
      3,
      null,
      [],
      {},
      { max: -1 },
      { max: 1.5 },
      { max: 1, on: [] },
      { max: 1, on: ['crash'] },
      { max: 1, on: 'lost' },
    ],
    ...[{ max: 1, backoff: 5 }, { max: 1, maxCrashes: 0 }, { max: 65_535 }],
  ],
  maxQueue: [OUT_OF_RANGE, 0, -1, 1.5, '5'],
  whenFull: [INVALID, 'drop', '', true],
  restart: [
    { name: /InvalidArgumentError|OutOfRangeError/ },
    ...[5, null, [], { max: -1 }, { max: 1.5 }, { within: 0 }, { within: Number.POSITIVE_INFINITY }],
  ],
  signal: [INVALID, {}, 5, 'abort', null],
  listen: [
    { name: /InvalidArgumentError|OutOfRangeError/ },
    ...[
      false,
      5,
      null,
      '',
      [],
      { path: 'a\0b' },
      { path: 5 },
      { path: '/a', port: 5 },
      { path: `/${'a'.repeat(120)}` },
    ],
    ...[{ port: -1 }, { port: 65_536 }, { port: '80' }, { host: '' }, { host: 5 }, { token: 'short' }, { prot: 5 }],
    // Not without TLS.
    ...[{ host: '0.0.0.0' }, { host: '::' }, { host: 'example.org' }, { tls: 5 }],
  ],
};

describe('the options of a ProcessManager', () => {
  for (const [name, [error, ...values]] of Object.entries(WRONG)) {
    test(`${name}: a wrong value is an error at the construction, which starts nothing`, (t) => {
      const children = countChildren(t);
      for (const value of values) {
        const shown = Array.isArray(value) ? '[...]' : typeof value === 'object' ? '{...}' : String(value);
        const construct = (): unknown => new ProcessManager({ workers: 2, [name]: value });
        assert.throws(construct, error, `${name}: ${shown}`);
        assert.throws(construct, name === 'setup' ? /module|export|target/ : new RegExp(name), 'it names the option');
      }
      assert.equal(children(), 0);
    });
  }

  test('minWorkers cannot be above workers', (t) => {
    const children = countChildren(t);
    assert.throws(() => new ProcessManager({ workers: 1, minWorkers: 2 }), OUT_OF_RANGE);
    assert.equal(children(), 0);
  });

  test('are one object with known names', (t) => {
    const children = countChildren(t);
    for (const options of [null, 5, 'workers', () => {}]) {
      assert.throws(() => new ProcessManager(options as Misuse), INVALID);
    }
    assert.throws(() => new ProcessManager({ worker: 1 } as Misuse), {
      ...INVALID,
      message: /'worker' is no option.*workers, minWorkers, priorityLevels/,
    });
    assert.throws(() => new ProcessManager({ workers: 1, logdirectory: '/tmp' } as Misuse), /'logdirectory'/);
    assert.equal(children(), 0);
  });

  test('are checked by withManager too, before its body', async () => {
    const body = (): never => assert.fail('the body was called');
    await assert.rejects(withManager({ workers: 0 }, body), OUT_OF_RANGE);
  });

  test('may be undefined, which is as good as left out', async (t) => {
    const undefinedOptions = Object.fromEntries(Object.keys(WRONG).map((name) => [name, undefined]));
    const manager = makeManager(t, { ...(undefinedOptions as Misuse), workers: 1 });
    await manager.ready();
    assert.equal(await manager.run(target('add'), [1, 2]), 3);
  });

  test('minWorkers: 0 starts nobody until there is work', { timeout: 5_000 }, async (t) => {
    const children = countChildren(t);
    const manager = makeManager(t, { minWorkers: 0 });
    await manager.ready();
    assert.deepEqual([children(), manager.workers], [0, []]);
    assert.equal(await manager.run(target('add'), [1, 2]), 3);
    assert.equal(children(), 1);
  });

  test('one more is started for what waits while all are busy', { timeout: 5_000 }, async (t) => {
    const manager = makeManager(t, { workers: 2, minWorkers: 1, prefetch: 1 });
    manager.schedule(new UntilAborted());
    await manager.messages().next();
    assert.equal(await manager.run(target('add'), [1, 2]), 3);
    assert.equal(manager.workers.length, 2);
  });

  test('workers and minWorkers are how many there are', async (t) => {
    const children = countChildren(t);
    const manager = makeManager(t, { workers: 3, minWorkers: 2 });
    assert.equal(children(), 2);
    await manager.ready();
    assert.deepEqual(
      manager.workers.map(({ worker, state }) => [worker, state]),
      [
        [1, 'alive'],
        [2, 'alive'],
      ],
    );
  });

  test("messages: 'discard' counts messages and keeps none", async (t) => {
    const manager = makeManager(t, { messages: 'discard' });
    await manager.schedule(new Say('unheard')).result;
    for await (const message of manager.messages()) assert.fail(`a message: ${message}`);
    const { messages, received, discarded } = manager.stats().inbox;
    assert.deepEqual([messages, received, discarded], [0, 1, 1]);
  });

  test('maxFrameBytes fails a task whose result is longer, and spares its worker', async (t) => {
    const manager = makeManager(t, { maxFrameBytes: 4096 });
    const pid = await manager.run(target('pid'));
    assert.equal(await manager.run(target('echo'), ['x'.repeat(3_000)]), 'x'.repeat(3_000));
    const long = { module: new URL('./fixtures/session-tasks.js', import.meta.url), export: 'long' };
    await assert.rejects(manager.run(long, [9_000]), ({ cause }: { cause: BosunError }) => {
      assert.equal(cause.code, 'ERR_BOSUN_FRAME_TOO_LARGE');
      return true;
    });
    assert.equal(await manager.run(target('pid')), pid);
  });
});

describe('the calls of a ProcessManager', () => {
  test('schedule refuses what is no task, no priority, or cannot travel', (t) => {
    const manager = makeManager(t);
    for (const wrong of [undefined, null, {}, 'task', () => 1, Hello]) {
      assert.throws(() => manager.schedule(wrong as Misuse), { code: 'ERR_BOSUN_NOT_PORTABLE' });
    }
    for (const priority of [-1, 2, 128, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '0', 0n]) {
      assert.throws(() => manager.schedule(new Hello(1), priority as number), OUT_OF_RANGE, String(priority));
      assert.throws(() => manager.schedule(new Hello(1), { priority } as Misuse), OUT_OF_RANGE, String(priority));
    }
    for (const options of [null, [], { levels: 1 }]) {
      assert.throws(() => manager.schedule(new Hello(1), options as Misuse), INVALID);
    }
    assert.throws(() => manager.schedule(Task.from(TASKS, 'pid', [], { priority: 2 })), OUT_OF_RANGE);
    assert.throws(() => manager.schedule(new Say(Symbol('s'))), DataCloneError);
    assert.deepEqual([manager.tasksLeft, manager.stats().tasks.accepted], [0, 0]);
  });

  test('run refuses what is no target, no list of arguments, or no priority', async (t) => {
    const manager = makeManager(t);
    const targets = [undefined, null, 5, {}, '', 'https://example.org/x.js#f', '#f', `${TASKS}#constructor`];
    for (const wrong of [...targets, { module: TASKS }, { export: 'f' }, { module: TASKS, export: 5 }]) {
      assert.throws(() => manager.run(wrong as Misuse), INVALID, JSON.stringify(wrong));
    }
    for (const args of ['abc', { 0: 'a', length: 1 }, 5, null]) {
      assert.throws(() => manager.run(target('pid'), args as Misuse), INVALID);
    }
    for (const priority of [-1, 2, 0.5, '0']) {
      assert.throws(() => manager.run(target('pid'), [], { priority } as Misuse), OUT_OF_RANGE);
    }
    await assert.rejects(manager.run(target('pid'), [() => {}]), DataCloneError);
    assert.deepEqual([manager.tasksLeft, manager.stats().tasks.accepted], [0, 0]);
  });

  test('sendMessage refuses what cannot travel, as a worker does', async (t) => {
    const manager = makeManager(t);
    assert.throws(() => manager.sendMessage({ bad: () => {} }), DataCloneError);
    manager.sendMessage('good');
    const messages: unknown[] = [];
    for await (const message of manager.messages()) messages.push(message);
    assert.deepEqual(messages, ['good']);
  });

  test('close refuses an unknown policy and a wrong timeout, and closes nothing then', async (t) => {
    const manager = makeManager(t);
    for (const policy of ['stop', '', null, 1, 'JOIN']) assert.throws(() => manager.close(policy as Misuse), INVALID);
    for (const timeout of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, '5', null]) {
      assert.throws(() => manager.close('join', { timeout } as Misuse), OUT_OF_RANGE, String(timeout));
    }
    assert.equal(await manager.run(target('add'), [1, 2]), 3);
  });

  test('nothing is taken from the call of close on, nor after it', async (t) => {
    for (const policy of Object.values(ProcessManager.ClosePolicy)) {
      const manager = makeManager(t);
      const refused = async (): Promise<void> => {
        assert.throws(() => manager.schedule(new Hello(1)), CLOSED);
        assert.throws(() => manager.run(target('pid')), CLOSED);
        assert.throws(() => manager.sendMessage('late'), CLOSED);
        await assert.rejects(manager.ready(), CLOSED);
      };
      const closed = manager.close(policy);
      await refused();
      await closed;
      await refused();
      for await (const message of manager.messages()) assert.fail(`a message: ${message}`);
      assert.deepEqual([manager.workers, manager.tasksLeft], [[], 0]);
    }
  });
});

describe('the warning at the end of a ProcessManager', () => {
  async function warnings(body: () => Promise<unknown>): Promise<string[]> {
    const codes: string[] = [];
    const note = (warning: Error & { code?: string }): number => codes.push(String(warning.code));
    process.on('warning', note);
    await body();
    // Warnings are emitted in the next tick.
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', note);
    return codes;
  }

  test('is one, about failures that nobody can have seen', async (t) => {
    const manager = makeManager(t);
    manager.schedule(new Boom());
    manager.schedule(new Boom());
    assert.deepEqual(await warnings(() => manager.close()), ['BOSUN_W001']);
  });

  test('is none when the handle has told, or messages() has', async (t) => {
    const told = makeManager(t);
    await assert.rejects(told.schedule(new Boom()).result);
    assert.deepEqual(await warnings(() => told.close()), [], 'the handle has told');
    const read = makeManager(t);
    read.schedule(new Boom());
    for await (const _ of read.messages());
    assert.deepEqual(await warnings(() => read.close()), [], 'messages() has told');
  });
});
