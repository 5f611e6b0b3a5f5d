// What happens when a worker dies: one clear rejection for the task that it ran, nothing else lost.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ProcessManager, type ProcessManagerOptions, Task, WorkerLostError } from '../lib/index.js';
import { Hello } from './fixtures/tasks.js';

const MODULE = new URL('./fixtures/tasks.js', import.meta.url);
const target = (name: string) => ({ module: MODULE, export: name });

/** [what the task calls, its arguments, how the worker ends]. What the dying process prints goes to a file. */
const DEATHS: [string, unknown[], { exitCode?: number; exitSignal?: NodeJS.Signals }][] = [
  ['exit', [0], { exitCode: 0 }],
  ['exit', [3], { exitCode: 3 }],
  ['signalSelf', ['SIGKILL'], { exitSignal: 'SIGKILL' }],
  ['signalSelf', ['SIGTERM'], { exitSignal: 'SIGTERM' }],
  ['abort', [], { exitSignal: 'SIGABRT' }],
  ['throwLater', [], { exitCode: 1 }],
  ['rejectUnhandled', [], { exitCode: 1 }],
  ['exhaustHeap', [], { exitSignal: 'SIGABRT' }],
];

describe('a worker that dies', () => {
  for (const [name, args, end] of DEATHS) {
    test(`${name}(${args.join()}) rejects its task once and the manager goes on`, async (t) => {
      const logDirectory = await mkdtemp(join(tmpdir(), 'bosun-death-'));
      const options: ProcessManagerOptions = { workers: 1, logDirectory, execArgv: ['--max-old-space-size=40'] };
      const manager = new ProcessManager(options);
      t.after(async () => {
        await manager.close('kill');
        await rm(logDirectory, { recursive: true });
      });
      const exited = once(manager, 'worker:exit');
      let settled = 0;
      const dying = manager.run(target(name), args).finally(() => {
        settled += 1;
      });
      const behind = [1, 2, 3].map((i) => manager.run(target('echo'), [i]));
      await assert.rejects(dying, (error: WorkerLostError) => {
        assert.ok(error instanceof WorkerLostError);
        assert.equal(error.code, 'ERR_BOSUN_WORKER_LOST');
        assert.equal(error.taskName, name);
        assert.equal(error.exitCode, end.exitCode ?? null);
        assert.equal(error.exitSignal, end.exitSignal ?? null);
        assert.equal(typeof error.pid, 'number');
        return true;
      });
      assert.deepEqual(await Promise.all(behind), [1, 2, 3]);
      assert.equal((await exited)[0].exitCode, end.exitCode ?? null);
      assert.equal(settled, 1);
      const { accepted, done, failed } = manager.stats().tasks;
      assert.deepEqual([accepted, done, failed], [4, 3, 1]);
    });
  }

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
