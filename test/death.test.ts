// What happens when a worker dies: one clear rejection for the task that it ran, nothing else lost.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { ProcessManager, type ProcessManagerOptions, Task, type TaskTally, WorkerLostError } from '../lib/index.js';
import type { Way } from './fixtures/death-tasks.js';
import { holdProcess, makeDirectory, makeManager } from './fixtures/scene.js';
import { Hello } from './fixtures/tasks.js';

const MODULE = new URL('./fixtures/tasks.js', import.meta.url);
const target = (name: string) => ({ module: MODULE, export: name });

/** How a worker dies in the end, by what it did. */
const DEATHS: Readonly<Record<Way, { exitCode: number } | { exitSignal: NodeJS.Signals }>> = {
  'exit(0)': { exitCode: 0 },
  'exit(1)': { exitCode: 1 },
  'a throw in a timer': { exitCode: 1 },
  'an unhandled rejection': { exitCode: 1 },
  SIGKILL: { exitSignal: 'SIGKILL' },
  SIGSEGV: { exitSignal: 'SIGSEGV' },
  // By the manager, when it has been stopped for longer than `grace`.
  SIGSTOP: { exitSignal: 'SIGKILL' },
  abort: { exitSignal: 'SIGABRT' },
  'heap exhaustion': { exitSignal: 'SIGABRT' },
  // By the manager, which hears nothing from it any more.
  disconnect: { exitSignal: 'SIGKILL' },
};

const DEATH_TASKS = new URL('./fixtures/death-tasks.js', import.meta.url);
const dying = (name: string) => ({ module: DEATH_TASKS, export: name });

/** One worker with a small heap, that writes what it prints as it dies to a file. */
async function scene(t: TestContext, options: ProcessManagerOptions = {}): Promise<ProcessManager> {
  const logDirectory = await makeDirectory(t);
  holdProcess(t);
  const manager = makeManager(t, { logDirectory, grace: 100, execArgv: ['--max-old-space-size=40'], ...options });
  return manager;
}

function addUp({ accepted, waiting, sent, held, done, failed, cancelled }: TaskTally): void {
  assert.equal(accepted, waiting + sent + held + done + failed + cancelled);
}

describe('a worker that dies by', () => {
  for (const [way, expected] of Object.entries(DEATHS)) {
    const end = { exitCode: null, exitSignal: null, ...expected };
    if (way === 'SIGSTOP' && process.platform !== 'linux') continue;

    test(`${way}, before it is set up, costs nothing`, async (t) => {
      const marker = join(await makeDirectory(t), 'marker');
      const manager = await scene(t, {
        setup: { module: DEATH_TASKS, export: 'default' },
        env: { ...process.env, BOSUN_TEST_MARKER: marker, BOSUN_TEST_WAY: way },
      });
      const exited = once(manager, 'worker:exit');
      assert.equal(await manager.run(target('echo'), ['value']), 'value');
      const [{ exitCode, exitSignal }] = await exited;
      // One that cannot say that it is set up ends by itself, or by the manager.
      if (way !== 'disconnect') assert.deepEqual({ exitCode, exitSignal }, end);
      const { tasks } = manager.stats();
      addUp(tasks);
      assert.deepEqual([tasks.done, tasks.failed], [1, 0]);
    });

    test(`${way}, during a task, rejects it once, and nothing else`, async (t) => {
      const manager = await scene(t, { prefetch: 5 });
      const exited = once(manager, 'worker:exit');
      let settled = 0;
      const task = manager.run(dying('during'), [way]).finally(() => {
        settled += 1;
      });
      const behind = [1, 2, 3].map((i) => manager.run(target('echo'), [i]));
      await assert.rejects(task, (error: WorkerLostError) => {
        assert.ok(error instanceof WorkerLostError);
        const { code, taskName, taskId, attempts, finished, exitCode, exitSignal } = error;
        assert.deepEqual(
          [code, taskName, taskId, attempts, finished],
          ['ERR_BOSUN_WORKER_LOST', 'during', 1, 1, false],
        );
        assert.deepEqual({ exitCode, exitSignal }, end);
        assert.equal(typeof error.pid, 'number');
        if (way.startsWith('a')) assert.match(error.stderrTail, /thrown in a timer|rejected and forgotten|abort/i);
        return true;
      });
      assert.deepEqual(await Promise.all(behind), [1, 2, 3]);
      const [{ exitCode, exitSignal }] = await exited;
      assert.deepEqual({ exitCode, exitSignal }, end);
      const { tasks } = manager.stats();
      addUp(tasks);
      assert.deepEqual([settled, tasks.done, tasks.failed], [1, 3, 1]);
    });

    for (const moment of ['after', 'idle'] as const) {
      test(`${way}, ${moment === 'after' ? 'after its result was sent' : 'while idle'}, costs nothing`, async (t) => {
        const manager = await scene(t);
        const exited = once(manager, 'worker:exit');
        assert.equal(await manager.run(dying(moment), [way]), 'result');
        const [{ exitCode, exitSignal, tasksEnded }] = await exited;
        // One that notices that its manager is gone ends by itself, if it is the first to.
        const endedItself = way === 'disconnect' && exitCode === 0;
        assert.deepEqual({ exitCode, exitSignal }, endedItself ? { exitCode: 0, exitSignal: null } : end);
        assert.equal(tasksEnded, 1);
        assert.equal(await manager.run(target('echo'), ['usable']), 'usable');
        const { tasks } = manager.stats();
        addUp(tasks);
        assert.deepEqual([tasks.done, tasks.failed], [2, 0]);
      });
    }
  }
});

describe('a worker that dies', () => {
  test('of the tasks sent ahead only the one that ran is charged', async (t) => {
    const manager = new ProcessManager({ workers: 1, prefetch: 50 });
    t.after(() => manager.close('kill'));
    await manager.ready();
    const first = Array.from({ length: 10 }, (_, i) => manager.run(target('echo'), [i]));
    const dying = manager.run(target('exit'), [1]);
    const last = Array.from({ length: 30 }, (_, i) => manager.run(target('echo'), [i]));
    await assert.rejects(dying, WorkerLostError);
    assert.equal((await Promise.all([...first, ...last])).length, 40);
    assert.equal(manager.stats().tasks.failed, 1);
  });

  test('messages() never hangs: the loss is a message, and the loop ends', async (t) => {
    const manager = new ProcessManager({ workers: 2 });
    t.after(() => manager.close('kill'));
    const handle = manager.schedule(Task.from(MODULE, 'signalSelf', ['SIGKILL']));
    for (let i = 0; i < 20; i++) manager.schedule(new Hello(i));
    const messages: unknown[] = [];
    for await (const message of manager.messages()) messages.push(message);
    assert.equal(messages.length, 21);
    const lost = messages.filter((message) => message instanceof WorkerLostError);
    assert.equal(lost.length, 1);
    await assert.rejects(handle.result, (error) => error === lost[0]);
  });

  test('with nothing to do is a process warning, unless somebody listens', async (t) => {
    const warnings: string[] = [];
    const onWarning = (warning: Error & { code?: string }) => warnings.push(`${warning.code} ${warning.message}`);
    process.on('warning', onWarning);
    t.after(() => process.off('warning', onWarning));
    holdProcess(t);
    const manager = makeManager(t);
    const pid = await manager.run<number>(target('pid'));
    const warned = once(process, 'warning');
    process.kill(pid, 'SIGKILL');
    await warned;
    assert.match(warnings.join(), /^BOSUN_W006 worker 1 \(pid \d+\) ended with SIGKILL while it had nothing to do$/);
    assert.notEqual(await manager.run<number>(target('pid')), pid);
  });

  test('an idle one is replaced', async (t) => {
    const manager = new ProcessManager({ workers: 1 });
    t.after(() => manager.close('kill'));
    const pid = await manager.run<number>(target('pid'));
    // An idle manager does not keep a process up; this test waits for one.
    const hold = setInterval(() => {}, 1_000);
    t.after(() => clearInterval(hold));
    const exited = once(manager, 'worker:exit');
    const started = once(manager, 'worker:start');
    process.kill(pid, 'SIGKILL');
    assert.equal((await exited)[0].exitSignal, 'SIGKILL');
    await started;
    assert.notEqual(await manager.run(target('pid')), pid);
  });
});
