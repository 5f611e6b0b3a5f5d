// Retries: what is run again, how often, after how long, and what is said when that was no use.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { LocalManager, PoisonTaskError, Task, TimeoutError, WorkerException, WorkerLostError } from '../lib/index.js';
import { makeManager, makeNotes } from './fixtures/scene.js';

const MODULE = new URL('./fixtures/limit-tasks.js', import.meta.url);
const TASKS = new URL('./fixtures/tasks.js', import.meta.url);
const target = (name: string) => ({ module: MODULE, export: name });
const backoff = () => 0;

describe('retry', () => {
  for (const [on, how] of [
    ['error', 'throw'],
    ['lost', 'exit'],
    ['timeout', 'spin'],
  ] as const) {
    // The others must not be too slow for it, however busy this machine is.
    const limit = how === 'spin' ? { timeout: 50 } : {};

    test(`runs a task again that failed by '${on}'; ctx.attempt tells`, async (t) => {
      const manager = makeManager(t);
      const notes = await makeNotes(t);
      const options = { retry: { max: 2, on: [on], backoff }, ...limit };
      assert.equal(await manager.run(target('failUntil'), [3, how, notes.file], options), 3);
      assert.deepEqual(notes.lines(), ['attempt 1', 'attempt 2', 'attempt 3']);
      const { accepted, done, failed, retried } = manager.stats().tasks;
      assert.deepEqual([accepted, done, failed, retried], [1, 1, 0, 2]);
    });

    test(`only for the causes it names: not '${on}' here`, async (t) => {
      const manager = makeManager(t);
      const notes = await makeNotes(t);
      const others = (['error', 'lost', 'timeout'] as const).filter((cause) => cause !== on);
      const options = { retry: { max: 5, on: others, backoff }, ...limit };
      await assert.rejects(manager.run(target('failUntil'), [3, how, notes.file], options), WorkerException);
      assert.deepEqual(notes.lines(), ['attempt 1']);
    });
  }

  test('fails with the last error and the number of attempts', async (t) => {
    const manager = makeManager(t);
    const retry = { max: 2, on: ['error', 'lost', 'timeout'], backoff } as const;
    await assert.rejects(manager.run(target('failUntil'), [9, 'throw'], { retry }), (error: WorkerException) => {
      assert.equal(error.attempts, 3);
      assert.equal((error.cause as Error).message, 'attempt 3');
      return true;
    });
    await assert.rejects(manager.run(target('failUntil'), [9, 'spin'], { retry, timeout: 20 }), (error: Error) => {
      assert.ok(error instanceof TimeoutError);
      assert.equal(error.attempts, 3);
      return true;
    });
    await assert.rejects(manager.run(target('failUntil'), [9, 'exit'], { retry }), (error: WorkerLostError) => {
      assert.deepEqual([error.code, error.attempts, error.exitCode], ['ERR_BOSUN_WORKER_LOST', 3, 43]);
      return true;
    });
  });

  test('stops at maxCrashes: a poison task names every exit', async (t) => {
    const manager = makeManager(t);
    const retry = { max: 50, maxCrashes: 2, backoff };
    await assert.rejects(manager.run(target('failUntil'), [99, 'exit'], { retry }), (error: PoisonTaskError) => {
      assert.ok(error instanceof PoisonTaskError && error instanceof WorkerLostError);
      assert.equal(error.code, 'ERR_BOSUN_POISON_TASK');
      assert.deepEqual(
        error.exits.map(({ exitCode }) => exitCode),
        [41, 42],
      );
      assert.match(error.message, /has cost 2 workers and is not run again/);
      return true;
    });
  });

  test('asks the backoff which attempt failed, and says so by an event', async (t) => {
    const manager = makeManager(t);
    const asked: number[] = [];
    const retry = {
      max: 3,
      on: ['error'] as const,
      backoff: (attempt: number) => {
        asked.push(attempt);
        return attempt;
      },
    };
    const events: unknown[] = [];
    manager.on('task:retry', ({ name, attempt, delayMs, error }) => {
      events.push([name, attempt, delayMs, ((error as WorkerException).cause as Error).message]);
    });
    assert.equal(await manager.run(target('failUntil'), [3, 'throw'], { retry }), 3);
    assert.deepEqual(asked, [1, 2]);
    assert.deepEqual(events, [
      ['failUntil', 1, 1, 'attempt 1'],
      ['failUntil', 2, 2, 'attempt 2'],
    ]);
  });

  test('survives a backoff that throws or returns nonsense: a warning, and the default', async (t) => {
    const manager = makeManager(t);
    const warnings: string[] = [];
    const onWarning = (warning: Error & { code?: string }) => warnings.push(String(warning.code));
    process.on('warning', onWarning);
    t.after(() => process.off('warning', onWarning));
    const retry = { max: 2, on: ['error'] as const };
    const throws = () => {
      throw new Error('no');
    };
    assert.equal(await manager.run(target('failUntil'), [2, 'throw'], { retry: { ...retry, backoff: throws } }), 2);
    const nonsense = () => Number.NaN;
    assert.equal(await manager.run(target('failUntil'), [2, 'throw'], { retry: { ...retry, backoff: nonsense } }), 2);
    assert.deepEqual(warnings, ['BOSUN_W003', 'BOSUN_W003']);
  });

  test('goes to the front of its level, and keeps the level', async (t) => {
    const manager = makeManager(t, { prefetch: 1, priorityLevels: 3 });
    const notes = await makeNotes(t);
    await manager.ready();
    const retry = { max: 1, on: ['error'] as const, backoff };
    const tasks = [
      manager.run(target('failUntil'), [2, 'throw', notes.file], { priority: 1, retry }),
      // It takes its time, so that this is decided when it ends.
      manager.run(target('noteAndSpin'), [notes.file, 'goes while the next attempt is decided', 100], { priority: 1 }),
      manager.run(target('note'), [notes.file, 'same level'], { priority: 1 }),
      manager.run(target('note'), [notes.file, 'less urgent'], { priority: 2 }),
    ];
    await Promise.all(tasks);
    const order = ['attempt 1', 'goes while the next attempt is decided', 'attempt 2', 'same level', 'less urgent'];
    assert.deepEqual(notes.lines(), order);
  });

  test('a task that waits for its next attempt can be cancelled, and does not outlive close()', async (t) => {
    const manager = makeManager(t);
    const retry = { max: 1, on: ['error'] as const, backoff: () => 60_000 };
    const retrying = () => once(manager, 'task:retry');
    const first = Task.from(MODULE, 'failUntil', [9, 'throw'], { retry });
    let waits = retrying();
    const handle = manager.schedule(first);
    await waits;
    assert.equal(manager.stats().tasks.held, 1);
    handle.cancel('enough');
    await assert.rejects(handle.result, { code: 'ERR_BOSUN_CANCELLED', cause: 'enough' });
    waits = retrying();
    const last = manager.run(target('failUntil'), [9, 'throw'], { retry });
    await waits;
    const report = manager.close('cancel');
    await assert.rejects(last, { code: 'ERR_BOSUN_CANCELLED' });
    assert.deepEqual([(await report).cancelled, manager.tasksLeft], [2, 0]);
  });

  test('of a LocalManager', async () => {
    const manager = new LocalManager();
    let runs = 0;
    const task = new Task(
      'flaky',
      (ctx) => {
        runs += 1;
        if (ctx.attempt < 3) throw new Error('not yet');
        return ctx.attempt;
      },
      { retry: { max: 2, on: ['error'], backoff } },
    );
    assert.equal(await manager.schedule(task).result, 3);
    assert.equal(runs, 3);
  });
});

describe('WorkerLostError', () => {
  test('has the end of what the worker wrote to its standard error', async (t) => {
    const manager = makeManager(t);
    await assert.rejects(manager.run(target('complainAndExit'), [2_000, 9]), (error: WorkerLostError) => {
      assert.equal(error.exitCode, 9);
      assert.equal(error.stderrTail.split('\n').at(-1), 'complaint 2000');
      assert.match(error.stderrTail, /^complaint \d+\n/, 'from the beginning of a line');
      assert.ok(error.stderrTail.length <= 4096);
      return true;
    });
  });

  test('has it from the log file too, and nothing of the worker before', async (t) => {
    const notes = await makeNotes(t);
    const manager = makeManager(t, { logDirectory: `${notes.file}.d` });
    await assert.rejects(manager.run(target('complainAndExit'), [3, 9]), (error: WorkerLostError) => {
      assert.equal(error.stderrTail, 'complaint 1\ncomplaint 2\ncomplaint 3');
      return true;
    });
  });

  test('is one of its own for each task', async (t) => {
    const manager = makeManager(t, { concurrency: 3 });
    await manager.ready();
    const lost = [1, 2].map(() => manager.run(target('waitPolitely')));
    const killer = manager.run({ module: TASKS, export: 'exit' }, [5]);
    const outcomes = await Promise.allSettled([...lost, killer]);
    const errors = outcomes.map((outcome) => (outcome as PromiseRejectedResult).reason as WorkerLostError);
    assert.equal(new Set(errors).size, 3);
    assert.deepEqual(
      errors.map(({ taskId, taskName, exitCode }) => [taskId, taskName, exitCode]),
      [
        [1, 'waitPolitely', 5],
        [2, 'waitPolitely', 5],
        [3, 'exit', 5],
      ],
    );
  });

  test('says when only the result was lost: the task had ended', async (t) => {
    const manager = makeManager(t);
    const run = (dies: boolean) => manager.run<boolean>(target('dieIf'), [dies]);
    // Results of tasks that are short by experience leave together, unless the worker was held up between them.
    for (let round = 0; ; round++) {
      await Promise.all(Array.from({ length: 200 }, () => run(false)));
      const outcomes = await Promise.allSettled([false, false, false, true].map(run));
      const errors = outcomes.map((outcome) => outcome.status === 'rejected' && (outcome.reason as WorkerLostError));
      const killer = errors.pop() as WorkerLostError;
      assert.deepEqual([killer.exitSignal, killer.finished], ['SIGKILL', false]);
      const lost = errors.filter((error) => error !== false);
      for (const error of lost) {
        assert.deepEqual([error.exitSignal, error.finished], ['SIGKILL', true]);
        assert.match(error.message, /before the result of task \d+ 'dieIf'/);
      }
      if (lost.length > 0) break;
      assert.ok(round < 20, 'no result was ever lost');
    }
  });
});
