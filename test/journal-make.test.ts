// A graph that goes on after its process was killed.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Journal, JournalError, make, makeNow, Task, type TaskState } from '../lib/index.js';
import { temporaryFolder } from './fixtures/command.js';
import { programOf } from './fixtures/own-process.js';

const JOURNAL = { name: 'JournalError', code: 'ERR_BOSUN_JOURNAL' };

describe('make with a journal', () => {
  test('after kill -9 the same graph goes on, and only what is unfinished runs', async (t) => {
    const folder = temporaryFolder(t);
    const [journal, log, gate] = ['journal', 'log', 'gate'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const start = () => {
      const args = [programOf('journal-make'), journal, log, gate];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      t.after(() => child.kill('SIGKILL'));
      return {
        child,
        lines: createInterface({ input: child.stdout })[Symbol.asyncIterator](),
        exit: once(child, 'exit'),
      };
    };
    const first = start();
    assert.equal((await first.lines.next()).value, 'slow');
    first.child.kill('SIGKILL');
    assert.deepEqual(await first.exit, [null, 'SIGKILL']);
    const names = () => readFileSync(log, 'utf8').trim().split('\n');
    assert.deepEqual(names().toSorted(), ['a', 'b', 'c', 'slow']);

    writeFileSync(gate, '');
    const second = start();
    assert.equal((await second.lines.next()).value, 'slow');
    // a is 1, b and c are 2, slow is 5, end is 5 + 2 + 1: with what the killed process had found out.
    assert.equal((await second.lines.next()).value, '8 DONE DONE DONE DONE DONE');
    assert.deepEqual(await second.exit, [0, null]);
    assert.deepEqual(names().slice(4), ['slow', 'end']);

    const third = start();
    assert.equal((await third.lines.next()).value, '8 DONE DONE DONE DONE DONE');
    assert.deepEqual(await third.exit, [0, null]);
    assert.equal(names().length, 6);
  });

  test('runs again what had failed or been cancelled, and what has no result, not what was aborted', async (t) => {
    const file = join(temporaryFolder(t), 'journal');
    const ran: string[] = [];
    let broken = true;
    const graph = () => {
      const note = (name: string, value: unknown) => () => {
        ran.push(name);
        if (broken && name === 'bad') throw new Error('broken');
        return value;
      };
      const tasks = {
        good: new Task('good', note('good', new Map([[1, new Date(5)]]))),
        bad: new Task('bad', note('bad', 1)),
        odd: new Task(
          'odd',
          note('odd', () => {}),
        ),
        cancelled: new Task('cancelled', note('cancelled', 1), { cancelOnResult: () => broken }),
        aborted: new Task('aborted', note('aborted', 1)),
      };
      const last = new Task('last', note('last', 2));
      last.require(tasks.bad).require(tasks.good);
      return { ...tasks, last };
    };
    const warned = once(process, 'warning');
    const first = graph();
    first.aborted.abort();
    {
      await using journal = await Journal.open(file);
      await makeNow(Object.values(first), { journal });
      const known = journal.replay();
      for (const { name, state } of Object.values(first)) assert.equal(known.get(name)?.state, state, name);
      assert.match(known.get('bad')?.error ?? '', /Error: broken\n +at /);
      assert.ok(journal.durations().has('good'));
    }
    const [warning] = (await warned) as [Error & { code: string }];
    assert.equal(warning.code, 'BOSUN_W008');
    assert.match(warning.message, /the result of 'odd' cannot be kept/);
    broken = false;
    ran.length = 0;
    const second = graph();
    await using journal = await Journal.open(file);
    await makeNow(Object.values(second), { journal });
    assert.deepEqual(ran.toSorted(), ['bad', 'cancelled', 'last', 'odd']);
    assert.deepEqual(await second.good.result, new Map([[1, new Date(5)]]));
  });

  test('refuses another graph before anything has changed', async (t) => {
    const file = join(temporaryFolder(t), 'journal');
    await using journal = await Journal.open(file);
    await makeNow(new Task('a', () => 1), { journal });
    const other = new Task('b', () => 2);
    await assert.rejects(makeNow(other, { journal }), { ...JOURNAL, message: /another graph/ });
    assert.equal(other.state, 'PENDING');
    await (await journal.attach(other, { ifChanged: 'restart' }))();
    const same = new Task('a', () => 1);
    await assert.rejects(makeNow(same, { journal }), JOURNAL);
    const attached = new Task('b', () => 2);
    const detach = await journal.attach([attached]);
    await makeNow(attached);
    await detach();
    assert.equal(journal.replay().get('b')?.state, 'DONE');
  });

  test('a journal that cannot be written ends the make', async (t) => {
    const file = join(temporaryFolder(t), 'journal');
    const journal = await Journal.open(file);
    const a = new Task('a', () => journal.close());
    const b = new Task('b', () => 1).require(a);
    await assert.rejects(
      makeNow(b, { journal }),
      (error) => error instanceof JournalError && /is closed/.test(error.message),
    );
  });

  test('replays to the states of any graph, whatever fails', async (t) => {
    const folder = temporaryFolder(t);
    let count = 0;
    const row = fc.record({
      requires: fc.array(fc.nat(), { maxLength: 3 }),
      how: fc.constantFrom('done', 'fail', 'cancel', 'wait'),
    });
    const property = fc.asyncProperty(
      fc.array(row, { minLength: 1, maxLength: 12 }),
      fc.boolean(),
      async (rows, failFast) => {
        const file = join(folder, `journal-${count++}`);
        const build = () => {
          const tasks: Task[] = [];
          for (const [i, { requires, how }] of rows.entries()) {
            const task = new Task(
              `task ${i % 5}`,
              async () => {
                if (how === 'wait') await new Promise((resolve) => setImmediate(resolve));
                if (how === 'fail') throw new Error(`${i}`);
                return i;
              },
              { cancelOnResult: () => how === 'cancel' },
            );
            if (i > 0) for (const other of new Set(requires.map((one) => tasks[one % i] as Task))) task.require(other);
            tasks.push(task);
          }
          return tasks;
        };
        const tasks = build();
        const states = new Map<string, TaskState>();
        {
          await using journal = await Journal.open(file, { sync: 'never' });
          for await (const _ of make(tasks, { journal, failFast, concurrency: 2 }));
          // With failFast some may run still.
          await Promise.all(tasks.filter(({ state }) => state === 'RUNNING').map((task) => task.join()));
          const keys = await journal.begin({ nodes: nodesOf(tasks) });
          for (const [i, task] of tasks.entries()) states.set(keys.get(`${i}`) as string, task.state);
        }
        await using journal = await Journal.open(file, { sync: 'never' });
        const found = journal.replay();
        for (const [key, state] of states) assert.equal(found.get(key)?.state ?? 'PENDING', state, key);
        // Those who come after it find done what is done, and its value.
        const again = build();
        const detach = await journal.attach(again);
        for (const [i, task] of again.entries()) {
          assert.equal(task.state, tasks[i]?.state === 'DONE' ? 'DONE' : 'PENDING');
          if (task.state === 'DONE') assert.equal(await task.result, i);
        }
        await detach();
      },
    );
    await fc.assert(property, { numRuns: 40 });
  });
});

function nodesOf(tasks: readonly Task[]) {
  return tasks.map((task, i) => ({
    id: `${i}`,
    name: task.name,
    state: task.state,
    requires: Array.from(task.required, (other) => `${tasks.indexOf(other)}`),
  }));
}
