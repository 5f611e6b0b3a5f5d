// What happens when a worker dies: one clear rejection for the task that it ran, nothing else lost.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { ProcessManager, Task, WorkerLostError } from '../lib/index.js';
import { deathTests } from './fixtures/death-matrix.js';
import { holdProcess, makeManager } from './fixtures/scene.js';
import { Hello } from './fixtures/tasks.js';

const MODULE = new URL('./fixtures/tasks.js', import.meta.url);
const target = (name: string) => ({ module: MODULE, export: name });

describe('a worker that dies by', () => deathTests('fast'));

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
