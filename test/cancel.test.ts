// Cancelling: by a handle, by an AbortSignal of a task, of a call or of the manager; polite tasks, slow ones and deaf ones.

import assert from 'node:assert/strict';
import { getEventListeners, once } from 'node:events';
import { describe, test } from 'node:test';
import { Chain, LocalManager, ProcessManager, Task } from '../lib/index.js';
import { drained, holdProcess, makeManager, makeNotes } from './fixtures/scene.js';
import { UntilAborted } from './fixtures/tasks.js';

const MODULE = new URL('./fixtures/limit-tasks.js', import.meta.url);
const target = (name: string) => ({ module: MODULE, export: name });
const CANCELLED = { name: 'CancellationError', code: 'ERR_BOSUN_CANCELLED' };
const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

describe('an AbortSignal of run()', () => {
  test('that is aborted already rejects with its reason, and nothing is enqueued', async (t) => {
    const manager = makeManager(t);
    const reason = new Error('too late');
    const signal = AbortSignal.abort(reason);
    await assert.rejects(manager.run(target('holdFor'), [0], { signal }), (error) => error === reason);
    assert.throws(
      () => manager.schedule(Task.from(MODULE, 'holdFor', [0], { signal })),
      (error) => error === reason,
    );
    assert.equal(manager.stats().tasks.accepted, 0);
    assert.equal(listeners(signal), 0);
  });

  test('drops tasks that wait and stops the one that runs; each rejects with its reason', async (t) => {
    const manager = makeManager(t, { prefetch: 5 });
    const notes = await makeNotes(t);
    const controller = new AbortController();
    const { signal } = controller;
    const running = manager.run(target('waitPolitely'), [notes.file], { signal });
    const waiting = Array.from({ length: 20 }, () => manager.run(target('holdFor'), [0], { signal }));
    const other = manager.run(target('holdFor'), [0]);
    assert.equal(listeners(signal), 1, 'one listener, however many tasks');
    await notes.line('begin 1');
    controller.abort('enough');
    const outcomes = await Promise.allSettled([running, ...waiting]);
    assert.ok(outcomes.every((outcome) => outcome.status === 'rejected' && outcome.reason === 'enough'));
    assert.ok(await other, 'and nothing else');
    assert.equal(listeners(signal), 0, 'and none is left');
    assert.deepEqual(notes.lines(), ['begin 1', 'stopped by ERR_BOSUN_CANCELLED']);
    const { done, cancelled } = manager.stats().tasks;
    assert.deepEqual([done, cancelled], [1, 21]);
  });

  test('leaves no listener behind tasks that end otherwise', async (t) => {
    const manager = makeManager(t, { prefetch: 1 });
    const { signal } = new AbortController();
    await manager.run(target('holdFor'), [0], { signal });
    await assert.rejects(manager.run(target('complainAndExit'), [0, 1], { signal }));
    await assert.rejects(manager.run(target('waitPolitely'), [], { signal, timeout: 10 }));
    const busy = manager.run(target('holdFor'), [80], { signal });
    await assert.rejects(manager.run(target('holdFor'), [0], { signal, deadline: 10 }));
    const handle = manager.schedule(Task.from(MODULE, 'holdFor', [0], { signal }));
    handle.cancel();
    await busy;
    await assert.rejects(handle.result, CANCELLED);
    assert.equal(listeners(signal), 0);
    await drained(manager);
  });

  test('of AbortSignal.timeout() is as good as any', async (t) => {
    const manager = makeManager(t);
    holdProcess(t);
    const signal = AbortSignal.timeout(30);
    await assert.rejects(manager.run(target('waitPolitely'), [], { signal }), { name: 'TimeoutError' });
    assert.equal(await manager.run(target('holdFor'), [0]).then(() => 'usable'), 'usable');
  });

  test('may have another task’s error as its reason: what it cancels is cancelled, not failed', async (t) => {
    const manager = makeManager(t, { prefetch: 1 });
    const controller = new AbortController();
    const events: string[] = [];
    for (const event of ['task:failed', 'task:cancelled'] as const)
      manager.on(event, ({ id }) => events.push(`${event} ${id}`));
    const first = manager.run(target('failUntil'), [9, 'throw']);
    const second = manager.schedule(Task.from(MODULE, 'holdFor', [60_000], { signal: controller.signal }));
    const reason = await first.catch((error: unknown) => error);
    controller.abort(reason);
    await assert.rejects(second.result, (error) => error === reason);
    await drained(manager);
    assert.deepEqual(events, ['task:failed 1', 'task:cancelled 2']);
    const { failed, cancelled, errors } = await manager.close();
    assert.deepEqual([failed, cancelled, errors], [1, 1, []]);
  });

  test('that races with the end settles each task once, and the counts agree', async (t) => {
    const manager = makeManager(t, { workers: 2 });
    await manager.ready();
    let resolved = 0;
    let rejected = 0;
    const tasks = Array.from({ length: 2_000 }, (_, i) => {
      const controller = new AbortController();
      const task = manager.run(target('storeNow'), [], { signal: controller.signal });
      if (i % 3 === 0) setImmediate(() => controller.abort());
      else if (i % 3 === 1) queueMicrotask(() => controller.abort());
      return task.then(
        () => {
          resolved += 1;
        },
        () => {
          rejected += 1;
        },
      );
    });
    await Promise.all(tasks);
    await drained(manager);
    const { done, cancelled, failed } = manager.stats().tasks;
    assert.deepEqual([resolved, rejected, failed], [done, cancelled, 0]);
    assert.equal(resolved + rejected, 2_000);
  });
});

describe('a task that was told to stop', () => {
  test('ends as cancelled, whatever it returns in the end; its caller is told soon', async (t) => {
    const manager = makeManager(t);
    const notes = await makeNotes(t);
    const handle = manager.schedule(Task.from(MODULE, 'stopSlowly', [notes.file, 600]));
    await notes.line('begin');
    handle.cancel('not needed');
    await assert.rejects(handle.result, { ...CANCELLED, cause: 'not needed' });
    assert.deepEqual(notes.lines(), ['begin', 'cleaning'], 'it is still cleaning up');
    assert.equal(manager.tasksLeft, 1);
    await drained(manager);
    assert.deepEqual(notes.lines(), ['begin', 'cleaning', 'cleaned']);
    assert.equal(manager.stats().tasks.cancelled, 1);
  });

  test('gets no company while it cleans up: what comes is for other workers', async (t) => {
    const manager = makeManager(t, { workers: 2, minWorkers: 2, concurrency: 2, grace: 300 });
    const notes = await makeNotes(t);
    await manager.ready();
    const handle = manager.schedule(Task.from(MODULE, 'spinForEver', [notes.file]));
    const exited = once(manager, 'worker:exit');
    await notes.line('begin');
    handle.cancel();
    const others = Array.from({ length: 20 }, (_, i) => manager.run(target('note'), [notes.file, `${i}`]));
    await Promise.all(others);
    assert.equal(notes.lines().length, 21, 'each ran once, none on the worker that had to be killed');
    await assert.rejects(handle.result, CANCELLED);
    // Every way to end a process is the same on Windows.
    assert.equal((await exited)[0].exitSignal, process.platform === 'win32' ? 'SIGTERM' : 'SIGKILL');
    await drained(manager);
    const { done, cancelled, failed, retried } = manager.stats().tasks;
    assert.deepEqual([done, cancelled, failed, retried], [20, 1, 0, 0]);
  });

  test('and ignores it past `grace` costs its worker; others that run there have as long again', async (t) => {
    const manager = makeManager(t, { concurrency: 2, grace: 200 });
    await manager.ready();
    const notes = await makeNotes(t);
    const deaf = new AbortController();
    const stubborn = manager.run(target('ignoreSignal'), [60_000, notes.file], { signal: deaf.signal });
    const innocent = manager.run(target('ignoreSignal'), [250, notes.file]);
    await notes.line('begin 60000');
    await notes.line('begin 250');
    const exited = once(manager, 'worker:exit');
    deaf.abort('now');
    await assert.rejects(stubborn, (error) => error === 'now');
    assert.equal(await innocent, 'done');
    await exited;
    const { done, cancelled, failed } = manager.stats().tasks;
    assert.deepEqual([done, cancelled, failed], [1, 1, 0]);
    assert.ok(await manager.run(target('holdFor'), [0]));
  });

  test('while it waits for another attempt is not run again', async (t) => {
    const manager = makeManager(t);
    const controller = new AbortController();
    const retry = { max: 1, on: ['error'] as const, backoff: () => 60_000 };
    const retrying = once(manager, 'task:retry');
    const task = manager.run(target('failUntil'), [9, 'throw'], { retry, signal: controller.signal });
    await retrying;
    controller.abort();
    await assert.rejects(task, { name: 'AbortError' });
    assert.equal(manager.tasksLeft, 0);
  });
});

describe('an AbortSignal of a manager', () => {
  test('may be shared by many without a warning', async (t) => {
    const { signal } = new AbortController();
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    t.after(() => process.off('warning', onWarning));
    const managers = Array.from({ length: 12 }, () => makeManager(t, { signal, minWorkers: 0 }));
    await Promise.all(managers.map((manager) => manager.close()));
    await new Promise(setImmediate);
    assert.deepEqual(warnings, []);
    assert.equal(listeners(signal), 0);
  });

  test('closes it with CANCEL; what is dropped has the reason as its cause', async (t) => {
    const controller = new AbortController();
    const { signal } = controller;
    const manager = makeManager(t, { signal, prefetch: 1 });
    const running = manager.schedule(new UntilAborted());
    assert.equal((await manager.messages().next()).value, 'running');
    const waiting = manager.run(target('holdFor'), [0]);
    controller.abort('shut down');
    await assert.rejects(waiting, { ...CANCELLED, cause: 'shut down' });
    await assert.rejects(running.result, CANCELLED);
    const report = await manager.close();
    assert.equal(report.policy, 'cancel');
    assert.equal(listeners(signal), 0);
  });

  test('that is aborted already starts nothing', () => {
    const reason = new Error('no');
    assert.throws(
      () => new ProcessManager({ signal: AbortSignal.abort(reason) }),
      (error) => error === reason,
    );
  });

  test('is let go of at close()', async () => {
    const { signal } = new AbortController();
    const manager = new ProcessManager({ workers: 1, signal });
    assert.equal(listeners(signal), 1);
    await manager.close();
    assert.equal(listeners(signal), 0);
  });
});

describe('a Chain that was told to stop', () => {
  test('begins nothing more', async (t) => {
    const manager = makeManager(t);
    const notes = await makeNotes(t);
    const steps = [1, 2, 3].map((i) => Task.from(MODULE, 'ignoreSignal', [100 + i, notes.file]));
    const handle = manager.schedule(new Chain(steps));
    await notes.line('begin 101');
    handle.cancel();
    await assert.rejects(handle.result, CANCELLED);
    await drained(manager);
    assert.deepEqual(notes.lines(), ['begin 101']);
  });
});

describe('an AbortSignal of a task of a LocalManager', () => {
  test('drops it while it waits, and stops it while it runs', async () => {
    const manager = new LocalManager();
    const controller = new AbortController();
    const { signal } = controller;
    const running = manager.schedule(
      new Task('run', (ctx) => new Promise((_, reject) => ctx.signal.addEventListener('abort', reject)), { signal }),
    );
    const waiting = manager.schedule(new Task('wait', () => 1, { signal }));
    setImmediate(() => controller.abort('over'));
    for (const { result } of [running, waiting]) await assert.rejects(result, (error) => error === 'over');
    assert.equal(listeners(signal), 0);
    assert.throws(
      () => manager.schedule(new Task('late', () => 1, { signal })),
      (error) => error === 'over',
    );
  });
});
