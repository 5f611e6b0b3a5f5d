// The manager of a crew: tasks for a hand by its name, in processes that somebody else starts, ends and starts again.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  CancellationError,
  LocalManager,
  NullManager,
  ProcessManager,
  Proxy,
  Task,
  type TaskHandle,
  type WorkerLostError,
} from '../lib/index.js';
import { type CrewOffice, openCrewOffice, type Seat } from '../lib/internals.js';
import { holdProcess, makeNotes } from './fixtures/scene.js';

const HAND = fileURLToPath(new URL('./fixtures/hand.js', import.meta.url));
const MODULE = new URL('./fixtures/hand-tasks.js', import.meta.url);
const target = (name: string) => ({ module: MODULE, export: name });
const CANCELLED = { name: 'CancellationError', code: 'ERR_BOSUN_CANCELLED' };
const BAD_NAME = { code: 'ERR_BOSUN_INVALID_ARGUMENT' };

type Options = Parameters<typeof openCrewOffice>[1];

function makeOffice(t: TestContext, names: string[], options: Options = {}): CrewOffice {
  holdProcess(t);
  const office = openCrewOffice(names, options);
  t.after(() => office.manager.close('kill'));
  return office;
}

interface Hand {
  readonly pid: number;
  readonly seat: Seat;
  readonly child: ChildProcess;
  readonly lines: Interface;
  readonly exited: Promise<unknown>;
  /** It is told this line. */
  tell(line: string): void;
  kill(): Promise<void>;
}

/** What a boss does to start a hand. */
function startHand(t: TestContext, office: CrewOffice, name: string): Hand {
  const seat = office.open(name);
  const child = spawn(process.execPath, [HAND], { stdio: ['pipe', 'pipe', 'inherit', ...seat.descriptors] });
  t.after(() => child.kill('SIGKILL'));
  const exited = new Promise<{ exitCode: number | null; exitSignal: NodeJS.Signals | null }>((resolve) => {
    child.once('exit', (exitCode, exitSignal) => resolve({ exitCode, exitSignal }));
  });
  seat.started({ pid: child.pid, exited, signal: (signal) => child.kill(signal) });
  return {
    pid: child.pid as number,
    seat,
    child,
    lines: createInterface({ input: child.stdout as NonNullable<typeof child.stdout> }),
    exited,
    tell: (line) => child.stdin?.write(`${line}\n`),
    kill: async () => {
      child.kill('SIGKILL');
      await seat.gone;
    },
  };
}

/** Resolves when the task has begun. */
function begun(handle: TaskHandle): Promise<void> {
  return new Promise((resolve) => handle.onProgress(() => resolve()));
}

function gate(office: CrewOffice, to: string): TaskHandle<number> {
  return office.manager.schedule(Task.from<number>(MODULE, 'gate'), { to });
}

const pid = () => Task.from<number>(MODULE, 'pid');

describe('a task for a hand', () => {
  test('runs there, however it is scheduled, and one for anybody runs anywhere', async (t) => {
    const office = makeOffice(t, ['a', 'b']);
    const [a, b] = [startHand(t, office, 'a'), startHand(t, office, 'b')];
    const { manager } = office;
    for (const [name, hand] of Object.entries({ a, b })) {
      for (let i = 0; i < 20; i++) {
        assert.equal(await manager.schedule(pid(), { to: name }).result, hand.pid);
        assert.equal(await manager.run(target('pid'), [], { to: name, priority: 0 }), hand.pid);
      }
      const stream = manager.stream<number, number>(target('count'), [3], { to: name });
      let next = await stream.next();
      while (!next.done) next = await stream.next();
      assert.equal(next.value, hand.pid);
    }
    assert.ok([a.pid, b.pid].includes(await manager.run<number>(target('pid'))));
    // Both are busy: what comes goes to whoever is free first.
    const held = [gate(office, 'a'), gate(office, 'b')] as const;
    await Promise.all(held.map(begun));
    const free = manager.run(target('pid'));
    held[1].send('go');
    assert.equal(await free, b.pid);
    held[0].send('go');
    assert.equal(await held[0].result, a.pid);
  });

  test('is taken in order of urgency together with those for anybody', async (t) => {
    const office = makeOffice(t, ['a'], { priorityLevels: 3 });
    const notes = await makeNotes(t);
    startHand(t, office, 'a');
    const blocker = gate(office, 'a');
    await begun(blocker);
    const note = (line: string, priority: number, to?: string) =>
      office.manager.run(target('note'), [notes.file, line], { priority, to });
    const all = [
      note('own 2', 2, 'a'),
      note('any 1', 1),
      note('own 1', 1, 'a'),
      note('any 1 again', 1),
      note('own 0', 0, 'a'),
      note('any 0', 0),
      note('any 2', 2),
    ];
    blocker.send('go');
    await Promise.all(all);
    assert.deepEqual(notes.lines(), ['own 0', 'any 0', 'any 1', 'own 1', 'any 1 again', 'own 2', 'any 2']);
  });

  test('waits until the hand comes, also when it comes back, and holds up no other', async (t) => {
    const office = makeOffice(t, ['a', 'b']);
    const { manager } = office;
    const waits = manager.schedule(pid(), { to: 'a', priority: 0 });
    const b = startHand(t, office, 'b');
    for (let i = 0; i < 5; i++) assert.equal(await manager.run(target('pid')), b.pid);
    assert.equal(manager.stats().tasks.waiting, 1);
    const a = startHand(t, office, 'a');
    assert.equal(await waits.result, a.pid);
    await a.kill();
    const again = manager.schedule(pid(), { to: 'a' });
    assert.equal(await manager.run(target('pid')), b.pid);
    const second = startHand(t, office, 'a');
    assert.equal(await again.result, second.pid);
    assert.deepEqual(
      manager.workers.map(({ name, pid }) => [name, pid]),
      [
        ['b', b.pid],
        ['a', second.pid],
      ],
    );
  });

  test('is cancelled, or too late for its deadline, while the hand is not there', async (t) => {
    const office = makeOffice(t, ['a']);
    const { manager } = office;
    const cancelled = manager.schedule(pid(), { to: 'a' });
    const late = manager.schedule(Task.from(MODULE, 'pid', [], { deadline: 20 }), { to: 'a' });
    cancelled.cancel();
    await assert.rejects(cancelled.result, CANCELLED);
    await assert.rejects(late.result, { code: 'ERR_BOSUN_DEADLINE' });
    assert.equal(cancelled.task.state, 'CANCELLED');
    assert.equal(manager.tasksLeft, 0);
  });

  test('is cancelled while it runs there', async (t) => {
    const office = makeOffice(t, ['a']);
    const hand = startHand(t, office, 'a');
    const runs = office.manager.schedule(Task.from(MODULE, 'untilStopped'), { to: 'a' });
    await begun(runs);
    runs.cancel();
    await assert.rejects(runs.result, CANCELLED);
    assert.equal(await office.manager.run(target('pid'), [], { to: 'a' }), hand.pid);
  });

  test('that goes on when it was cancelled costs its hand, and the next one comes', async (t) => {
    const office = makeOffice(t, ['a'], { grace: 50 });
    const { manager } = office;
    const notes = await makeNotes(t);
    const hand = startHand(t, office, 'a');
    const deaf = manager.schedule(Task.from(MODULE, 'spin', [notes.file]), { to: 'a' });
    const next = manager.schedule(pid(), { to: 'a' });
    await notes.line('begin');
    deaf.cancel();
    await assert.rejects(deaf.result, CANCELLED);
    await hand.seat.gone;
    assert.deepEqual(await hand.exited, { exitCode: null, exitSignal: 'SIGTERM' });
    const second = startHand(t, office, 'a');
    assert.equal(await next.result, second.pid);
  });

  test('that a task schedules has none: it may run anywhere, and none can be given', async (t) => {
    const office = makeOffice(t, ['a']);
    const hand = startHand(t, office, 'a');
    const codes = await office.manager.run(target('scheduleTo'), ['a'], { to: 'a' });
    assert.deepEqual(codes, ['ERR_BOSUN_INVALID_ARGUMENT', 'ERR_BOSUN_INVALID_ARGUMENT']);
    assert.equal(await office.manager.run(target('childPid'), [], { to: 'a' }), hand.pid);
  });
});

describe('a hand that dies', () => {
  test('costs the task that runs there, with its signal or exit code', async (t) => {
    const office = makeOffice(t, ['a']);
    const { manager } = office;
    const hand = startHand(t, office, 'a');
    const running = gate(office, 'a');
    const waiting = manager.schedule(pid(), { to: 'a' });
    await begun(running);
    await hand.kill();
    await assert.rejects(running.result, (error: WorkerLostError) => {
      assert.equal(error.code, 'ERR_BOSUN_WORKER_LOST');
      assert.deepEqual([error.exitSignal, error.pid], ['SIGKILL', hand.pid]);
      return true;
    });
    const second = startHand(t, office, 'a');
    assert.equal(await waiting.result, second.pid);
    const exits = manager.run(target('exitWith'), [3], { to: 'a' });
    await assert.rejects(exits, { code: 'ERR_BOSUN_WORKER_LOST', exitCode: 3 });
    await second.seat.gone;
  });

  test('has its task retried at the same place', async (t) => {
    const office = makeOffice(t, ['a', 'b']);
    startHand(t, office, 'b');
    const hand = startHand(t, office, 'a');
    const retried = office.manager.run(target('dieOnce'), [], { to: 'a', retry: { max: 1 } });
    await hand.seat.gone;
    const second = startHand(t, office, 'a');
    assert.deepEqual(await retried, [second.pid, 2]);
  });

  test('and ends cleanly costs only what runs, which goes elsewhere if it may', async (t) => {
    const office = makeOffice(t, ['a', 'b'], { prefetch: 4 });
    const { manager } = office;
    const hand = startHand(t, office, 'a');
    const running = manager.schedule(Task.from<number>(MODULE, 'gate', [], { retry: { max: 1 } }));
    await begun(running);
    const unclaimed = [1, 2, 3].map(() => manager.run(target('pid')));
    hand.tell('end');
    await hand.seat.gone;
    const b = startHand(t, office, 'b');
    running.send('go');
    assert.deepEqual(await Promise.all([...unclaimed, running.result]), Array(4).fill(b.pid));
    assert.equal(manager.stats().tasks.retried, 1);
  });

  test('before it was set up leaves the manager as it was', async (t) => {
    const office = makeOffice(t, ['a']);
    const waits = office.manager.run(target('pid'), [], { to: 'a' });
    for (let i = 0; i < 6; i++) await startHand(t, office, 'a').kill();
    office.open('a').drop();
    await new Promise((resolve) => setImmediate(resolve));
    const hand = startHand(t, office, 'a');
    assert.equal(await waits, hand.pid);
  });
});

describe('a hand that leaves', () => {
  test('ends what runs, and goes on', async (t) => {
    const office = makeOffice(t, ['a', 'b']);
    const { manager } = office;
    const a = startHand(t, office, 'a');
    const running = gate(office, 'a');
    await begun(running);
    a.seat.leave(false);
    const elsewhere = manager.run(target('pid'));
    const b = startHand(t, office, 'b');
    assert.equal(await elsewhere, b.pid);
    running.send('go');
    assert.equal(await running.result, a.pid);
    await a.seat.gone;
    const said = once(a.lines, 'line');
    a.tell('you');
    assert.match(String(await said), /left|heard you/);
    assert.equal(a.child.exitCode, null);
  });

  test('is told to stop what runs, which ends CANCELLED', async (t) => {
    const office = makeOffice(t, ['a']);
    const a = startHand(t, office, 'a');
    const running = office.manager.schedule(Task.from(MODULE, 'untilStopped'), { to: 'a' });
    await begun(running);
    a.seat.leave(true);
    a.tell('end after leaving');
    await assert.rejects(running.result, CANCELLED);
    assert.equal(running.task.state, 'CANCELLED');
    assert.deepEqual(await a.exited, { exitCode: 0, exitSignal: null });
  });
});

describe('giving up a hand', () => {
  test('cancels what waits and runs for it by name, and refuses more until it is expected again', async (t) => {
    const office = makeOffice(t, ['a', 'b'], { maxQueue: 1, whenFull: 'wait' });
    const { manager } = office;
    const a = startHand(t, office, 'a');
    const running = manager.schedule(Task.from(MODULE, 'untilStopped'), { to: 'a' });
    await begun(running);
    const waiting = manager.schedule(pid(), { to: 'a' });
    const outside = manager.schedule(pid(), { to: 'a' });
    const other = manager.schedule(pid());
    const reason = new Error('it was dismissed');
    office.giveUp('a', reason);
    for (const { result, task } of [running, waiting, outside]) {
      await assert.rejects(result, (error) => error instanceof CancellationError && error.cause === reason);
      assert.equal(task.state, 'CANCELLED');
    }
    assert.equal(await other.result, a.pid);
    assert.throws(() => manager.schedule(pid(), { to: 'a' }), { ...BAD_NAME, message: /will not come back.*b/ });
    office.expect('a');
    assert.equal(await manager.schedule(pid(), { to: 'a' }).result, a.pid);
  });

  test('is one thing, and cancelling its tasks another', async (t) => {
    const office = makeOffice(t, ['a']);
    const waiting = office.manager.run(target('pid'), [], { to: 'a' });
    office.cancelTasksOf('a', new Error('not now'));
    await assert.rejects(waiting, { ...CANCELLED, message: /not now/ });
    const next = office.manager.run(target('pid'), [], { to: 'a' });
    const hand = startHand(t, office, 'a');
    assert.equal(await next, hand.pid);
  });
});

describe('closing the manager of a crew', () => {
  test('waits by JOIN for all tasks, also for hands that are away, and leaves the hands alone', async (t) => {
    const office = makeOffice(t, ['a', 'b']);
    const { manager } = office;
    const a = startHand(t, office, 'a');
    const results = [manager.run(target('pid'), [], { to: 'a' }), manager.run(target('pid'), [], { to: 'b' })];
    const closed = manager.close('join');
    assert.equal(await results[0], a.pid);
    const b = startHand(t, office, 'b');
    const report = await closed;
    assert.equal(await results[1], b.pid);
    assert.deepEqual([report.done, report.workers.length], [2, 2]);
    assert.deepEqual(
      report.workers.map(({ forced }) => forced),
      [undefined, undefined],
    );
    for (const hand of [a, b]) {
      const said = once(hand.lines, 'line');
      hand.tell('you');
      await said;
      assert.equal(hand.child.exitCode ?? hand.child.signalCode, null);
    }
    assert.throws(() => office.open('a'), { code: 'ERR_BOSUN_MANAGER_CLOSED' });
  });

  test('aborts by CANCEL what runs, and ends only who goes on with it', async (t) => {
    const office = makeOffice(t, ['a', 'b'], { grace: 50 });
    const { manager } = office;
    const notes = await makeNotes(t);
    const [a, b] = [startHand(t, office, 'a'), startHand(t, office, 'b')];
    const polite = manager.schedule(Task.from(MODULE, 'untilStopped'), { to: 'a' });
    const deaf = manager.schedule(Task.from(MODULE, 'spin', [notes.file]), { to: 'b' });
    const waiting = manager.schedule(pid(), { to: 'b' });
    await Promise.all([begun(polite), notes.line('begin')]);
    const report = await manager.close('cancel');
    for (const { result } of [polite, deaf, waiting]) await assert.rejects(result, CANCELLED);
    assert.equal(report.cancelled, 3);
    assert.deepEqual(
      report.workers.map(({ pid, forced }) => [pid, forced]),
      [
        [a.pid, undefined],
        [b.pid, 'SIGTERM'],
      ],
    );
    assert.deepEqual(await b.exited, { exitCode: null, exitSignal: 'SIGTERM' });
    assert.equal(a.child.exitCode ?? a.child.signalCode, null);
  });

  test('ends by KILL those in which tasks run', async (t) => {
    const office = makeOffice(t, ['a', 'b']);
    const [a, b] = [startHand(t, office, 'a'), startHand(t, office, 'b')];
    const running = gate(office, 'b');
    await Promise.all([begun(running), office.manager.run(target('pid'), [], { to: 'a' })]);
    await office.manager.close('kill');
    await assert.rejects(running.result, CANCELLED);
    assert.deepEqual(await b.exited, { exitCode: null, exitSignal: 'SIGKILL' });
    assert.equal(a.child.exitCode ?? a.child.signalCode, null);
  });
});

describe('a name', () => {
  test('that nobody has is refused at the call, and nothing is enqueued', async (t) => {
    const office = makeOffice(t, ['a']);
    const { manager } = office;
    const task = pid();
    for (const to of ['b', '', 7, null, {}, '__proto__'] as string[]) {
      assert.throws(() => manager.schedule(task, { to }), BAD_NAME, String(to));
      assert.throws(() => manager.run(target('pid'), [], { to }), BAD_NAME);
      assert.throws(() => manager.stream(target('pid'), [], { to }), BAD_NAME);
    }
    assert.equal(task.state, 'PENDING');
    assert.equal(manager.stats().tasks.accepted, 0);
    assert.throws(() => manager.schedule(task, { too: 'a' } as never), BAD_NAME);
    assert.throws(() => manager.schedule(task, null as never), BAD_NAME);
    assert.throws(() => manager.schedule(task, { to: 'a', priority: 9 }), { code: 'ERR_BOSUN_OUT_OF_RANGE' });
    for (const name of ['b', 7 as never]) {
      assert.throws(() => office.open(name), BAD_NAME);
      assert.throws(() => office.cancelTasksOf(name, new Error()), BAD_NAME);
    }
    office.open('a');
    assert.throws(() => office.open('a'), BAD_NAME);
    assert.throws(() => openCrewOffice(['a'], { workers: 2 } as Options), BAD_NAME);
    assert.throws(() => openCrewOffice([''], {}), BAD_NAME);
  });

  test('is refused by managers that have none', async () => {
    const local = new LocalManager();
    await using manager = new ProcessManager({ workers: 1, minWorkers: 0 });
    await using proxy = new Proxy('/nowhere');
    for (const one of [local, manager, proxy]) {
      assert.throws(() => one.schedule(pid(), { to: 'a' }), { ...BAD_NAME, message: /nobody here is called "a"/ });
    }
    for (const one of [local, manager]) assert.throws(() => one.run(target('pid'), [], { to: 'a' }), BAD_NAME);
    assert.throws(() => new NullManager().schedule(pid(), { to: 'a' }), { code: 'ERR_BOSUN_NULL_MANAGER' });
    assert.equal(await local.schedule(pid(), { priority: 0 }).result, process.pid);
  });
});
