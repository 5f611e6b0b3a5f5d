// Graphs of tasks that are made: what runs, in which order, and how it ends.

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import {
  CancellationError,
  CycleError,
  durationsOf,
  FSMError,
  type GraphNode,
  InvalidArgumentError,
  LocalManager,
  make,
  makeLater,
  makeNow,
  ProcessManager,
  snapshotOf,
  Task,
  type TaskContext,
  TaskError,
  type TaskOptions,
} from '../lib/index.js';
import { makeManager, makeNotes } from './fixtures/scene.js';

const TASKS = new URL('./fixtures/graph-tasks.js', import.meta.url);

// biome-ignore lint/suspicious/noExplicitAny: misuse is what these tests are about
type Misuse = any;

const call = (name: string, args: unknown[] = [], options: TaskOptions = {}): Task<number> =>
  Task.from<number>(TASKS, name, args, { history: true, ...options });
const events = (task: Task): string => (task.history ?? []).map(({ event }) => event).join(' ');
const states = (...tasks: Task[]): string[] => tasks.map(({ state }) => state);
const names = (tasks: readonly Task[]): string[] => tasks.map(({ name }) => name);

/** Bodies that say in which order they are run, and end when they are told to. */
function makeStage() {
  const order: string[] = [];
  const ends = new Map<string, () => void>();
  return {
    order,
    /** The names of those that run now. */
    running: (): string[] => [...ends.keys()],
    end(name: string): void {
      ends.get(name)?.();
      ends.delete(name);
    },
    task: (name: string, options: TaskOptions = {}): Task => {
      return new Task(name, () => void order.push(name), options);
    },
    held: (name: string, options: TaskOptions = {}): Task => {
      const body = (): Promise<void> => {
        order.push(name);
        return new Promise((resolve) => ends.set(name, resolve));
      };
      return new Task(name, body, options);
    },
  };
}

const broken = (name: string, options: TaskOptions = {}): Task<never> => {
  const body = (): never => {
    throw new Error(`${name} is broken`);
  };
  return new Task<never>(name, body, options);
};

/** a -> (b, c) -> d. */
function makeDiamond(b: Task = new Task('b', () => 'b')) {
  const a = new Task('a', () => 'a');
  const c = a.andThen('c', () => 'c');
  const d = new Task('d', () => 'd', { history: true });
  d.require(b.require(a)).require(c);
  return { a, b, c, d };
}

describe('make', () => {
  test('gives the six lines of the reference, to the letter', async (t: TestContext) => {
    const lines: string[] = [];
    t.mock.method(console, 'log', (line: string) => lines.push(line));
    const t1 = new Task('t1', () => console.log('doing t1'), { track: true });
    const t2 = t1.andThen('t2', () => console.log('doing t2'), { track: true });
    assert.deepEqual(await makeNow(t2), [t2]);
    assert.deepEqual(lines, [
      't1 PENDING->dispatch->RUNNING',
      'doing t1',
      't1 RUNNING->done->DONE',
      't2 PENDING->dispatch->RUNNING',
      'doing t2',
      't2 RUNNING->done->DONE',
    ]);
  });

  test('makes the leaf, and the root once before it', async () => {
    let count = 0;
    const root = new Task('root', () => {
      count += 1;
    });
    const leaf = root.andThen(() => 1).andThen(() => 2);
    assert.equal(root.isCompleted(), false);
    await assert.rejects(leaf.dispatch(), { code: 'ERR_BOSUN_BLOCKED' });
    assert.equal(await leaf.make(), true);
    assert.deepEqual([root.isCompleted(), leaf.state, count], [true, 'DONE', 1]);
    assert.equal(await leaf.make(), true);
    assert.equal(count, 1);
    leaf.clone().cancel();
    const cancelled = new Task(() => 1);
    cancelled.cancel();
    assert.equal(await cancelled.make(), false);
  });

  test('yields each task that was asked for, once, when it has ended', async () => {
    const stage = makeStage();
    const [slow, quick] = [stage.held('slow'), stage.task('quick')];
    const last = slow.andThen(stage.task('last'));
    const seen: string[] = [];
    for await (const task of make([slow, last, quick, slow])) {
      seen.push(task.name);
      if (task === quick) stage.end('slow');
    }
    assert.deepEqual(seen, ['quick', 'slow', 'last']);
    assert.deepEqual(names(await makeNow([last, quick])), ['last', 'quick']);
  });

  test('runs all at once that nothing blocks, or as many as it may', async () => {
    for (const [concurrency, expected] of [
      [undefined, ['a', 'b', 'c', 'd']],
      [2, ['a', 'b']],
      [1, ['a']],
    ] as const) {
      const stage = makeStage();
      const tasks = ['a', 'b', 'c', 'd'].map((name) => stage.held(name));
      const made = makeNow(tasks, concurrency === undefined ? {} : { concurrency });
      await turn();
      assert.deepEqual(stage.running(), expected);
      for (const name of ['a', 'b', 'c', 'd']) {
        while (!stage.running().includes(name)) await turn();
        stage.end(name);
      }
      assert.deepEqual(names(await made), ['a', 'b', 'c', 'd']);
    }
  });

  test('goes on while nobody asks for more', async () => {
    const stage = makeStage();
    const first = stage.task('first');
    const last = first.andThen(stage.task('second')).andThen(stage.task('last'));
    const iterator = make([first, last]);
    assert.deepEqual(stage.order, []);
    await iterator.next();
    await last.join();
    assert.deepEqual(stage.order, ['first', 'second', 'last']);
  });

  test('begins nothing more when it is left', async () => {
    const stage = makeStage();
    const first = stage.task('first');
    const next = stage.held('next');
    const last = next.andThen(stage.task('last'));
    for await (const _ of make([first, last])) break;
    stage.end('next');
    await next.join();
    await turn();
    assert.deepEqual(states(first, next, last), ['DONE', 'DONE', 'PENDING']);
    assert.deepEqual(names(await makeNow(last)), ['last']);
  });

  test('fails what requires what has failed, names that, and makes the rest', async () => {
    const { a, b, c, d } = makeDiamond(broken('b'));
    const result = d.result;
    assert.deepEqual(await makeNow(d), [d]);
    assert.deepEqual(states(a, b, c, d), ['DONE', 'FAILED', 'DONE', 'FAILED']);
    assert.deepEqual(
      [events(d), d.history?.[0]?.extra['reason'], d.history?.[0]?.extra['prerequisites']],
      ['error', 'failed prerequisites', [b]],
    );
    await assert.rejects(result, (error: TaskError) => {
      assert.ok(error instanceof TaskError);
      assert.deepEqual([error.task, error.prerequisites, (error.cause as Error).message], [d, [b], 'b is broken']);
      return /task 'd' was not run: failed prerequisites 'b'/.test(error.message);
    });
  });

  test('stops at the first failure with failFast', async () => {
    const { a, b, c, d } = makeDiamond(broken('b'));
    assert.deepEqual(await makeNow(d, { failFast: true, concurrency: 1 }), []);
    assert.deepEqual(states(a, b, c, d), ['DONE', 'FAILED', 'PENDING', 'PENDING']);
    const last = new Task('last', () => 1);
    const bad = broken('bad');
    assert.deepEqual(await makeNow([bad, last], { failFast: true, concurrency: 1 }), [bad]);
    assert.equal(last.state, 'PENDING');
  });

  test('is gone on with when what has failed was repaired and retried', async () => {
    let isBroken = true;
    const b = new Task('b', () => {
      if (isBroken) throw new Error('x');
    });
    const { a, c, d } = makeDiamond(b);
    await makeNow(d);
    isBroken = false;
    // Nothing is made for a task of which it is known that it cannot be.
    const [late, extra] = [new Task('late', () => 1), new Task('extra', () => 1)];
    await late.require(b).require(extra).make();
    assert.deepEqual(states(late, extra), ['FAILED', 'PENDING']);
    for (const task of [b, d]) task.retry();
    assert.deepEqual(await makeNow(d), [d]);
    assert.deepEqual(states(a, b, c, d), ['DONE', 'DONE', 'DONE', 'DONE']);
  });

  test('goes on with what a callback retries', async () => {
    let left = 3;
    const flaky = new Task('flaky', () => {
      left -= 1;
      if (left > 0) throw new Error('x');
    });
    flaky.on('FAILED', () => flaky.retry());
    const next = flaky.andThen('next', () => 1);
    assert.deepEqual(await makeNow([flaky, next]), [flaky, next]);
    assert.deepEqual(states(flaky, next), ['DONE', 'DONE']);
    assert.equal(left, 0);
  });

  test('cancels, or aborts, what requires what was cancelled or aborted', async () => {
    const cancelled = makeDiamond(new Task('b', ({ signal }: TaskContext) => void Task.current()?.cancel(signal)));
    assert.deepEqual(await makeNow(cancelled.d), [cancelled.d]);
    assert.deepEqual(states(cancelled.b, cancelled.c, cancelled.d), ['CANCELLED', 'DONE', 'CANCELLED']);
    await assert.rejects(cancelled.d.result, (error: CancellationError) => {
      return error instanceof CancellationError && /it requires 'b', cancelled/.test(error.message);
    });
    const { b, d } = makeDiamond(broken('b'));
    b.on('FAILED', () => b.fire('abort'));
    await makeNow(d);
    assert.deepEqual(states(b, d), ['ABORT', 'ABORT']);
  });

  test('leaves what has ended before as it is', async () => {
    const failed = broken('failed');
    await failed.dispatch();
    const cancelled = new Task('cancelled', () => 1);
    cancelled.cancel();
    const aborted = new Task('aborted', () => 1);
    aborted.abort();
    const tasks = [failed, cancelled, aborted];
    assert.deepEqual(await makeNow(tasks), tasks);
    assert.deepEqual(states(...tasks), ['FAILED', 'CANCELLED', 'ABORT']);
    assert.deepEqual(await makeNow([]), []);
  });

  test('waits for what is queued or runs already', async () => {
    const stage = makeStage();
    const running = stage.held('running');
    const queued = stage.task('queued');
    void running.dispatch();
    queued.fire('queue');
    const last = new Task('last', () => 1).require(running).require(queued);
    const made = makeNow(last);
    stage.end('running');
    await running.join();
    assert.equal(last.state, 'PENDING');
    void queued.dispatch();
    assert.deepEqual(await made, [last]);
  });

  test('runs nothing twice, whoever makes it', async () => {
    const stage = makeStage();
    const shared = stage.held('shared');
    const [left, right] = [shared.andThen(stage.task('left')), shared.andThen(stage.task('right'))];
    const both = Promise.all([makeNow(left), makeNow([right, shared])]);
    await turn();
    stage.end('shared');
    await both;
    assert.deepEqual(stage.order, ['shared', 'left', 'right']);
  });

  test('refuses PREPARE, and goes when it is prepared', async () => {
    const task = new Task('x', () => 1, { state: 'PREPARE' });
    const next = new Task('next', () => 1);
    next.require(task);
    for (const one of [task, next]) {
      await assert.rejects(makeNow(one), (error: FSMError) => {
        return error instanceof FSMError && /^cannot make a PREPARE task/.test(error.message);
      });
    }
    assert.throws(() => makeLater(new LocalManager(), task), FSMError);
    task.fire('prepared');
    assert.deepEqual(names(await makeNow(next)), ['next']);
  });

  test('refuses circles, and names them, before anything has run', async () => {
    const stage = makeStage();
    const [a, b, c] = ['a', 'b', 'c'].map((name) => stage.task(name)) as [Task, Task, Task];
    const first = stage.task('first');
    a.require(b.require(c.require(a)).require(first));
    const isCircle = (error: CycleError): boolean => {
      assert.ok(error instanceof CycleError);
      assert.deepEqual(error.cycle, [a, b, c]);
      return error.message.endsWith("'a' -> 'b' -> 'c' -> 'a'");
    };
    await assert.rejects(makeNow([first, a]), isCircle);
    assert.throws(() => makeLater(new LocalManager(), a), isCircle);
    assert.deepEqual(stage.order, []);
  });

  test('finds a circle that is closed while it runs, and follows what is required meanwhile', async () => {
    const late = new Task('late', () => 'late');
    const last: Task = new Task('last', (ctx: TaskContext) => ctx.resultOf('late'));
    const first = new Task('first', () => void last.require(late));
    last.require(first);
    await makeNow(last);
    assert.equal(await last.result, 'late');
    const [a, b] = [new Task('a', () => 1), new Task('b', () => 1)];
    const closes = new Task('closes', () => void a.require(b.require(a)));
    a.require(closes);
    await assert.rejects(makeNow(a), (error: CycleError) => error instanceof CycleError && error.cycle.length === 2);
    assert.deepEqual(states(a, b, closes), ['PENDING', 'PENDING', 'DONE']);
  });

  test('is stopped by its signal: what was begun is cancelled, the rest stays', async () => {
    const stage = makeStage();
    const controller = new AbortController();
    const begun = new Task('begun', async ({ signal }: TaskContext) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    });
    const done = stage.task('done');
    const last = begun.andThen(stage.task('last'));
    const seen: string[] = [];
    const loop = async (): Promise<void> => {
      for await (const task of make([done, last], { signal: controller.signal })) {
        seen.push(task.name);
        controller.abort('enough');
      }
    };
    await assert.rejects(loop(), (reason) => reason === 'enough');
    await begun.join();
    assert.deepEqual(states(done, begun, last), ['DONE', 'CANCELLED', 'PENDING']);
    await assert.rejects(makeNow(last, { signal: controller.signal }), (reason) => reason === 'enough');
    assert.deepEqual(seen, ['done']);
  });

  test('takes the most urgent first, then the first', async () => {
    const stage = makeStage();
    const tasks = [
      stage.task('default'),
      stage.task('late', { priority: 2 }),
      stage.task('urgent', { priority: 0 }),
      stage.task('also', { priority: 1 }),
      stage.task('soon', { priority: 0 }),
    ];
    await makeNow(tasks, { concurrency: 1 });
    assert.deepEqual(stage.order, ['urgent', 'soon', 'default', 'also', 'late']);
  });

  test('takes the longest chain first when it is told to', async () => {
    const build = () => {
      const stage = makeStage();
      const [short, long, x] = [stage.task('short'), stage.task('long'), stage.task('x', { key: 'known' })];
      const all = new Task('all', () => 1);
      all
        .require(short)
        .require(x)
        .require(long.andThen(stage.task('y')).andThen(stage.task('z')));
      return { stage, all };
    };
    for (const [options, expected] of [
      [{}, ['short', 'x', 'long', 'y', 'z']],
      [{ criticalPath: true }, ['long', 'y', 'short', 'x', 'z']],
      [{ criticalPath: true, durations: { short: 100 } }, ['long', 'y', 'short', 'x', 'z']],
      [
        { criticalPath: true, durations: { short: 9, long: 1, y: 1, z: 1, known: 2 } },
        ['short', 'long', 'x', 'y', 'z'],
      ],
      [
        {
          criticalPath: true,
          durations: new Map([
            ['known', 500],
            ['long', 1],
            ['y', 1],
            ['z', 1],
          ]),
        },
        ['x', 'short', 'long', 'y', 'z'],
      ],
    ] as [object, string[]][]) {
      const { stage, all } = build();
      await makeNow(all, { concurrency: 1, ...options });
      assert.deepEqual(stage.order, expected, JSON.stringify(options));
    }
  });

  test('runs tasks of one key once, and gives the others the outcome', async () => {
    let count = 0;
    const once = () => new Task('same', () => ++count, { key: 'k', history: true });
    const tasks = [once(), once(), once()];
    const last = new Task('last', () => 1);
    for (const task of tasks) last.require(task);
    await makeNow([last, ...tasks]);
    assert.equal(count, 1);
    assert.deepEqual(await Promise.all(tasks.map((task) => task.result)), [1, 1, 1]);
    assert.deepEqual(tasks.map(events), Array(3).fill('dispatch done'));
    const late = [...tasks, once()];
    await makeNow(late);
    assert.deepEqual([count, await late[3]?.result], [1, 1]);
    const failing = [broken('f', { key: 'f' }), broken('f', { key: 'f' })] as const;
    await makeNow(failing);
    assert.deepEqual(states(...failing), ['FAILED', 'FAILED']);
    assert.equal(
      await failing[0].result.catch((error: unknown) => error),
      await failing[1].result.catch((error: unknown) => error),
    );
    const stopped = [new Task(() => Task.current()?.cancel(), { key: 'c' }), new Task(() => 1, { key: 'c' })] as const;
    await makeNow(stopped);
    assert.deepEqual(states(...stopped), ['CANCELLED', 'CANCELLED']);
  });

  test('hands tasks to a function that dispatches them later', async () => {
    const { a, b, c, d } = makeDiamond();
    const queued: string[] = [];
    await makeNow(d, {
      queue: (task) => {
        queued.push(`${task.name} ${task.state}`);
        setImmediate(() => void task.dispatch());
      },
    });
    assert.deepEqual(queued, ['a QUEUED', 'b QUEUED', 'c QUEUED', 'd QUEUED']);
    assert.deepEqual(states(a, b, c, d), Array(4).fill('DONE'));
    assert.equal(events(d), 'queue dispatch done');
    const refuse = [
      () => {
        throw new Error('no');
      },
      async () => {
        throw new Error('no');
      },
    ];
    for (const queue of refuse) {
      const task = new Task('x', () => 1);
      const next = task.andThen(() => 1);
      await makeNow(next, { queue: queue as Misuse });
      assert.deepEqual(states(task, next), ['CANCELLED', 'CANCELLED']);
      await assert.rejects(task.result, (error: CancellationError) => (error.cause as Error).message === 'no');
    }
  });

  test('makes a chain of 100 000 tasks', async () => {
    let count = 0;
    const inTurn = (i: number) => {
      assert.equal(count, i);
      count += 1;
    };
    const first = new Task('first', () => inTurn(0));
    let last = first;
    for (let i = 1; i < 100_000; i++) last = last.andThen('next', () => inTurn(i));
    assert.equal(await last.make(), true);
    assert.deepEqual([count, last.state], [100_000, 'DONE']);
    const aborted = last.andThen(() => 1);
    assert.equal(aborted.isBlocked(), false);
  });

  test('fails, and aborts, a chain of 20 000 tasks with its first', async () => {
    const first = broken('first');
    const chain: Task[] = [first];
    for (let i = 1; i < 20_000; i++) chain.push((chain.at(-1) as Task).andThen(`next ${i}`, () => 1));
    const last = chain.at(-1) as Task;
    await last.make();
    assert.deepEqual(new Set(states(...chain)), new Set(['FAILED']));
    // Errors that have each other as causes could not be shown.
    const error = (await last.result.catch((thrown: unknown) => thrown)) as Error;
    assert.equal((error.cause as Error).message, 'first is broken');
    for (const task of chain) task.retry();
    first.abort();
    assert.deepEqual(new Set(states(...chain)), new Set(['ABORT']));
  });

  test('lets the event loop have its turns', async () => {
    let turns = 0;
    const count = setInterval(() => {
      turns += 1;
    }, 0);
    let last = new Task('first', () => 1);
    for (let i = 0; i < 20_000; i++) last = last.andThen('next', () => 1);
    await last.make();
    clearInterval(count);
    assert.ok(turns > 1, `${turns} turns`);
  });

  test('refuses wrong arguments at the call', () => {
    const task = new Task(() => 1);
    for (const tasks of [undefined, null, 5, 'x', {}, [1], [task, null]]) {
      assert.throws(() => make(tasks as Misuse), InvalidArgumentError, String(tasks));
    }
    for (const options of [
      { failFast: 1 },
      { concurrency: 0 },
      { concurrency: 1.5 },
      { queue: 5 },
      { queue: {} },
      { queue: null },
      { signal: 5 },
      { criticalPath: 'yes' },
      { durations: 5 },
      { durations: { a: -1 } },
      { durations: new Map([[1, 1]]) },
      { failfast: true },
    ]) {
      assert.throws(
        () => make(task, options as Misuse),
        (error: Misuse) => /^ERR_BOSUN_(INVALID|OUT)/.test(error.code),
        JSON.stringify(options),
      );
    }
    assert.equal(task.state, 'PENDING');
  });
});

describe('snapshotOf', () => {
  test('is what a graph looks like, and looked like', async (t) => {
    const manager = makeManager(t);
    const a = call('add', [1], { name: 'a', key: 'A' });
    const b = broken('b');
    const c = new Task('c', () => 1);
    c.require(b).require(a);
    assert.deepEqual(snapshotOf(c), { nodes: [{ id: 't1', name: 'c', state: 'PENDING', requires: ['t2', 't3'] }] });
    await makeNow(c, { queue: manager });
    const [first, second, third] = snapshotOf([a], { followBlocking: true }).nodes.concat(
      snapshotOf([c, b]).nodes.slice(1),
    );
    const { queuedAt = 0, startedAt = 0, endedAt = 0, ...rest } = first as GraphNode;
    assert.deepEqual(rest, { id: 't1', name: 'a', state: 'DONE', requires: [], key: 'A', worker: 'worker 1' });
    assert.ok(queuedAt <= startedAt && startedAt <= endedAt && Math.abs(endedAt - Date.now()) < 60_000);
    assert.deepEqual(
      [second?.id, second?.requires, second?.error],
      ['t2', ['t3', 't1'], "TaskError: task 'c' was not run: failed prerequisites 'b'"],
    );
    assert.deepEqual([third?.id, third?.worker, third?.state], ['t2', 'here', 'FAILED']);
    // Whole, with the stack.
    assert.match(third?.error ?? '', /^Error: b is broken\n +at /);
    const durations = durationsOf(snapshotOf([a, b, c]));
    assert.deepEqual([...durations.keys()], ['A']);
    assert.ok((durations.get('A') ?? -1) >= 0);
    assert.throws(() => snapshotOf(5 as Misuse), InvalidArgumentError);
    assert.throws(() => snapshotOf(a, { follow: true } as Misuse), InvalidArgumentError);
  });
});

describe('make with a manager', () => {
  test('runs what is portable in workers, and the rest here', async (t) => {
    const manager = makeManager(t, { workers: 2 });
    const a = call('add', [1, 2], { name: 'a' });
    const here = a.andThen(
      'here',
      (ctx: TaskContext) => [ctx.resultOf<number>('a'), ctx.worker, ctx.manager === manager],
      { history: true },
    );
    const b = here.andThen(call('add', [5], { name: 'b' }));
    const sum = call('sumOf', ['a', 'b'], { priority: 0 }).require(a).require(b);
    assert.deepEqual(await makeNow(sum, { queue: manager }), [sum]);
    assert.equal(await sum.result, 8);
    assert.deepEqual(await here.result, [3, 0, true]);
    assert.deepEqual([a, here, b, sum].map(events), [
      'queue dispatch done',
      'dispatch done',
      'queue dispatch done',
      'queue dispatch done',
    ]);
  });

  test('fails a task that cannot be sent, and what requires it', async (t) => {
    const manager = makeManager(t);
    const bad = call('add', [() => {}]);
    const next = bad.andThen(call('add', [1]));
    await makeNow(next, { queue: manager });
    assert.deepEqual([events(bad), events(next)], ['error', 'error']);
    await assert.rejects(bad.result, { code: 'ERR_BOSUN_DATA_CLONE' });
  });

  test('cancels a task whose signal is aborted when it is to begin', async (t) => {
    const manager = makeManager(t);
    const task = call('add', [1], { signal: AbortSignal.abort('early') });
    const here = new Task('here', () => 1, { signal: AbortSignal.abort('early') });
    await makeNow([task, here], { queue: manager });
    assert.deepEqual([events(task), ...states(task, here)], ['cancel', 'CANCELLED', 'CANCELLED']);
  });

  test('keeps to the room that the manager has', async (t) => {
    const manager = makeManager(t, { maxQueue: 1 });
    const tasks = Array.from({ length: 20 }, (_, i) => call('add', [i]));
    await makeNow(tasks, { queue: manager });
    assert.deepEqual(
      await Promise.all(tasks.map((task) => task.result)),
      tasks.map((_, i) => i),
    );
  });

  test('fails what is left when the manager is closed meanwhile', async (t) => {
    const manager = makeManager(t);
    const first = call('add', [1]);
    const next = new Task('closes', () => manager.close()).require(first);
    const last = call('add', [2]).require(next);
    await makeNow(last, { queue: manager });
    assert.deepEqual(states(first, next, last), ['DONE', 'DONE', 'FAILED']);
    await assert.rejects(last.result, { code: 'ERR_BOSUN_MANAGER_CLOSED' });
  });

  test('is not waited for by makeLater', async (t) => {
    const manager = makeManager(t);
    const first = call('add', [1], { name: 'first' });
    const last = first.andThen(call('sumOf', ['first']));
    assert.equal(makeLater(manager, last), undefined);
    assert.equal(await last.result, 1);
    assert.throws(() => makeLater(5 as Misuse, last), InvalidArgumentError);
    assert.throws(() => makeLater(manager, last, { concurrency: 0 }), RangeError);
  });

  test('works on a LocalManager, and inside of a task', async (t) => {
    for (const manager of [new LocalManager(), makeManager(t)]) {
      const base = call('add', [1, 2], { name: 'base' });
      const sum = base.andThen(call('sumOf', ['base']));
      await makeNow(sum, { queue: manager });
      assert.equal(await sum.result, 3);
      assert.equal(await manager.schedule(Task.from(TASKS, 'makeInside', [TASKS.href])).result, 3);
    }
  });

  test('cancels what it has queued and begun when its signal is aborted', async (t) => {
    const manager = new ProcessManager({ workers: 1 });
    t.after(() => manager.close('kill'));
    const controller = new AbortController();
    const running = call('wait');
    const queued = call('add', [1]);
    const last = call('add', [1]).require(running).require(queued);
    running.on('RUNNING', () => controller.abort());
    await assert.rejects(makeNow(last, { queue: manager, signal: controller.signal }), { name: 'AbortError' });
    await Promise.all([running.join(), queued.join()]);
    assert.deepEqual(states(running, queued, last), ['CANCELLED', 'CANCELLED', 'PENDING']);
  });

  test('runs tasks of one key once, over workers', async (t) => {
    const notes = await makeNotes(t);
    const manager = makeManager(t, { workers: 2 });
    const tasks = Array.from({ length: 8 }, () => call('note', [notes.file, 'x'], { key: 'x' }));
    await makeNow(tasks, { queue: manager });
    assert.deepEqual([notes.lines(), new Set(states(...tasks))], [['x'], new Set(['DONE'])]);
  });
});
