// Queues of tasks, which are taken as they become free.

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import {
  InvalidArgumentError,
  LocalManager,
  Task,
  type TaskContext,
  type TaskOptions,
  TaskQueue,
} from '../lib/index.js';
import { makeManager } from './fixtures/scene.js';

const TASKS = new URL('./fixtures/graph-tasks.js', import.meta.url);

// biome-ignore lint/suspicious/noExplicitAny: misuse is what these tests are about
type Misuse = any;

const call = (name: string, args: unknown[] = [], options: TaskOptions = {}): Task<number> =>
  Task.from<number>(TASKS, name, args, options);
const names = (tasks: Iterable<Task>): string[] => Array.from(tasks, ({ name }) => name);
const states = (...tasks: Task[]): string[] => tasks.map(({ state }) => state);

async function collect(tasks: AsyncIterable<Task>): Promise<string[]> {
  const ended: Task[] = [];
  for await (const task of tasks) ended.push(task);
  return names(ended);
}

/** What is printed, and on standard error, from now on. */
function hear(t: TestContext) {
  const lines: string[] = [];
  const errors: string[] = [];
  t.mock.method(console, 'log', (line: string) => lines.push(line));
  t.mock.method(process.stderr, 'write', (text: string) => errors.push(text) > 0);
  return { lines, errors };
}

/** The two tasks of the reference's examples. */
function makePair(): [Task, Task] {
  const t1 = new Task('t1', () => console.log('t1'));
  return [t1, t1.andThen('t2', () => console.log('t2'))];
}

describe('TaskQueue', () => {
  test('runs two dependent tasks: example 1 of the reference', async (t) => {
    const { lines } = hear(t);
    const q = new TaskQueue(makePair());
    for await (const _ of q.run());
    assert.deepEqual(lines, ['t1', 't2']);
  });

  test('runs only what it was given: example 2', async (t) => {
    const { lines, errors } = hear(t);
    const [t1, t2] = makePair();
    const q = new TaskQueue([t1]);
    for await (const _ of q.run());
    assert.deepEqual([lines, errors, t2.state], [['t1'], [], 'PENDING']);
  });

  test('runs what requires that too, when it is told to: example 3', async (t) => {
    const { lines } = hear(t);
    const [t1] = makePair();
    const q = new TaskQueue(t1, { runDependentTasks: true });
    for await (const _ of q.run());
    assert.deepEqual(lines, ['t1', 't2']);
  });

  test('gives tasks away, ended ones first, then free ones, in their order', async () => {
    const [a, b, c] = ['a', 'b', 'c'].map((name) => new Task(name, () => name)) as [Task, Task, Task];
    const d = b.andThen('d', () => 'd');
    const q = new TaskQueue([d, a, b]).add(c).add(a);
    assert.deepEqual(names(q.tasks), ['d', 'a', 'b', 'c']);
    c.cancel();
    assert.equal(q.get(), c);
    assert.equal(q.get(), a);
    assert.equal(q.get(), b);
    assert.equal(q.get(), null);
    assert.deepEqual(q.stuck, [d]);
    await b.dispatch();
    assert.deepEqual(q.stuck, []);
    assert.equal(q.get(), d);
    assert.equal(q.get(), null);
    assert.deepEqual(q.tasks, []);
  });

  test('is a worker loop of one own', async () => {
    const [t1, t2] = [new Task('t1', () => 1), new Task('t2', () => 2)];
    t2.require(t1);
    const q = new TaskQueue([t2, t1]);
    const order: string[] = [];
    for (let task = q.get(); task !== null; task = q.get()) {
      order.push(task.name);
      await task.dispatch();
    }
    assert.deepEqual(order, ['t1', 't2']);
  });

  test('follows what others run, retry and require', async () => {
    let end = (): void => {};
    const outside = new Task(
      'outside',
      () =>
        new Promise<void>((resolve) => {
          end = resolve;
        }),
    );
    const inside = outside.andThen('inside', () => 1);
    const q = new TaskQueue(inside);
    // Nobody runs it: there is nothing to wait for.
    assert.deepEqual(await collect(q.run()), []);
    assert.deepEqual(q.stuck, [inside]);
    void outside.dispatch();
    assert.deepEqual(q.stuck, []);
    const run = collect(q.run());
    await turn();
    end();
    assert.deepEqual(await run, ['inside']);
    const running = new Task('running', () => turn());
    void running.dispatch();
    assert.deepEqual(await collect(new TaskQueue(running).run()), ['running']);
    const [a, b] = [new Task('a', () => 1), new Task('b', () => 1)];
    const other = new TaskQueue([a, b]);
    a.require(b);
    assert.deepEqual(await collect(other.run()), ['b', 'a']);
  });

  test('takes back what it let go when what it requires is retried', async () => {
    const a = new Task('a', () => {
      throw new Error('x');
    });
    const b = a.andThen('b', () => 1);
    const q = new TaskQueue(b);
    await a.dispatch();
    a.retry();
    assert.equal(q.get(), null);
    assert.equal(b.state, 'PENDING');
    a.cancel();
    assert.equal(q.get(), b);
    assert.equal(b.state, 'CANCELLED');
  });

  test('ends what requires what has not been done, as a make does', async () => {
    const bad = new Task('bad', () => {
      throw new Error('x');
    });
    const [failed, gone, given] = [
      bad.andThen('failed', () => 1),
      new Task('gone', () => 1),
      new Task('given', () => 1),
    ];
    const [cancelled, aborted] = [gone.andThen('cancelled', () => 1), new Task('aborted', () => 1)];
    gone.cancel();
    given.abort();
    aborted.require(given);
    const q = new TaskQueue([bad, failed, cancelled, aborted]);
    assert.deepEqual((await collect(q.run())).sort(), ['aborted', 'bad', 'cancelled', 'failed']);
    assert.deepEqual(states(bad, failed, cancelled, aborted), ['FAILED', 'FAILED', 'CANCELLED', 'ABORT']);
    await assert.rejects(failed.result, { code: 'ERR_BOSUN_TASK' });
  });

  test('runs one task with once, and one at a time without a manager', async () => {
    let running = 0;
    const body = async (): Promise<void> => {
      running += 1;
      assert.equal(running, 1);
      await turn();
      running -= 1;
    };
    const tasks = ['a', 'b', 'c'].map((name) => new Task(name, body));
    const q = new TaskQueue(tasks);
    assert.deepEqual(await collect(q.run({ once: true })), ['a']);
    assert.deepEqual(states(...tasks), ['DONE', 'PENDING', 'PENDING']);
    assert.deepEqual(await collect(q.run()), ['b', 'c']);
    assert.deepEqual(await collect(q.run({ once: true })), []);
  });

  test('is run by several at once', async () => {
    let most = 0;
    let running = 0;
    const body = async (): Promise<void> => {
      running += 1;
      most = Math.max(most, running);
      await turn();
      running -= 1;
    };
    const first = new Task('first', body);
    const tasks = ['a', 'b', 'c', 'd'].map((name) => first.andThen(name, body));
    const q = new TaskQueue([first, ...tasks]);
    const ended = await Promise.all([collect(q.run()), collect(q.run())]);
    assert.deepEqual(ended.flat().sort(), ['a', 'b', 'c', 'd', 'first']);
    assert.equal(most, 2);
  });

  test('says what is stuck: circles, and what waits for others outside', async () => {
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => new Task(name, () => 1)) as [Task, Task, Task, Task];
    a.require(b.require(a));
    c.require(new Task('outside', () => 1));
    const e = d.andThen('e', () => 1);
    const unready = new Task('unready', () => 1, { state: 'PREPARE' });
    const q = new TaskQueue([a, b, c, d, e, unready]);
    assert.deepEqual(names(q.stuck), ['a', 'b', 'c', 'unready']);
    assert.deepEqual(await collect(q.run()), ['d', 'e']);
    assert.deepEqual(names(q.stuck), ['a', 'b', 'c', 'unready']);
    unready.fire('prepared');
    assert.deepEqual(await collect(q.run()), ['unready']);
  });

  test('takes tasks that are added while it runs', async () => {
    const q = new TaskQueue();
    const last = new Task('last', () => 1);
    q.add(new Task('first', () => void q.add(last)));
    assert.deepEqual(await collect(q.run()), ['first', 'last']);
  });

  test('keeps what it had begun when it is left, and stops by its signal', async () => {
    let end = (): void => {};
    const held = new Task(
      'held',
      ({ signal }: TaskContext) =>
        new Promise<void>((resolve) => {
          end = resolve;
          signal.addEventListener('abort', () => resolve());
        }),
    );
    const done = new Task('done', () => 1);
    await done.dispatch();
    const q = new TaskQueue([held, done]);
    for await (const _ of q.run()) break;
    assert.deepEqual(names(q.tasks), ['held']);
    end();
    assert.deepEqual(await collect(q.run()), ['held']);
    const other = held.clone();
    const waiting = new Task('waiting', () => 1);
    const next = new TaskQueue([other, waiting]);
    const controller = new AbortController();
    const run = collect(next.run({ signal: controller.signal }));
    await turn();
    controller.abort('enough');
    await assert.rejects(run, (reason) => reason === 'enough');
    await other.join();
    assert.deepEqual(
      [states(other, waiting), names(next.tasks).sort()],
      [
        ['CANCELLED', 'PENDING'],
        ['held', 'waiting'],
      ],
    );
  });

  test('runs portable tasks by a manager, as many as nothing blocks', async (t) => {
    for (const manager of [makeManager(t, { workers: 2, maxQueue: 1 }), new LocalManager()]) {
      const a = call('add', [1], { name: 'a' });
      const here = a.andThen('here', (ctx: TaskContext) => [ctx.resultOf('a'), ctx.manager === manager]);
      const many = Array.from({ length: 10 }, (_, i) => a.andThen(call('sumOf', ['a'], { name: `many ${i}` })));
      const sum = call('sumOf', ['many 0', 'many 9'], { name: 'sum' });
      for (const task of many) sum.require(task);
      const bad = call('add', [() => {}], { name: 'bad' });
      const q = new TaskQueue([sum, here, ...many, a, bad]);
      const ended = await collect(q.run({ manager }));
      assert.deepEqual([ended.length, ended.at(-1)], [14, 'sum']);
      assert.deepEqual([await sum.result, await here.result], [2, [1, true]]);
      assert.deepEqual(states(...many), Array(10).fill('DONE'));
      assert.equal(bad.state, manager instanceof LocalManager ? 'DONE' : 'FAILED');
    }
  });

  test('costs each task and requirement about the same', async () => {
    const N = 20_000;
    const parts = Array.from({ length: N }, (_, i) => new Task(`part ${i}`, () => 1));
    const all = new Task('all', () => 1);
    for (const part of parts) all.require(part);
    let last = all;
    for (let i = 0; i < N; i++) last = last.andThen('next', () => 1);
    const q = new TaskQueue(all, { runDependentTasks: true });
    for (const part of parts.toReversed()) q.add(part);
    let count = 0;
    for await (const _ of q.run()) count += 1;
    assert.equal(count, 2 * N + 1);
    assert.equal(last.state, 'DONE');
  });

  test('refuses wrong arguments', () => {
    for (const tasks of [null, 5, 'x', [1]]) assert.throws(() => new TaskQueue(tasks as Misuse), InvalidArgumentError);
    const q = new TaskQueue();
    assert.throws(() => q.add(5 as Misuse), InvalidArgumentError);
    for (const options of [{ runDependentTasks: 1 }, { x: 1 }]) {
      assert.throws(() => new TaskQueue([], options as Misuse), InvalidArgumentError);
    }
    for (const options of [{ once: 1 }, { signal: 1 }, { manager: 1 }, { x: 1 }]) {
      assert.throws(() => q.run(options as Misuse), InvalidArgumentError);
    }
  });
});
