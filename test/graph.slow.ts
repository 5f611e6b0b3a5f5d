// Large graphs, and graphs whose workers are killed.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { Journal, makeNow, type ProcessManager, Task } from '../lib/index.js';
import { act, build, check, type Plan, plans } from './fixtures/graph-model.js';
import { makeDirectory, makeManager } from './fixtures/scene.js';

const TASKS = new URL('./fixtures/graph-tasks.js', import.meta.url);
const N = 100_000;

/** What is wrong here hangs. */
const LIMIT = { timeout: 120_000 };

/** The same numbers again for the same seed, from 0 to 1. Source: the "minimal standard" generator of Park and Miller, 1988. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

type Times = [bigint, bigint];

/** Makes them in four processes: each once, none before what it requires has ended. Returns microseconds for each. */
async function makeInOrder(manager: ProcessManager, tasks: readonly Task<Times>[]): Promise<number> {
  await manager.ready();
  const begun = performance.now();
  const ended = await makeNow(tasks, { queue: manager });
  const us = ((performance.now() - begun) * 1_000) / tasks.length;
  assert.equal(ended.length, tasks.length);
  assert.equal(manager.stats().tasks.done, tasks.length);
  const times = new Map<Task, Times>();
  for (const task of tasks) times.set(task, await task.result);
  for (const task of tasks) {
    const [start] = times.get(task) as Times;
    for (const required of task.required) assert.ok((times.get(required) as Times)[1] <= start, task.name);
  }
  return us;
}

describe('a graph of 100 000 tasks on four workers', () => {
  test('a chain runs in order, each task once', LIMIT, async (t) => {
    const manager = makeManager(t, { workers: 4, minWorkers: 4 });
    const tasks: Task<Times>[] = [Task.from(TASKS, 'times')];
    for (let i = 1; i < N; i++) tasks.push((tasks.at(-1) as Task<Times>).andThen(Task.from<Times>(TASKS, 'times')));
    t.diagnostic(`${(await makeInOrder(manager, tasks)).toFixed(1)} us for each task of a chain`);
  });

  test('a random one runs in order, each task once', LIMIT, async (t) => {
    const manager = makeManager(t, { workers: 4, minWorkers: 4 });
    const seed = 1 + Math.floor(Math.random() * 2 ** 30);
    t.diagnostic(`seed ${seed}`);
    const random = randomOf(seed);
    const tasks: Task<Times>[] = [];
    for (let i = 0; i < N; i++) {
      const task = Task.from<Times>(TASKS, 'times', [], { name: `task ${i}` });
      for (let k = 0; k < 3 && i > 0; k++) task.require(tasks[Math.floor(random() * i)] as Task<Times>);
      tasks.push(task);
    }
    t.diagnostic(`${(await makeInOrder(manager, tasks)).toFixed(1)} us for each task of a random graph`);
  });

  test('a random one runs in order in this thread', LIMIT, async () => {
    const random = randomOf(1);
    const tasks: Task[] = [];
    const order = new Map<Task, number>();
    for (let i = 0; i < N; i++) {
      const task: Task = new Task(`task ${i}`, () => void order.set(task, order.size));
      for (let k = 0; k < 3 && i > 0; k++) task.require(tasks[Math.floor(random() * i)] as Task);
      tasks.push(task);
    }
    assert.equal((await makeNow(tasks)).length, N);
    assert.equal(order.size, N);
    for (const task of tasks) {
      for (const required of task.required) {
        assert.ok((order.get(required) as number) < (order.get(task) as number), task.name);
      }
    }
  });
});

describe('whatever happens to a graph and its workers', () => {
  test('each task ends as the rules have it, and each promise settles', LIMIT, async (t) => {
    const manager = makeManager(t, { workers: 2, restart: { max: 1_000, within: 1_000 } });
    const directory = await makeDirectory(t);
    let runs = 0;
    const property = fc.asyncProperty(plans(['well', 'well', 'flaky', 'broken', 'dies'], 10), async (plan: Plan) => {
      runs += 1;
      const file = join(directory, `run-${runs}`);
      const start = () =>
        build(plan, ({ behaviour, priority, key }, i) => {
          const retry = { retry: { max: 1, on: ['lost' as const], backoff: () => 0 } };
          const name = `task ${i}`;
          const options = { name, priority, history: true, ...(i % 2 === 0 && retry), ...(key && { key: behaviour }) };
          return Task.from(TASKS, 'behave', [behaviour, file, name], options);
        });
      const { tasks, wrong, requested } = start();
      const { concurrency, criticalPath } = plan;
      const limits = concurrency === undefined ? {} : { concurrency };
      const written = await Journal.open(`${file}.journal`, { sync: 'never' });
      const made = makeNow(requested, { ...limits, criticalPath, queue: manager, journal: written });
      await Promise.all([made, act(plan, tasks, turn)]);
      await written.close();
      assert.deepEqual(new Set(await made), new Set(requested));
      const endedDone = new Set(tasks.filter(({ state }) => state === 'DONE'));
      await Promise.all(
        tasks.filter(({ state }) => state === 'RUNNING' || state === 'QUEUED').map((task) => task.join()),
      );
      assert.deepEqual([...wrong, ...(await check(tasks))], []);

      // Who comes after it finds done what was done in the make, with its value, and nothing else.
      const again = start();
      await using read = await Journal.open(`${file}.journal`, { sync: 'never' });
      const detach = await read.attach(again.requested);
      for (const [i, task] of again.tasks.entries()) {
        const before = tasks[i] as Task;
        const isDone = task.state === 'DONE';
        if (isDone || (requested.includes(before) && endedDone.has(before))) {
          assert.deepEqual([task.state, before.state], ['DONE', 'DONE'], before.name);
          assert.deepEqual(await task.result, await before.result);
        }
      }
      await detach();
    });
    await fc.assert(property, { numRuns: 40 });
  });
});
