// When workers cannot live: the restart limit, a system that refuses them, and workers that are stopped.

import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ProcessManager, WorkerLostError, WorkerStartError } from '../lib/index.js';
import { holdProcess, makeDirectory, makeManager, makeNotes } from './fixtures/scene.js';

const MODULE = new URL('./fixtures/limit-tasks.js', import.meta.url);
const TASKS = new URL('./fixtures/tasks.js', import.meta.url);
const target = (name: string) => ({ module: MODULE, export: name });
const START = { name: 'WorkerStartError', code: 'ERR_BOSUN_WORKER_START' };

describe('the restart limit', () => {
  test('a set-up module that throws on import rejects ready(), tasks and calls, after so many workers', async (t) => {
    const module = join(await makeDirectory(t), 'broken.mjs');
    await writeFile(module, "console.error('last words'); throw new Error('broken on import');\n");
    const manager = makeManager(t, { setup: { module, export: 'default' }, restart: { max: 2 } });
    let exits = 0;
    const troubles: string[] = [];
    manager.on('worker:exit', () => {
      exits += 1;
    });
    manager.on('worker:error', ({ error }) => troubles.push(error.message));
    const task = manager.run(target('holdFor'), [0]);
    await assert.rejects(manager.ready(), (error: WorkerStartError) => {
      assert.ok(error instanceof WorkerStartError);
      assert.equal(error.code, START.code);
      assert.match(error.message, /^3 workers within 10000 ms could not be set up/);
      assert.match(error.message, /broken on import/);
      assert.ok(error.message.endsWith(`run its set-up by itself: node ${module}`), error.message);
      assert.equal((error.cause as Error).message, 'broken on import');
      return true;
    });
    await assert.rejects(task, START);
    assert.throws(() => manager.messages(), START);
    assert.throws(() => manager.run(target('holdFor'), [0]), START);
    assert.equal(troubles.length, 2);
    const report = await manager.close();
    assert.deepEqual([exits, report.workers, manager.tasksLeft], [3, [], 0]);
  });

  test('workers that die one after the other without having ended a task fail the manager', async (t) => {
    const manager = makeManager(t, { restart: { max: 1 } });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 5 }, () => manager.run({ module: TASKS, export: 'exit' }, [9])),
    );
    const codes = outcomes.map((outcome) => (outcome as PromiseRejectedResult).reason.code);
    const lost = 'ERR_BOSUN_WORKER_LOST';
    assert.deepEqual(codes, [lost, lost, START.code, START.code, START.code]);
    assert.match(
      (outcomes[4] as PromiseRejectedResult).reason.message,
      /^2 workers within 10000 ms died before they had ended a task, .* ended with exit code 9/,
    );
  });

  test('quotes the error that a worker died of, not the stack below it', async (t) => {
    const manager = makeManager(t, { restart: { max: 0 } });
    await assert.rejects(manager.run({ module: TASKS, export: 'throwLater' }), WorkerLostError);
    await assert.rejects(manager.ready(), /had said: .*Error: thrown in a timer$/s);
  });

  test('says what a worker said last', async (t) => {
    const manager = makeManager(t, { restart: { max: 0 } });
    const task = manager.run(target('complainAndExit'), [30, 9]);
    await assert.rejects(task, WorkerLostError);
    await assert.rejects(
      manager.ready(),
      /had said: complaint 26\ncomplaint 27\ncomplaint 28\ncomplaint 29\ncomplaint 30/,
    );
  });

  test('does not concern workers that have ended tasks: a few crashes among many tasks are no storm', async (t) => {
    const manager = makeManager(t, { restart: { max: 0 } });
    for (let i = 0; i < 3; i++) {
      assert.ok(await manager.run(target('holdFor'), [0]));
      await assert.rejects(manager.run({ module: TASKS, export: 'exit' }, [9]), WorkerLostError);
    }
    assert.ok(await manager.run(target('holdFor'), [0]));
  });

  test('does not concern workers that were killed for a task', async (t) => {
    const manager = makeManager(t, { restart: { max: 0 }, grace: 50 });
    await assert.rejects(manager.run(target('spinForEver'), [], { timeout: 20 }), { code: 'ERR_BOSUN_TIMEOUT' });
    assert.ok(await manager.run(target('holdFor'), [0]));
  });
});

describe('a system that refuses to start workers', () => {
  test('is asked again: queued work stays, and it is reported, once by a warning', async () => {
    const program = new URL('./fixtures/refused-spawn.js', import.meta.url).pathname;
    const shell = promisify(execFile)('sh', ['-c', 'ulimit -n 60; exec "$0" "$1"', process.execPath, program]);
    const { stdout } = await shell;
    assert.deepEqual(JSON.parse(stdout), {
      value: 'x',
      accepted: 1,
      done: 1,
      name: 'WorkerStartError',
      cause: 'EMFILE',
      warnings: ['BOSUN_W004'],
    });
  });
});

const AS_NOBODY = ['--reuid=65534', '--regid=65534', '--clear-groups'];

/** A user that has no other processes, and the system's limit for one: why they cannot be had here. */
function whyNoLimits(): string | false {
  if (process.platform !== 'linux') return 'only Linux has prlimit';
  if (process.getuid?.() !== 0) return 'it takes root to start a process as a user that has no others';
  const args = [...AS_NOBODY, process.execPath, '--check', REFUSED_FORK];
  if (spawnSync('setpriv', args).status !== 0) return 'another user cannot run Node.js on this folder';
  return spawnSync('prlimit', ['--version']).status === 0 ? false : 'there is no prlimit';
}

const REFUSED_FORK = fileURLToPath(new URL('./fixtures/refused-fork.js', import.meta.url));

test('a fork that the system refuses is tried again too', { skip: whyNoLimits() }, async (t) => {
  const child = spawn('setpriv', [...AS_NOBODY, process.execPath, REFUSED_FORK], { stdio: ['pipe', 'pipe', 'ignore'] });
  t.after(() => child.kill('SIGKILL'));
  // The soft limit only, and by the same user: that takes no privilege.
  const limit = (most: number) =>
    promisify(execFile)('setpriv', [...AS_NOBODY, 'prlimit', '--pid', `${child.pid}`, `--nproc=${most}:`]);
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (line === 'ready') {
      await limit(1);
      child.stdin.write('go');
    } else if (line.startsWith('refused')) {
      await limit(1_000);
    }
  }
  assert.deepEqual(lines, ['ready', 'refused EAGAIN', 'value x']);
});

const isLinux = process.platform === 'linux';

describe('a worker that is stopped', { skip: isLinux ? false : 'only Linux tells a parent about it' }, () => {
  test('gets nothing, gives back what it has not begun, and goes on when it is continued', async (t) => {
    const manager = makeManager(t, { workers: 2, minWorkers: 2, prefetch: 20, grace: 60_000 });
    holdProcess(t);
    await manager.ready();
    const [first] = manager.workers;
    const pid = first?.pid as number;
    process.kill(pid, 'SIGSTOP');
    const others = await Promise.all(
      Array.from({ length: 40 }, () => manager.run<number>({ module: TASKS, export: 'pid' })),
    );
    assert.ok(!others.includes(pid));
    process.kill(pid, 'SIGCONT');
    // In the end it takes part again.
    for (let seen = false; !seen; ) {
      const pids = await Promise.all([1, 2, 3, 4].map(() => manager.run<number>(target('holdFor'), [5])));
      seen = pids.includes(pid);
    }
  });

  test('for longer than `grace` is killed: its task fails, others go on', async (t) => {
    const manager = makeManager(t, { grace: 150, prefetch: 5 });
    const notes = await makeNotes(t);
    holdProcess(t);
    const running = manager.run(target('waitPolitely'), [notes.file]);
    const behind = [1, 2, 3].map((i) => manager.run({ module: TASKS, export: 'echo' }, [i]));
    await notes.line('begin 1');
    process.kill(manager.workers[0]?.pid as number, 'SIGSTOP');
    await assert.rejects(running, (error: WorkerLostError) => {
      assert.deepEqual([error.code, error.exitSignal], ['ERR_BOSUN_WORKER_LOST', 'SIGKILL']);
      assert.match(error.message, /SIGKILL \(it had been stopped for 150 ms\) while it ran/);
      return true;
    });
    assert.deepEqual(await Promise.all(behind), [1, 2, 3]);
  });

  test('while idle is replaced after `grace`', async (t) => {
    const manager = makeManager(t, { grace: 100 });
    holdProcess(t);
    const pid = await manager.run<number>({ module: TASKS, export: 'pid' });
    const exited = once(manager, 'worker:exit');
    process.kill(pid, 'SIGSTOP');
    assert.equal((await exited)[0].exitSignal, 'SIGKILL');
    assert.notEqual(await manager.run({ module: TASKS, export: 'pid' }), pid);
  });

  test('does not hold up close()', async () => {
    const manager = new ProcessManager({ workers: 1, grace: 100 });
    const pid = await manager.run<number>({ module: TASKS, export: 'pid' });
    process.kill(pid, 'SIGSTOP');
    const { workers } = await manager.close('cancel');
    assert.equal(workers[0]?.exitSignal, 'SIGKILL');
    assert.equal(process.listenerCount('SIGCHLD'), 0);
  });
});
