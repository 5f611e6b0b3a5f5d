// Random graphs, with failures, cancels, retries and aborts while they are made.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { LocalManager, type MakeOptions, makeNow, Task, TaskQueue } from '../lib/index.js';
import { act, build, check, type Plan, plans } from './fixtures/graph-model.js';

const PLANS = plans(['well', 'well', 'flaky', 'broken', 'cancels'], 16);

function makeTask({ behaviour, priority, key }: Plan['tasks'][number], i: number): Task {
  let runs = 0;
  const body = async (): Promise<number> => {
    runs += 1;
    for (let turns = i % 3; turns > 0; turns--) await turn();
    if (behaviour === 'broken' || (behaviour === 'flaky' && runs === 1)) throw new Error(`task ${i} is ${behaviour}`);
    if (behaviour === 'cancels') Task.current()?.cancel();
    return i;
  };
  return new Task(`task ${i}`, body, { history: true, priority, ...(key && { key: behaviour }) });
}

const QUEUES: Record<string, () => Partial<MakeOptions>> = {
  'in this thread': () => ({}),
  'by a function': () => ({ queue: (task) => void setImmediate(() => void task.dispatch().catch(() => {})) }),
  'on a LocalManager': () => ({ queue: new LocalManager() }),
};

describe('whatever happens to a graph', () => {
  for (const [where, queue] of Object.entries(QUEUES)) {
    test(`each task that is made ${where} ends as the rules have it, and each promise settles`, async () => {
      const property = fc.asyncProperty(PLANS, async (plan) => {
        const { tasks, wrong, requested } = build(plan, makeTask);
        const { concurrency, criticalPath } = plan;
        const limits = concurrency === undefined ? {} : { concurrency };
        const made = makeNow(requested, { ...limits, criticalPath, ...queue() });
        await Promise.all([made, act(plan, tasks, turn)]);
        const ended = await made;
        assert.deepEqual(new Set(ended), new Set(requested));
        assert.equal(ended.length, requested.length);
        // Others may have been begun for one that was cancelled meanwhile.
        await Promise.all(
          tasks.filter(({ state }) => state === 'RUNNING' || state === 'QUEUED').map((task) => task.join()),
        );
        assert.deepEqual([...wrong, ...(await check(tasks))], []);
      });
      await fc.assert(property, { numRuns: 150 });
    });
  }

  test('a TaskQueue yields each of its tasks once, or says that it is stuck', async () => {
    const property = fc.asyncProperty(PLANS, async (plan) => {
      const { tasks, wrong } = build(plan, makeTask);
      const queue = new TaskQueue(tasks);
      const yielded: Task[] = [];
      for await (const task of queue.run()) yielded.push(task);
      assert.equal(new Set(yielded).size, yielded.length);
      assert.deepEqual(new Set([...yielded, ...queue.stuck]), new Set(tasks));
      assert.deepEqual([...queue.stuck, ...wrong, ...(await check(tasks))], []);
    });
    await fc.assert(property, { numRuns: 150 });
  });
});
