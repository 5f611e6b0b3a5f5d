// Tasks and chains as they are made and as they travel, and the two managers that need no process.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type BosunError,
  CancellationError,
  Chain,
  currentContext,
  DataCloneError,
  InvalidArgumentError,
  LocalManager,
  type NotPortableError,
  NullManager,
  NullManagerError,
  OutOfRangeError,
  ProcessManager,
  Task,
  type TaskContext,
  type TaskOptions,
  WorkerException,
} from '../lib/index.js';
import { makeManager } from './fixtures/scene.js';
import {
  Homeless,
  Impostor,
  makeUnexported,
  Numbered,
  Renamed,
  Traveller,
  WithOptions,
} from './fixtures/task-kinds.js';
import { Boom, Hello, Say } from './fixtures/tasks.js';

const KINDS = new URL('./fixtures/task-kinds.js', import.meta.url);
const TASKS = new URL('./fixtures/tasks.js', import.meta.url);

// biome-ignore lint/suspicious/noExplicitAny: misuse is what these tests are about
type Misuse = any;

const INVALID = { name: 'InvalidArgumentError', code: 'ERR_BOSUN_INVALID_ARGUMENT' };
const OUT_OF_RANGE = { name: 'OutOfRangeError', code: 'ERR_BOSUN_OUT_OF_RANGE' };

async function collect(manager: ProcessManager | LocalManager): Promise<unknown[]> {
  const messages: unknown[] = [];
  for await (const message of manager.messages()) messages.push(message);
  return messages;
}

/** A local task that sends its name. */
const say = (what: string): Task<string> =>
  new Task(what, (ctx: TaskContext) => {
    void ctx.manager.sendMessage(what);
    return what;
  });

/** What any program can do to every object; undone before anything else runs. */
function polluted<T>(properties: object, body: () => T): T {
  const prototype = Object.prototype as unknown as Record<string, unknown>;
  Object.assign(prototype, properties);
  try {
    return body();
  } finally {
    for (const key of Object.keys(properties)) delete prototype[key];
  }
}

describe('Task', () => {
  test('is constructed around a function, with a name or options in front or behind', async () => {
    const manager = new LocalManager();
    const body = (): string => 'value';
    for (const [task, name] of [
      [new Task(body), 'body'],
      [new Task('named', body), 'named'],
      [new Task(body, { name: 'by option' }), 'by option'],
      [new Task('named', body, { name: 'by option' }), 'named'],
      [new Task(() => 'value'), 'Task'],
    ] as const) {
      assert.equal(task.name, name);
      assert.equal(task.isLocal, true);
      assert.equal(await manager.schedule(task).result, 'value');
    }
  });

  test('is extended, and bears the name of its class or of its option', () => {
    assert.equal(new Boom().name, 'Boom');
    assert.equal(new Traveller('x').name, 'traveller x');
    assert.equal(new Boom().isLocal, false);
    assert.equal(new Boom().target, undefined);
    assert.deepEqual(new Boom().args, []);
    assert.equal(new Boom().kwargs, undefined);
    assert.equal(new Boom().priority, undefined);
  });

  test('names an exported function', () => {
    const task = Task.from(KINDS, 'describeCall', [1], { priority: 3, kwargs: { a: 1 } });
    assert.equal(task.name, 'describeCall');
    assert.deepEqual(task.target, { module: KINDS.href, exportName: 'describeCall' });
    assert.deepEqual([task.args, task.kwargs, task.priority], [[1], { a: 1 }, 3]);
    assert.equal(Task.from(KINDS, 'default').name, 'task-kinds.js');
    assert.equal(Task.from(KINDS, 'default', [], { name: 'mine' }).name, 'mine');
    assert.equal(Task.from('./a/b.js', 'c').target?.module, new URL(`file://${process.cwd()}/a/b.js`).href);
    assert.equal(Task.from('node:path', 'join').target?.module, 'node:path');
  });

  test('refuses misuse at the call, with a code', () => {
    const fn = (): void => {};
    const calls: [string, (Make: Misuse) => unknown][] = [
      ['a name alone', (Make) => new Make('name')],
      ['a name and no function', (Make) => new Make('name', {})],
      ['options in front', (Make) => new Make({}, {})],
      ['options in front of a function', (Make) => new Make({}, fn)],
      ['a number', (Make) => new Make(5)],
      ['null', (Make) => new Make(null)],
      ['no options', (Make) => new Make(fn, 5)],
      ['options behind a name that are none', (Make) => new Make('name', fn, 'options')],
      ['a name that is none', (Make) => new Make(fn, { name: 5 })],
      ['args that are no array', (Make) => new Make(fn, { args: 'abc' })],
      ['kwargs that are no object', (Make) => new Make(fn, { kwargs: 1 })],
      ['kwargs that are null', (Make) => new Make(fn, { kwargs: null })],
      ['no module', (Make) => Make.from(undefined, 'x')],
      ['an empty module', (Make) => Make.from('', 'x')],
      ['a module on the network', (Make) => Make.from('https://example.org/x.js', 'x')],
      ['no export', (Make) => Make.from(KINDS)],
      ['an empty export', (Make) => Make.from(KINDS, '')],
      ['an export that every object has', (Make) => Make.from(KINDS, 'constructor')],
      ['arguments that are no array', (Make) => Make.from(KINDS, 'describeCall', 'abc')],
    ];
    for (const [what, call] of calls) assert.throws(() => call(Task), INVALID, what);
    assert.ok(new InvalidArgumentError() instanceof TypeError);
  });

  test('has a priority from 0 to 127', () => {
    for (const priority of [0, 127]) assert.equal(new Task({ priority }).priority, priority);
    for (const priority of [-1, 128, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '1', 1n, null]) {
      assert.throws(() => new Task({ priority: priority as number }), OUT_OF_RANGE, String(priority));
    }
    assert.ok(new OutOfRangeError() instanceof RangeError);
  });

  test('is not thenable, so that it can be returned from async functions', async () => {
    for (const task of [new Boom(), new Task(() => 1), Task.from(KINDS, 'describeCall'), new Chain([])]) {
      assert.equal('then' in task, false);
      assert.equal(await (async () => task)(), task);
    }
  });

  test('its own function gets args, then kwargs if there are any, then the context', async () => {
    const calls: unknown[][] = [];
    const fn = (...args: unknown[]): void => {
      calls.push(args);
      assert.equal(args.at(-1), currentContext());
    };
    const manager = new LocalManager();
    const kwargs = { deep: { a: 1 } };
    for (const options of [{}, { args: [1, 2] }, { args: [1], kwargs }, { kwargs }] as TaskOptions[]) {
      await manager.schedule(new Task(fn, options)).result;
    }
    assert.deepEqual(
      calls.map((args) => args.slice(0, -1)),
      [[], [1, 2], [1, kwargs], [kwargs]],
    );
  });

  test('a named function gets args, then kwargs if there are any, and finds the context', async (t) => {
    const manager = makeManager(t);
    const call = (args: unknown[], options?: TaskOptions): Promise<unknown> =>
      manager.schedule(Task.from(KINDS, 'describeCall', args, options)).result;
    assert.deepEqual(await call([]), { args: [], taskId: 1 });
    assert.deepEqual(await call([1, 'b']), { args: [1, 'b'], taskId: 2 });
    assert.deepEqual(await call([1], { kwargs: { a: [2] } }), { args: [1, { a: [2] }], taskId: 3 });
    assert.deepEqual(await manager.schedule(Task.from(KINDS, 'default', [7])).result, { args: [7], taskId: 4 });
  });
});

describe('a task that travels', () => {
  test('keeps its fields and its name, and is not constructed again', async (t) => {
    const task = new Traveller('x');
    const report = await makeManager(t).schedule(task).result;
    assert.deepEqual(report, {
      constructed: 0,
      fields: { label: 'x', when: new Date(5), parts: new Map([['a', new Set([1])]]) },
      isTraveller: true,
      name: 'traveller x',
      contexts: true,
    });
  });

  test('keeps its own fields behind others of its class', async (t) => {
    const manager = makeManager(t, { workers: 1 });
    for (const number of [1, 2, 3]) {
      const report = await manager.schedule(new Numbered(number)).result;
      assert.deepEqual(report, { number, name: 'Numbered', isNumbered: true, id: number });
    }
    await assert.rejects(manager.schedule(new Numbered(-4)).result, (error: WorkerException) => {
      assert.deepEqual([error.taskName, (error.cause as Error).message], ['Numbered', 'Numbered -4']);
      return true;
    });
  });

  test('keeps the args and kwargs that its constructor gave to Task', async (t) => {
    const task = new WithOptions({ args: [1, new Date(2)], kwargs: { three: 3 } });
    const expected = { args: [1, new Date(2)], kwargs: { three: 3 } };
    assert.deepEqual(await new LocalManager().schedule(task).result, expected);
    assert.deepEqual(await makeManager(t).schedule(task.clone()).result, expected);
  });

  test('is found under another export', async (t) => {
    assert.equal(await makeManager(t).schedule(new Renamed()).result, 'Hidden ran');
  });

  test('goes as it is when it is scheduled; later changes are not seen', async (t) => {
    const manager = makeManager(t);
    const what = { n: 1 };
    const args = [what];
    manager.schedule(new Say(what));
    const call = manager.schedule(Task.from(KINDS, 'describeCall', args));
    what.n = 2;
    args.push(what);
    assert.deepEqual(await call.result, { args: [{ n: 1 }], taskId: 2 });
    assert.deepEqual(await collect(manager), [{ n: 1 }]);
  });

  test('is refused at the call when it can be no worker task', (t) => {
    const manager = makeManager(t);
    const local = new Task('mine', () => 1);
    for (const task of [local, new Homeless(), new (class extends Task {})(), new Chain([new Hello(1), local])]) {
      assert.throws(() => manager.schedule(task), { name: 'NotPortableError', code: 'ERR_BOSUN_NOT_PORTABLE' });
    }
    assert.throws(() => manager.schedule(local), /task 'mine'.*Task\.from/);
    assert.throws(() => manager.schedule(new Homeless()), /static module = import\.meta\.url, and export Homeless/);
    assert.throws(() => manager.schedule(new Say({ callback: () => {} })), DataCloneError);
    assert.equal(manager.tasksLeft, 0);
  });

  test('fails in the worker, which names what the module exports, when its class is not among it', async (t) => {
    const manager = makeManager(t);
    const failure = async (task: Task, expected: RegExp): Promise<void> =>
      assert.rejects(manager.schedule(task).result, (error: WorkerException) => {
        assert.ok(error instanceof WorkerException);
        const cause = error.cause as NotPortableError;
        assert.deepEqual([cause.name, cause.code], ['NotPortableError', 'ERR_BOSUN_NOT_PORTABLE']);
        assert.match(cause.message, expected);
        return true;
      });
    await failure(makeUnexported(), /task-kinds\.js exports no function 'Unexported'; it exports .*Renamed.*Traveller/);
    await failure(Task.from(KINDS, 'nothing'), /exports no function 'nothing'; it exports .*describeCall/);
    await failure(Task.from(KINDS, 'toString'), /exports no function 'toString'/);
    await failure(new Impostor(), /describeCall of .*task-kinds\.js is no subclass/);
    await failure(new WithOptionsElsewhere(), /exports no function 'WithOptionsElsewhere'/);
    assert.equal(manager.stats().tasks.failed, 5);
  });
});

/** Inherits the module of its base class, where it is not. */
class WithOptionsElsewhere extends WithOptions {}

describe('Chain', () => {
  test('stops at the first error, is one task, and spares the worker (U4)', async (t) => {
    const manager = makeManager(t);
    const chain = manager.schedule(new Chain([new Hello(0), new Boom(), new Hello(1)]));
    assert.equal(manager.tasksLeft, 1);
    const messages = await collect(manager);
    assert.equal(messages.length, 2);
    assert.deepEqual(messages[0], { hi: 0 });
    const failure = messages[1] as WorkerException;
    assert.ok(failure instanceof WorkerException);
    assert.equal((failure.cause as Error).message, 'boom');
    assert.match(String(failure), /fixtures\/tasks\.js:\d+/);
    await assert.rejects(chain.result, (error) => error === failure);
    assert.equal(await manager.schedule(new Hello(2)).result, failure.pid);
    assert.deepEqual(await collect(manager), [{ hi: 2 }]);
  });

  test('gives the results of its tasks, in order; it nests and may be empty', async (t) => {
    const add = (a: number, b: number): Task => Task.from(TASKS, 'add', [a, b]);
    const chain = new Chain([add(1, 2), new Chain([add(3, 4), new Chain([])]), add(5, 6)]);
    const manager = makeManager(t);
    assert.deepEqual(await manager.schedule(chain).result, [3, [7, []], 11]);
    assert.deepEqual(await manager.schedule(new Chain([])).result, []);
    assert.equal(manager.stats().tasks.done, 2);
  });

  test('runs in one session, one task after the other', async () => {
    const order: string[] = [];
    const sessions = new Set<unknown>();
    const step = (name: string): Task =>
      new Task(name, async (ctx: TaskContext) => {
        sessions.add(ctx.session);
        order.push(`${name} begins`);
        await new Promise((resolve) => setImmediate(resolve));
        order.push(`${name} ends`);
      });
    await new LocalManager().schedule(new Chain([step('a'), step('b')])).result;
    assert.deepEqual(order, ['a begins', 'a ends', 'b begins', 'b ends']);
    assert.equal(sessions.size, 1);
  });

  test('keeps its own list, has options, and takes nothing but tasks', () => {
    const tasks: Task[] = [new Boom()];
    const chain = new Chain(tasks, { name: 'three steps', priority: 1 });
    tasks.push(new Boom());
    assert.deepEqual([chain.tasks.length, chain.name, chain.priority], [1, 'three steps', 1]);
    assert.equal(new Chain([]).name, 'Chain');
    for (const wrong of [undefined, null, 'ab', new Boom(), [() => 1], [new Boom(), undefined]]) {
      assert.throws(() => new Chain(wrong as Misuse), INVALID);
    }
  });
});

describe('NullManager', () => {
  test('ignores messages and refuses tasks (U5)', () => {
    const manager = new NullManager();
    assert.equal(manager.sendMessage({ any: 'thing' }), undefined);
    assert.equal(
      manager.sendMessage(() => {}),
      undefined,
    );
    assert.throws(() => manager.schedule(new Hello(1)), NullManagerError);
    assert.throws(() => manager.schedule(new Hello(1)), { code: 'ERR_BOSUN_NULL_MANAGER' });
  });
});

describe('LocalManager', () => {
  test('runs the most urgent first, first in first out inside a level, the same every time', async () => {
    const runs = await Promise.all(
      Array.from({ length: 3 }, async () => {
        const manager = new LocalManager({ priorityLevels: 4 });
        for (const level of [3, 1, 0, 2, 0, 3]) {
          for (let i = 0; i < 3; i++) manager.schedule(say(`${level}`), level);
        }
        return collect(manager);
      }),
    );
    assert.deepEqual(runs[0], [...'000000111222333333']);
    assert.deepEqual(runs[1], runs[0]);
    assert.deepEqual(runs[2], runs[0]);
  });

  test('takes the argument, then the priority of the task, then level 1', async () => {
    const manager = new LocalManager({ priorityLevels: 3 });
    const own = new Task('own', (ctx: TaskContext) => void ctx.manager.sendMessage('own'), { priority: 2 });
    manager.schedule(own);
    manager.schedule(say('default'));
    manager.schedule(own.clone(), 0);
    assert.deepEqual(await collect(manager), ['own', 'default', 'own']);
    assert.equal(await new LocalManager({ priorityLevels: 1 }).schedule(say('only')).result, 'only');
  });

  test('tasks schedule more, before what waits below them', async () => {
    const manager = new LocalManager();
    const parent = new Task('parent', (ctx: TaskContext) => {
      ctx.manager.schedule(say('child'), 0);
      void ctx.manager.sendMessage('parent');
    });
    manager.schedule(parent, 1);
    manager.schedule(say('other'), 1);
    assert.deepEqual(await collect(manager), ['parent', 'child', 'other']);
  });

  test('messages() ends when nothing is left, the reader may schedule, and it can be called again', async () => {
    const manager = new LocalManager();
    assert.deepEqual(await collect(manager), []);
    for (let i = 0; i < 10; i++) manager.schedule(say(`${i}`));
    let count = 0;
    for await (const _ of manager.messages()) {
      count += 1;
      if (count <= 10) manager.schedule(say('more'));
    }
    assert.equal(count, 20);
    assert.equal(manager.tasksLeft, 0);
    manager.sendMessage('from outside');
    assert.deepEqual(await collect(manager), ['from outside']);
  });

  test('has one reader at a time', () => {
    const manager = new LocalManager();
    const messages = manager.messages();
    assert.throws(
      () => manager.messages(),
      (error: BosunError) => error.code === 'ERR_BOSUN_MANAGER_BUSY',
    );
    void messages.return?.();
    manager.messages();
  });

  test('an error is a WorkerException, in the handle and in the inbox, and stops nothing', async () => {
    const manager = new LocalManager();
    const cause = new RangeError('boom');
    const handle = manager.schedule(
      new Task('bad', () => {
        throw cause;
      }),
    );
    manager.schedule(say('good'));
    const [failure, message] = (await collect(manager)) as [WorkerException, unknown];
    assert.ok(failure instanceof WorkerException);
    assert.equal(failure.cause, cause);
    assert.deepEqual([failure.taskName, failure.taskId, failure.pid], ['bad', 1, process.pid]);
    await assert.rejects(handle.result, (error) => error === failure);
    assert.equal(message, 'good');
  });

  test('a message is cloned, and one that cannot be fails its task alone', async () => {
    const manager = new LocalManager();
    const message = { n: 1 };
    manager.sendMessage(message);
    message.n = 2;
    const handle = manager.schedule(new Task((ctx: TaskContext) => ctx.manager.sendMessage({ bad: () => {} })));
    await assert.rejects(handle.result, (error: WorkerException) => error.cause instanceof DataCloneError);
    assert.throws(() => manager.sendMessage(Symbol('s')), DataCloneError);
    assert.deepEqual((await collect(manager))[0], { n: 1 });
  });

  test('runs a function that Task.from names, alone and in a Chain', async () => {
    const manager = new LocalManager();
    const call = (): Task => Task.from(KINDS, 'describeCall', [1], { kwargs: { a: 2 } });
    assert.deepEqual(await manager.schedule(call()).result, { args: [1, { a: 2 }], taskId: 1 });
    assert.deepEqual(await manager.schedule(new Chain([call()])).result, [{ args: [1, { a: 2 }], taskId: 2 }]);
  });

  test('cancel drops a waiting task and gives the reason', async () => {
    const manager = new LocalManager();
    manager.schedule(say('stays'));
    const handle = manager.schedule(say('goes'));
    handle.cancel('not needed');
    assert.equal(manager.tasksLeft, 1);
    await assert.rejects(handle.result, { code: 'ERR_BOSUN_CANCELLED', cause: 'not needed' });
    assert.deepEqual(await collect(manager), ['stays']);
    handle.cancel();
  });

  test('cancel aborts the signal of a running task, which ends as cancelled', async () => {
    const manager = new LocalManager();
    let finish: () => void = () => {};
    const handle = manager.schedule(
      new Task(async ({ signal, manager: own }: TaskContext) => {
        void own.sendMessage('running');
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
        signal.throwIfAborted();
      }),
    );
    const messages = manager.messages();
    assert.equal((await messages.next()).value, 'running');
    handle.cancel();
    finish();
    await assert.rejects(handle.result, CancellationError);
    assert.deepEqual(await messages.next(), { done: true, value: undefined });
  });

  test('refuses wrong levels, priorities and tasks at the call', () => {
    for (const priorityLevels of [0, 129, 1.5, '2']) {
      assert.throws(() => new LocalManager({ priorityLevels } as Misuse), OUT_OF_RANGE, String(priorityLevels));
    }
    const manager = new LocalManager();
    for (const priority of [-1, 2, 0.5, '0']) {
      assert.throws(() => manager.schedule(say('x'), priority as number), OUT_OF_RANGE, String(priority));
    }
    for (const wrong of [undefined, null, {}, () => 1]) {
      assert.throws(() => manager.schedule(wrong as Misuse), /ERR_BOSUN_|only a Task can be scheduled/);
    }
    assert.equal(manager.tasksLeft, 0);
  });
});

describe('a polluted Object.prototype', () => {
  test('does not configure tasks', () => {
    const seen = polluted({ name: 'evil', args: ['evil'], kwargs: { evil: true }, priority: 0 }, () => {
      const tasks = [new Boom(), new Task(() => 1), new Task('fn', () => 1, {}), Task.from(KINDS, 'describeCall')];
      return [...tasks, new Chain([])].map(({ name, args, kwargs, priority }) => [name, args, kwargs, priority]);
    });
    const plain = (name: string): unknown[] => [name, [], undefined, undefined];
    assert.deepEqual(seen, ['Boom', 'Task', 'fn', 'describeCall', 'Chain'].map(plain));
  });

  test('does not configure managers or calls', async (t) => {
    const evil = { workers: 3, minWorkers: 3, priorityLevels: 9, priority: 7, setup: '/evil.js', execArgv: ['--evil'] };
    const [manager, result] = polluted(evil, () => {
      const made = new ProcessManager({ workers: 1, minWorkers: 1 });
      t.after(() => made.close('kill'));
      return [made, made.run<number>({ module: TASKS, export: 'add' }, [1, 2])];
    });
    assert.equal(manager.workers.length, 1);
    assert.equal(manager.stats().tasks.byPriority.length, 2);
    assert.equal(await result, 3);
    assert.throws(() => polluted(evil, () => new LocalManager()).schedule(say('x'), 8), OUT_OF_RANGE);
  });
});
