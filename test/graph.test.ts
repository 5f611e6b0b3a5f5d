// Tasks as state machines: how they require each other, are run here, cancelled, retried and aborted.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import {
  BaseTask,
  BlockedError,
  CancellationError,
  Chain,
  CycleError,
  currentContext,
  FSMError,
  InvalidArgumentError,
  Task,
  type TaskContext,
  type TaskEvent,
  type TaskState,
  TimeoutError,
  type Transition,
} from '../lib/index.js';
import { TASK_TRANSITIONS } from '../lib/internals.js';
import { Whoami } from './fixtures/graph-tasks.js';

const TASKS = new URL('./fixtures/graph-tasks.js', import.meta.url);

// biome-ignore lint/suspicious/noExplicitAny: misuse is what these tests are about
type Misuse = any;

const step = ({ oldState, event, newState }: Transition): string => `${oldState}-${event}-${newState}`;
const steps = (task: BaseTask): string[] | undefined => task.history?.map(step);

/** A task that ends when it is told to, as it is told to. */
function makeHeld<R = unknown>(options: object = {}) {
  let end: (value: R) => void = () => {};
  const held = new Promise<R>((resolve) => {
    end = resolve;
  });
  return { task: new Task<R>('held', () => held, options), end };
}

/** What is printed from now on. */
function hearConsole(t: TestContext): string[] {
  const lines: string[] = [];
  t.mock.method(console, 'log', (line: string) => lines.push(line));
  return lines;
}

/** The events by which a task comes into a state, from where it began. */
const WAYS: Record<TaskState, TaskEvent[]> = {
  PREPARE: [],
  PENDING: ['prepared'],
  QUEUED: ['prepared', 'queue'],
  RUNNING: ['prepared', 'dispatch'],
  DONE: ['prepared', 'dispatch', 'done'],
  FAILED: ['prepared', 'dispatch', 'except'],
  CANCELLED: ['prepared', 'cancel'],
  ABORT: ['prepared', 'abort'],
};
const EVENTS: TaskEvent[] = ['prepared', 'dispatch', 'queue', 'cancel', 'error', 'abort', 'done', 'except', 'retry'];

describe('the states of a Task', () => {
  test('are moved by the 15 legal events, and by none of the 57 others', () => {
    let legal = 0;
    let illegal = 0;
    for (const state of Object.keys(WAYS) as TaskState[]) {
      for (const event of EVENTS) {
        const task = new Task('x', () => 1, { state: 'PREPARE', history: true });
        for (const each of WAYS[state]) task.fire(each);
        assert.equal(task.state, state);
        const next = TASK_TRANSITIONS[state]?.[event];
        const before = task.history?.length ?? 0;
        if (next === undefined) {
          illegal += 1;
          assert.throws(
            () => task.fire(event),
            (error: FSMError) => {
              assert.ok(error instanceof FSMError);
              assert.ok(error.message.includes(`'${event}'`) && error.message.includes(`'${state}'`), error.message);
              return true;
            },
          );
          assert.deepEqual([task.state, task.history?.length], [state, before]);
        } else {
          legal += 1;
          assert.equal(task.fire(event), next);
          assert.equal(task.state, next);
          const last = task.history?.at(-1) as Transition;
          assert.equal(step(last), `${state}-${event}-${next}`);
          const times = (task.history ?? []).map(({ when }) => when);
          assert.deepEqual(
            times,
            times.toSorted((a, b) => a - b),
          );
        }
      }
    }
    assert.deepEqual([legal, illegal], [15, 57]);
  });

  test('begin with PENDING, or with PREPARE, and with nothing else', async () => {
    assert.equal(new Task(() => 1).state, 'PENDING');
    const task = new Task(() => 1, { state: 'PREPARE' });
    assert.equal(task.state, 'PREPARE');
    await assert.rejects(task.dispatch(), FSMError);
    assert.throws(() => task.cancel(), FSMError);
    task.fire('prepared');
    await task.dispatch();
    assert.equal(await task.result, 1);
    assert.throws(() => new Task(() => 1, { state: 'DONE' } as Misuse), InvalidArgumentError);
    assert.throws(() => new Chain([], { state: 'X' } as Misuse), InvalidArgumentError);
  });

  test('are no fields of their own, and what was given is checked', () => {
    const task = new Task(() => 1, { history: true, key: 'k', track: () => {} });
    void task.result;
    task.require(new Task(() => 2));
    assert.deepEqual(Object.keys(task), []);
    for (const options of [
      { key: 1 },
      { track: 'yes' },
      { history: 1 },
      { cancelOnException: 1 },
      { cancelOnResult: 1 },
      { requireSuccess: 0 },
    ]) {
      assert.throws(() => new Task(() => 1, options as Misuse), InvalidArgumentError, JSON.stringify(options));
    }
  });

  test('may be stored elsewhere', async () => {
    const rows: { state: TaskState }[] = [{ state: 'PENDING' }, { state: 'FAILED' }];
    class Row extends BaseTask {
      readonly row: { state: TaskState };
      constructor(row: { state: TaskState }) {
        super({ history: true });
        this.row = row;
      }
      override get state(): TaskState {
        return this.row.state;
      }
      protected override store(state: TaskState): void {
        this.row.state = state;
      }
    }
    const [first, second] = rows.map((row) => new Row(row)) as [Row, Row];
    first.fire('dispatch');
    assert.equal(first.runState.state, 'RUNNING');
    first.fire('done');
    second.fire('retry');
    assert.deepEqual(rows, [{ state: 'DONE' }, { state: 'PENDING' }]);
    assert.equal(first.runState.state, 'STOPPED');
    assert.deepEqual(steps(second), ['FAILED-retry-PENDING']);
    assert.equal(new BaseTask().state, undefined);
    assert.throws(() => new BaseTask().fire('dispatch'), FSMError);
    assert.throws(() => new BaseTask({ status: 1 } as Misuse), InvalidArgumentError);
  });

  test('are printed, or told, when they are tracked', async (t) => {
    const lines = hearConsole(t);
    const told: string[] = [];
    await new Task('t1', () => {}, { track: true }).dispatch();
    await new Task('t2', () => {}, { track: (one) => told.push(step(one)) }).dispatch();
    assert.deepEqual(lines, ['t1 PENDING->dispatch->RUNNING', 't1 RUNNING->done->DONE']);
    assert.deepEqual(told, ['PENDING-dispatch-RUNNING', 'RUNNING-done-DONE']);
  });

  test('show in texts', async () => {
    const task = new Whoami('hello');
    assert.equal(String(task), "Whoami('Whoami', PENDING)");
    assert.equal(inspect(task), "Whoami('Whoami', PENDING) { greeting: 'hello' }");
    assert.equal(inspect({ deep: new Task('t1', () => 1) }), "{ deep: Task('t1', PENDING) }");
  });
});

describe('a Task that is run here', () => {
  test('runs its body at once, with a context, and ends with its result', async () => {
    const order: string[] = [];
    const task: Task<number> = new Task<number>(
      'x',
      (a: number, ctx: TaskContext) => {
        order.push('body');
        assert.equal(currentContext(), ctx);
        assert.equal(Task.current(), task);
        assert.deepEqual([ctx.attempt, ctx.worker, ctx.signal.aborted], [1, 0, false]);
        assert.throws(() => ctx.manager.schedule(new Task(() => 1)), { code: 'ERR_BOSUN_NULL_MANAGER' });
        return a + 1;
      },
      { args: [1], history: true },
    );
    const running = task.dispatch();
    order.push('after');
    assert.equal(task.state, 'RUNNING');
    await running;
    assert.deepEqual(order, ['body', 'after']);
    assert.deepEqual(steps(task), ['PENDING-dispatch-RUNNING', 'RUNNING-done-DONE']);
    assert.equal(await task.result, 2);
    assert.equal(Task.current(), undefined);
    await assert.rejects(task.dispatch(), FSMError);
    await assert.rejects(task.execute(), FSMError);
  });

  test('runs a function that Task.from names, and a subclass', async () => {
    const base = Task.from<number>(TASKS, 'add', [1, 2], { name: 'base' });
    const next = base.andThen(new Whoami('hi'));
    await base.dispatch();
    await next.dispatch();
    assert.equal(await next.result, 'hi true 3');
  });

  test('fails with what it throws, and is repaired and retried with another result', async () => {
    let isBroken = true;
    const error = new Error('x');
    const task = new Task(
      'x',
      () => {
        if (isBroken) throw error;
        return 'value';
      },
      { history: true },
    );
    const first = task.result;
    await task.dispatch();
    assert.equal(task.state, 'FAILED');
    await assert.rejects(first, (thrown) => thrown === error);
    await assert.rejects(task.result, (thrown) => thrown === error);
    isBroken = false;
    task.retry();
    assert.equal(task.state, 'PENDING');
    assert.notEqual(task.result, first);
    await task.dispatch();
    assert.equal(await task.result, 'value');
    assert.deepEqual(steps(task), [
      'PENDING-dispatch-RUNNING',
      'RUNNING-except-FAILED',
      'FAILED-retry-PENDING',
      'PENDING-dispatch-RUNNING',
      'RUNNING-done-DONE',
    ]);
    await assert.rejects(first, (thrown) => thrown === error);
    assert.throws(() => task.retry(), FSMError);
  });

  test('is cancelled by what it throws, or returns, when it says so', async () => {
    const throws = new Task(
      'throws',
      () => {
        throw new Error('x');
      },
      { cancelOnException: true },
    );
    await throws.dispatch();
    await throws.join();
    assert.equal(throws.state, 'CANCELLED');
    await assert.rejects(throws.result, (error: CancellationError) => {
      return error instanceof CancellationError && (error.cause as Error).message === 'x';
    });
    let value = 1;
    const returns = new Task('returns', () => value, { cancelOnResult: (result: number) => result === 1 });
    await returns.dispatch();
    assert.equal(returns.state, 'CANCELLED');
    await assert.rejects(returns.result, CancellationError);
    value = 2;
    returns.retry();
    await returns.dispatch();
    assert.deepEqual([returns.state, await returns.result], ['DONE', 2]);
    const judge = new Task(() => 1, {
      cancelOnResult: () => {
        throw new Error('judge');
      },
    });
    await judge.dispatch();
    await assert.rejects(judge.result, /judge/);
    const gives = new Task(() => {
      throw new CancellationError('enough');
    });
    await gives.dispatch();
    assert.equal(gives.state, 'CANCELLED');
    await assert.rejects(gives.result, /enough/);
  });

  test('is cancelled at once before it runs, and by its signal while it does', async () => {
    const pending = new Task('pending', () => assert.fail('not to be run'), { history: true });
    const result = pending.result;
    pending.cancel('no need');
    pending.cancel('again');
    assert.deepEqual(steps(pending), ['PENDING-cancel-CANCELLED']);
    await assert.rejects(result, (error: CancellationError) => error.cause === 'no need');
    const running = new Task(
      'running',
      async ({ signal }: TaskContext) => {
        await once(signal, 'abort');
        return 'whatever';
      },
      { history: true },
    );
    const ended = running.dispatch();
    running.cancel('enough');
    assert.equal(running.state, 'RUNNING');
    await ended;
    assert.equal(running.state, 'CANCELLED');
    await assert.rejects(running.result, (error: CancellationError) => error.cause === 'enough');
    const done = new Task(() => 1);
    await done.dispatch();
    done.cancel();
    assert.equal(done.state, 'DONE');
  });

  test('is cancelled by the signal that it was given', async () => {
    const before = new Task(() => assert.fail('not to be run'), { signal: AbortSignal.abort('early'), history: true });
    await before.dispatch();
    assert.deepEqual(steps(before), ['PENDING-cancel-CANCELLED']);
    const controller = new AbortController();
    const during = new Task(({ signal }: TaskContext) => once(signal, 'abort'), { signal: controller.signal });
    const ended = during.dispatch();
    controller.abort('late');
    await ended;
    assert.equal(during.state, 'CANCELLED');
    await assert.rejects(during.result, (reason) => reason === 'late');
  });

  test('is asked to stop, and to rest, by its RunState', async () => {
    let rests = (): void => {};
    const resting = new Promise<void>((resolve) => {
      rests = resolve;
    });
    const task = new Task(async () => {
      const run = Task.current()?.runState;
      run?.on('PAUSED', () => rests());
      await resting;
      await run?.resumed();
    });
    const { runState } = task;
    assert.equal(runState.state, 'IDLE');
    const ended = task.dispatch();
    assert.equal(runState.state, 'RUNNING');
    runState.pause();
    await resting;
    runState.cancel();
    await ended;
    assert.deepEqual([runState.state, task.state], ['STOPPED', 'CANCELLED']);
  });

  test('keeps to its time-out, and is run again as often as its policy says', async () => {
    const slow = new Task('slow', ({ signal }: TaskContext) => once(signal, 'abort'), { timeout: 1 });
    await slow.dispatch();
    assert.equal(slow.state, 'FAILED');
    await assert.rejects(slow.result, TimeoutError);
    const busy = new Task('busy', ({ checkpoint: _, ...ctx }: TaskContext) => ctx, {});
    await busy.dispatch();
    const endless = new Task(
      'endless',
      (ctx: TaskContext) => {
        for (;;) ctx.checkpoint();
      },
      { timeout: 1 },
    );
    await endless.dispatch();
    await assert.rejects(endless.result, TimeoutError);
    const attempts: number[] = [];
    const retried = new Task(
      'retried',
      (ctx: TaskContext) => {
        attempts.push(ctx.attempt);
        if (ctx.attempt < 3) throw new Error('once more');
        return 'well';
      },
      { retry: { max: 5, on: ['error'], backoff: () => 0 }, history: true },
    );
    await retried.dispatch();
    assert.deepEqual(attempts, [1, 2, 3]);
    assert.equal(await retried.result, 'well');
    assert.deepEqual(steps(retried), ['PENDING-dispatch-RUNNING', 'RUNNING-done-DONE']);
    const resting = new Task(
      'resting',
      () => {
        throw new Error('x');
      },
      {
        retry: { max: 1, on: ['error'], backoff: () => 2 ** 30 },
      },
    );
    const ended = resting.dispatch();
    await sleep(0);
    resting.cancel();
    await ended;
    assert.equal(resting.state, 'CANCELLED');
  });

  test('has a result that nobody need look at', async (t) => {
    const unhandled: unknown[] = [];
    const note = (error: unknown) => unhandled.push(error);
    process.on('unhandledRejection', note);
    t.after(() => process.off('unhandledRejection', note));
    const boom = () => {
      throw new Error('boom');
    };
    const tasks = [1, 2, 3, 4].map(() => new Task(boom));
    void tasks[0]?.result;
    void tasks[0]?.dispatch();
    void tasks[1]?.execute();
    void tasks[2]?.call();
    void tasks[3]?.bg();
    const cancelled = new Task(boom);
    void cancelled.result;
    cancelled.cancel();
    await Promise.all(tasks.map((task) => task.join()));
    await sleep(0);
    assert.deepEqual(unhandled, []);
  });

  test('runs another function, now or behind what runs now, and tells when it has ended', async () => {
    // The documented example of the reference.
    const t1 = new Task({ name: 'task1' });
    const order: unknown[] = [];
    const slept = t1.bg((ms: number) => sleep(ms, 'slept'), 1);
    const t2 = new Task<unknown>({ name: 'task2' });
    t2.require(t1);
    await assert.rejects(
      t2.call(() => order.push('too early')),
      BlockedError,
    );
    t1.notify((ms: number) => {
      order.push('notified');
      return t2.call((each) => sleep(each, 'slept too'), ms);
    }, 1);
    order.push(t1.state);
    assert.equal(await slept, 'slept');
    assert.equal(await t2.result, 'slept too');
    assert.deepEqual(order, ['PENDING', 'notified']);
    assert.equal(await new Task(() => 1).call(), 1);
    assert.throws(() => t1.notify(5 as Misuse), InvalidArgumentError);
    await assert.rejects(new Task(() => 1).call(5 as Misuse), InvalidArgumentError);
    await assert.rejects(new Task(() => 1).bg(5 as Misuse), InvalidArgumentError);
  });

  test('warns of what a callback of notify throws', async () => {
    const warned = once(process, 'warning');
    const task = new Task('x', () => 1);
    task.notify(() => {
      throw new Error('oops');
    });
    let isTold = false;
    task.notify(() => {
      isTold = true;
    });
    await task.dispatch();
    const [warning] = (await warned) as [Error & { code?: string }];
    assert.equal(warning.code, 'BOSUN_W003');
    assert.match(warning.message, /notify of task 'x' threw Error: oops/);
    assert.equal(isTold, true);
  });
});

describe('tasks that require each other', () => {
  test('know it both ways, in the order in which it was said', () => {
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => new Task(name, () => name)) as [Task, Task, Task, Task];
    d.require(c).require(a).require(b).require(a);
    a.block(c);
    assert.deepEqual([...d.required], [c, a, b]);
    assert.deepEqual([...a.blocking], [d, c]);
    assert.deepEqual([...d.blockers()], [c, a, b]);
    assert.deepEqual([a.isBlocked(), d.isBlocked()], [false, true]);
    const e = d.andThen('e', () => 'e', { priority: 0 });
    const f = e.andThen(() => 'f');
    assert.deepEqual([e.name, e.priority, [...f.required]], ['e', 0, [e]]);
    assert.equal(f.andThen(new Chain([])) instanceof Chain, true);
  });

  test('are refused what cannot be', async () => {
    const task = new Task('x', () => 1);
    assert.throws(
      () => task.require(task),
      (error: CycleError) => {
        assert.ok(error instanceof CycleError);
        assert.deepEqual(error.cycle, [task]);
        return error.code === 'ERR_BOSUN_CYCLE' && error.message.endsWith("'x' -> 'x'");
      },
    );
    for (const other of [undefined, null, 'x', {}, () => 1]) {
      assert.throws(() => task.require(other as Misuse), InvalidArgumentError);
      assert.throws(() => task.block(other as Misuse), InvalidArgumentError);
    }
    assert.throws(() => (task as Misuse).andThen(new Task(() => 2), { name: 'y' }), InvalidArgumentError);
    await task.dispatch();
    assert.throws(() => task.require(new Task(() => 1)), FSMError);
    assert.equal(task.required.size, 0);
  });

  test('wait for each other: a blocked one is refused, with both named', async () => {
    const root = new Task('root', () => 0);
    const leaf = root.andThen('middle', () => 1).andThen('leaf', () => 2);
    await assert.rejects(leaf.dispatch(), (error: BlockedError) => {
      assert.ok(error instanceof BlockedError && error instanceof FSMError);
      assert.equal(error.task, leaf);
      assert.equal(error.blockingTask.name, 'middle');
      assert.deepEqual(Object.keys(error), ['code', 'state', 'event', 'allowed']);
      return error.code === 'ERR_BOSUN_BLOCKED';
    });
    await assert.rejects(leaf.bg(), BlockedError);
    await assert.rejects(leaf.call(), BlockedError);
    assert.equal(leaf.state, 'PENDING');
    assert.equal(await leaf.execute(), 2);
  });

  test('are let go by what failed, unless they require its success, but not by what was cancelled', async () => {
    const bad = new Task('bad', () => {
      throw new Error('x');
    });
    const lenient = bad.andThen('lenient', () => 1);
    const strict = bad.andThen('strict', () => 1, { requireSuccess: true });
    await bad.dispatch();
    assert.deepEqual([bad.isCompleted(), lenient.isBlocked(), strict.isBlocked()], [true, false, true]);
    await assert.rejects(strict.dispatch(), BlockedError);
    await lenient.dispatch();
    assert.equal(lenient.state, 'DONE');
    const gone = new Task('gone', () => 1);
    const behind = gone.andThen('behind', () => 1);
    gone.cancel();
    assert.deepEqual([gone.isCompleted(), behind.isBlocked()], [false, true]);
    gone.retry();
    await gone.dispatch();
    await behind.dispatch();
    assert.equal(behind.state, 'DONE');
  });

  test('are aborted with what they require', async () => {
    const root = new Task('root', () => 1);
    const kept = new Task('kept', () => 1);
    const next = root.andThen('next', () => 1);
    const last = next.andThen('last', () => 1).require(kept);
    root.cancel();
    const result = last.result;
    root.abort();
    assert.deepEqual(
      [root, next, last, kept].map(({ state }) => state),
      ['ABORT', 'ABORT', 'ABORT', 'PENDING'],
    );
    await assert.rejects(result, CancellationError);
    const late = root.andThen('late', () => 1);
    assert.deepEqual([late.isBlocked(), [...late.blockers()]], [false, []]);
    await assert.rejects(late.dispatch(), (error: BlockedError) => error.blockingTask === root);
    assert.equal(late.state, 'ABORT');
    assert.throws(() => late.abort(), FSMError);
  });

  test('have the results of what they require', async () => {
    const one = new Task('one', () => 1);
    const two = new Task('two', () => {
      throw new Error('x');
    });
    const twin = new Task('twin', () => 3);
    const other = new Task('twin', () => 4);
    const stranger = new Task('stranger', () => 5);
    const sum = new Task('sum', (ctx: TaskContext) => {
      assert.equal(ctx.resultOf('one'), 1);
      assert.equal(ctx.resultOf(one), 1);
      assert.equal(ctx.resultOf(twin) + ctx.resultOf(other), 7);
      assert.throws(
        () => ctx.resultOf('two'),
        (error: FSMError) => error.state === 'FAILED',
      );
      assert.throws(() => ctx.resultOf('twin'), /two of the tasks/);
      assert.throws(() => ctx.resultOf(stranger), InvalidArgumentError);
      assert.throws(() => ctx.resultOf('nobody'), InvalidArgumentError);
      assert.throws(() => ctx.resultOf(5 as Misuse), InvalidArgumentError);
      return 'well';
    });
    for (const task of [one, two, twin, other]) {
      sum.require(task);
      await task.dispatch();
    }
    assert.equal(await sum.execute(), 'well');
  });
});

describe('a Task', () => {
  test('is cloned: the same work, and what it requires, once more', async () => {
    const base = new Task('base', () => 5);
    const task = base.andThen(new Whoami('hi'));
    await base.dispatch();
    await task.dispatch();
    const copy = task.clone();
    assert.deepEqual(
      [copy.state, copy instanceof Whoami, [...copy.required], { ...copy }],
      ['PENDING', true, [base], { greeting: 'hi' }],
    );
    assert.equal(await copy.execute(), 'hi true 5');
    assert.equal(await new Task('f', (a: number) => a, { args: [7] }).clone().execute(), 7);
    assert.equal(await Task.from(TASKS, 'add', [1, 2]).clone().execute(), 3);
    const chain = new Chain([new Task(() => 1), new Task(() => 2)], { name: 'c' }).clone();
    assert.deepEqual([chain.name, await chain.execute()], ['c', [1, 2]]);
  });

  test('goes through JSON with its state and its result', async () => {
    const through = (task: Task, Class: typeof Task = Task): Task => Class.fromJSON(JSON.parse(JSON.stringify(task)));
    const call = Task.from<number>(TASKS, 'add', [1, 2], { key: 'k', priority: 0, name: 'sum' });
    const again = through(call);
    assert.deepEqual([again.name, again.priority, again.state, again.target], ['sum', 0, 'PENDING', call.target]);
    assert.equal(await again.execute(), 3);
    await call.dispatch();
    const done = through(call);
    assert.deepEqual([done.state, await done.result], ['DONE', 3]);
    assert.deepEqual(through(new Whoami('hey'), Whoami as unknown as typeof Task), new Whoami('hey'));
    assert.throws(() => through(new Whoami('hey')), /Whoami\.fromJSON/);
    const failed = Task.from(TASKS, 'fail', ['broken']);
    await failed.dispatch();
    await assert.rejects(through(failed).result, { name: 'Error', message: 'broken' });
    failed.retry();
    failed.cancel();
    await assert.rejects(through(failed).result, CancellationError);
    const { task: running, end } = makeHeld();
    void running.dispatch();
    assert.equal(through(running).state, 'PENDING');
    assert.equal(await through(running).call(() => 'another body'), 'another body');
    end(undefined);
    for (const json of [
      undefined,
      null,
      5,
      {},
      { name: 'x' },
      { name: 'x', state: 'toString' },
      { name: 'x', state: 'DONE', fields: 1 },
    ]) {
      assert.throws(() => Task.fromJSON(json as Misuse), InvalidArgumentError);
    }
  });
});
