// Time-outs and deadlines: when they count, what the caller gets, and what they cost.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import {
  CancellationError,
  DeadlineError,
  LocalManager,
  ProcessManager,
  Task,
  type TaskContext,
  TimeoutError,
  WorkerException,
} from '../lib/index.js';
import { drained, makeManager, makeNotes } from './fixtures/scene.js';

const MODULE = new URL('./fixtures/limit-tasks.js', import.meta.url);
const target = (name: string) => ({ module: MODULE, export: name });
const TIMEOUT = { name: 'TimeoutError', code: 'ERR_BOSUN_TIMEOUT' };
const DEADLINE = { name: 'DeadlineError', code: 'ERR_BOSUN_DEADLINE' };

describe('timeout', () => {
  test('stops a polite task, which learns why, and the worker goes on', async (t) => {
    const manager = makeManager(t);
    const notes = await makeNotes(t);
    const pid = await manager.run<number>(target('holdFor'), [0]);
    const late = manager.run(target('waitPolitely'), [notes.file], { timeout: 30 });
    await assert.rejects(late, (error: TimeoutError) => {
      assert.ok(error instanceof TimeoutError && error instanceof WorkerException);
      assert.deepEqual([error.code, error.taskName, error.pid, error.attempts], [TIMEOUT.code, 'waitPolitely', pid, 1]);
      assert.match(error.message, /'waitPolitely' ran for longer than its timeout in worker 1 \(pid \d+\)/);
      return true;
    });
    assert.deepEqual(notes.lines(), ['begin 1', 'stopped by ERR_BOSUN_TIMEOUT']);
    assert.equal(await manager.run(target('holdFor'), [0]), pid);
    const { done, failed, cancelled } = manager.stats().tasks;
    assert.deepEqual([done, failed, cancelled], [2, 1, 0]);
  });

  test('stops a synchronous loop at its next checkpoint()', async (t) => {
    const manager = makeManager(t);
    const pid = await manager.run<number>(target('holdFor'), [0]);
    await assert.rejects(manager.run(target('spinPolitely'), [], { timeout: 30 }), TIMEOUT);
    assert.equal(await manager.run(target('holdFor'), [0]), pid);
  });

  test('of a task that ignores it costs the worker, and only that one result', async (t) => {
    const manager = makeManager(t, { grace: 150, prefetch: 10 });
    await manager.ready();
    // The module is there then: a worker that is told to end while it imports it needs no more than that.
    await manager.run(target('holdFor'), [0]);
    const exited = once(manager, 'worker:exit');
    const failed = once(manager, 'task:failed');
    const stubborn = manager.run(target('spinForEver'), [], { timeout: 20 });
    const behind = Array.from({ length: 9 }, () => manager.run(target('holdFor'), [0]));
    await assert.rejects(stubborn, TIMEOUT);
    assert.equal(new Set(await Promise.all(behind)).size, 1);
    const [{ exitSignal, worker }] = await exited;
    assert.equal(exitSignal, 'SIGKILL');
    assert.equal((await failed)[0].worker, worker);
    const { tasks } = manager.stats();
    assert.deepEqual([tasks.done, tasks.failed], [10, 1]);
  });

  test('tells the caller soon, though the worker goes on and is waited for', async (t) => {
    const manager = makeManager(t, { grace: 60_000 });
    const late = manager.run(target('ignoreSignal'), [700], { timeout: 20 });
    await assert.rejects(late, TIMEOUT);
    assert.equal(manager.tasksLeft, 1);
    await drained(manager);
    const { done, failed } = manager.stats().tasks;
    assert.deepEqual([done, failed], [0, 1], 'the value that came in the end is no result');
  });

  test('stays what was decided when the manager closes before the worker has let go', async (t) => {
    const manager = makeManager(t, { grace: 60_000 });
    await assert.rejects(manager.run(target('spinForEver'), [], { timeout: 20 }), TIMEOUT);
    const { failed, cancelled } = await manager.close('kill');
    assert.deepEqual([failed, cancelled], [1, 0]);
  });

  test('counts from the start of the run, not while the task waits', async (t) => {
    const manager = makeManager(t, { timeout: 800 });
    await manager.ready();
    const tasks = Array.from({ length: 9 }, () => manager.run(target('holdFor'), [150]));
    assert.equal((await Promise.all(tasks)).length, 9);
  });

  test('is the manager’s, the task’s or the call’s, whichever is nearer', async (t) => {
    const manager = makeManager(t, { timeout: 20 });
    await assert.rejects(manager.run(target('waitPolitely')), TIMEOUT);
    assert.ok(await manager.run(target('holdFor'), [80], { timeout: 5_000 }));
    assert.ok(await manager.schedule(Task.from(MODULE, 'holdFor', [80], { timeout: 5_000 })).result);
    const late = manager.schedule(Task.from(MODULE, 'waitPolitely', [], { timeout: 10 }));
    await assert.rejects(late.result, TIMEOUT);
    const messages: unknown[] = [];
    for await (const message of manager.messages()) messages.push(message);
    assert.equal(messages.length, 1);
    await assert.rejects(late.result, (error) => error === messages[0]);
  });

  test('holds on a LocalManager too', async () => {
    const manager = new LocalManager();
    const handle = manager.schedule(
      new Task('wait', (ctx) => new Promise((_, reject) => ctx.signal.addEventListener('abort', reject)), {
        timeout: 10,
      }),
    );
    await assert.rejects(handle.result, TIMEOUT);
    assert.equal(manager.tasksLeft, 0);
  });
});

/** Without letting the event loop turn. */
function spin(ms: number, ctx?: TaskContext): void {
  const end = performance.now() + ms;
  while (performance.now() < end) ctx?.checkpoint();
}

describe('limits on a LocalManager', () => {
  test('hold in a synchronous loop, and behind one', async () => {
    const manager = new LocalManager();
    const busy = manager.schedule(new Task('busy', () => spin(60)));
    const late = manager.schedule(new Task('late', () => 'ran', { deadline: 20 }));
    const polite = manager.schedule(new Task('polite', (ctx) => spin(60_000, ctx), { timeout: 20 }));
    const deaf = manager.schedule(new Task('deaf', () => spin(40), { timeout: 20 }));
    await busy.result;
    await assert.rejects(late.result, DEADLINE);
    await assert.rejects(polite.result, TIMEOUT);
    await assert.rejects(deaf.result, TIMEOUT);
  });

  test('a cancel while an attempt that took too long ends is the last word; the first reason counts', async () => {
    const manager = new LocalManager();
    let runs = 0;
    const task = new Task(
      'slow',
      (ctx) => {
        runs += 1;
        return new Promise((resolve) => ctx.signal.addEventListener('abort', () => setTimeout(resolve, 30)));
      },
      { timeout: 10, retry: { max: 3, on: ['timeout'], backoff: () => 0 } },
    );
    const handle = manager.schedule(task);
    setTimeout(() => {
      handle.cancel('one');
      handle.cancel('two');
    }, 20);
    await assert.rejects(handle.result, { code: 'ERR_BOSUN_CANCELLED', cause: 'one' });
    assert.equal(runs, 1);
  });

  test('a backoff that throws is a warning, and the manager goes on', async () => {
    const manager = new LocalManager();
    const backoff = () => {
      throw new Error('no');
    };
    const warned = once(process, 'warning');
    const fail = (ctx: TaskContext) => {
      if (ctx.attempt === 1) throw new Error('once');
      return 'at last';
    };
    const handle = manager.schedule(new Task('flaky', fail, { retry: { max: 1, on: ['error'], backoff } }));
    assert.equal((await warned)[0].code, 'BOSUN_W003');
    assert.equal(await handle.result, 'at last');
  });
});

describe('deadline', () => {
  test('drops a task that has not begun, and nothing that has', async (t) => {
    const manager = makeManager(t, { prefetch: 1 });
    await manager.ready();
    const busy = manager.run(target('holdFor'), [200], { deadline: 20 });
    const late = manager.run(target('holdFor'), [0], { deadline: 20 });
    const patient = manager.run(target('holdFor'), [0], { deadline: 60_000 });
    await assert.rejects(late, (error: DeadlineError) => {
      assert.ok(error instanceof DeadlineError && error instanceof CancellationError);
      assert.equal(error.code, DEADLINE.code);
      assert.match(error.message, /'holdFor' had not begun by its deadline/);
      return true;
    });
    assert.equal(await busy, await patient);
    const { done, cancelled } = manager.stats().tasks;
    assert.deepEqual([done, cancelled], [2, 1]);
  });

  test('takes back a task that was sent ahead', async (t) => {
    const manager = makeManager(t, { prefetch: 5 });
    await manager.ready();
    const busy = manager.run(target('holdFor'), [300]);
    const late = [1, 2, 3].map(() => manager.run(target('holdFor'), [0], { deadline: 20 }));
    for (const one of late) await assert.rejects(one, DEADLINE);
    assert.ok(await busy);
  });

  test('of a scheduled task is a message as well: nothing is lost silently', async (t) => {
    const manager = makeManager(t, { prefetch: 1, deadline: 20 });
    await manager.ready();
    void manager.run(target('holdFor'), [100], { deadline: 60_000 });
    const handle = manager.schedule(Task.from(MODULE, 'holdFor', [0]));
    const messages: unknown[] = [];
    for await (const message of manager.messages()) messages.push(message);
    assert.equal((messages[0] as DeadlineError).code, DEADLINE.code);
    await assert.rejects(handle.result, DEADLINE);
  });

  test('holds on a LocalManager too', async () => {
    const manager = new LocalManager();
    const busy = manager.schedule(new Task('busy', () => new Promise((resolve) => setTimeout(resolve, 60))));
    const late = manager.schedule(new Task('late', () => 'ran', { deadline: 10 }));
    await assert.rejects(late.result, DEADLINE);
    await busy.result;
    const messages: unknown[] = [];
    for await (const message of manager.messages()) messages.push(message);
    assert.equal((messages[0] as DeadlineError).code, DEADLINE.code);
  });
});

describe('limits of tasks that tasks schedule', () => {
  test('travel with them; what cannot travel is refused at the call', async (t) => {
    const manager = makeManager(t, { retry: { max: 0, backoff: () => 1 } });
    const notes = await makeNotes(t);
    const refused = await manager.run(target('scheduleWithLimits'), [notes.file]);
    assert.deepEqual(refused, ['ERR_BOSUN_NOT_PORTABLE', 'ERR_BOSUN_NOT_PORTABLE']);
    const messages: unknown[] = [];
    for await (const message of manager.messages()) messages.push(message);
    assert.deepEqual(notes.lines(), ['attempt 1', 'attempt 2', 'attempt 3']);
    assert.equal(messages.length, 1);
    const [timeout] = messages as [TimeoutError];
    assert.deepEqual([timeout.code, timeout.taskName], [TIMEOUT.code, 'waitPolitely']);
  });
});

test('a timer of a limit does not keep the process up, nor is one left behind', async () => {
  const manager = new ProcessManager({ workers: 1 });
  await manager.run(target('holdFor'), [0], { timeout: 60_000, deadline: 60_000 });
  await manager.close();
  const timers = process.getActiveResourcesInfo().filter((name) => name === 'Timeout');
  assert.deepEqual(timers, []);
});
