// The state of a run: its signal, its pauses, and the way from one run to the next.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CancellationError, RunState, type Transition } from '../lib/index.js';

// biome-ignore lint/suspicious/noExplicitAny: misuse is what these tests are about
type Misuse = any;

const INVALID = { name: 'InvalidArgumentError', code: 'ERR_BOSUN_INVALID_ARGUMENT' };

/** Old state, event and new state, as one text. */
const step = ({ oldState, event, newState }: Transition): string => `${oldState}-${event}-${newState}`;
const steps = (machine: { readonly history: readonly Transition[] | undefined }) => machine.history?.map(step);

describe('RunState', () => {
  const PHASES = ['IDLE', 'RUNNING', 'PAUSED', 'STOPPING', 'STOPPED'] as const;
  const METHODS = ['start', 'cancel', 'pause', 'resume', 'stop'] as const;
  type Method = (typeof METHODS)[number];
  const WAY: Record<(typeof PHASES)[number], readonly Method[]> = {
    IDLE: [],
    RUNNING: ['start'],
    PAUSED: ['start', 'pause'],
    STOPPING: ['start', 'cancel'],
    STOPPED: ['start', 'stop'],
  };
  const LEGAL: Record<(typeof PHASES)[number], { readonly [method in Method]?: string }> = {
    IDLE: { start: 'RUNNING', cancel: 'IDLE' },
    RUNNING: { cancel: 'STOPPING', pause: 'PAUSED', stop: 'STOPPED' },
    PAUSED: { cancel: 'STOPPING', pause: 'PAUSED', resume: 'RUNNING', stop: 'STOPPED' },
    STOPPING: { stop: 'STOPPED', cancel: 'STOPPING' },
    STOPPED: { start: 'RUNNING', cancel: 'STOPPED' },
  };

  const makeRun = (...methods: readonly Method[]): RunState => {
    const run = new RunState({ history: true });
    for (const method of methods) run[method]();
    return run;
  };

  for (const phase of PHASES) {
    for (const method of METHODS) {
      const next = LEGAL[phase][method];
      test(`${method} in ${phase} ${next === undefined ? 'is refused' : `leads to ${next}`}`, () => {
        const run = makeRun(...WAY[phase]);
        assert.equal(run.state, phase);
        if (next === undefined) assert.throws(() => run[method](), { code: 'ERR_BOSUN_FSM', state: phase });
        else run[method]();
        assert.equal(run.state, next ?? phase);
        assert.equal(run.cancelled, method === 'cancel' || phase === 'STOPPING');
        assert.equal(run.signal.aborted, run.cancelled);
      });
    }
  }

  test('takes no option but history', () => {
    for (const options of [null, { state: 'RUNNING' }, { transitions: {} }, { history: 1 }] as Misuse[]) {
      assert.throws(() => new RunState(options), INVALID);
    }
    assert.equal(new RunState().history, undefined);
  });

  test('a signal that was taken before the start hears of a cancel', () => {
    const run = makeRun();
    const { signal } = run;
    run.start();
    run.cancel();
    assert.ok(signal.aborted);
    assert.ok(signal.reason instanceof CancellationError);
  });

  test('the first reason counts, and may be anything', () => {
    const run = makeRun('start');
    run.cancel('enough');
    run.cancel('more than enough');
    assert.equal(run.signal.reason, 'enough');
    assert.deepEqual(run.history?.at(-2)?.extra, { reason: 'enough' });
  });

  test('runs again after it was stopped, and is not cancelled then', () => {
    const run = makeRun('start', 'cancel', 'stop');
    const { signal } = run;
    assert.equal(run.cancelled, true);
    run.start();
    assert.equal(run.cancelled, false);
    assert.notEqual(run.signal, signal);
    assert.ok(signal.aborted);
    run.cancel();
    assert.equal(run.cancelled, true);
  });

  test('whoever hears of it, by a callback or by the signal, sees all of it', () => {
    const run = makeRun('start');
    const heard: unknown[] = [];
    run.on('STOPPING', () => heard.push(['callback', run.cancelled, run.state]));
    run.signal.addEventListener('abort', () => heard.push(['signal', run.cancelled, run.state]));
    run.fire('cancel');
    assert.deepEqual(heard, [
      ['signal', true, 'STOPPING'],
      ['callback', true, 'STOPPING'],
    ]);
  });

  test('a listener of the signal may go on to the next run', () => {
    const run = makeRun('start');
    const heard: string[] = [];
    run.on('any', (transition) => heard.push(step(transition)));
    run.signal.addEventListener('abort', () => {
      run.stop();
      run.start();
    });
    run.cancel();
    assert.equal(run.cancelled, false);
    assert.deepEqual(heard, ['RUNNING-cancel-STOPPING', 'STOPPING-stop-STOPPED', 'STOPPED-start-RUNNING']);
    assert.deepEqual(steps(run)?.slice(1), heard);
  });

  test('resumed() waits while it is paused, at once when it is not', async () => {
    const run = makeRun();
    await run.resumed();
    run.start();
    await run.resumed();
    run.pause();
    const order: string[] = [];
    const waits = ['first', 'second'].map((name) => run.resumed().then(() => order.push(name)));
    await new Promise(setImmediate);
    run.pause();
    await new Promise(setImmediate);
    assert.deepEqual(order, []);
    run.resume();
    await Promise.all(waits);
    assert.deepEqual(order, ['first', 'second']);
  });

  test('resumed() waits on when it is paused again before anybody could go on', async () => {
    const run = makeRun('start', 'pause');
    let isOver = false;
    const wait = run.resumed().then(() => {
      isOver = true;
    });
    run.resume();
    run.pause();
    await new Promise(setImmediate);
    assert.equal(isOver, false);
    run.resume();
    await wait;
  });

  test('resumed() rejects when the run is cancelled or stopped', async () => {
    const reason = new Error('no more');
    const cancelled = makeRun('start', 'pause');
    const wait = cancelled.resumed();
    cancelled.cancel(reason);
    await assert.rejects(wait, reason);
    await assert.rejects(cancelled.resumed(), reason);

    const stopped = makeRun('start', 'pause');
    const waits = [stopped.resumed(), stopped.resumed()];
    stopped.stop();
    for (const one of waits) await assert.rejects(one, { code: 'ERR_BOSUN_CANCELLED', message: /stopped/ });

    const both = makeRun('start', 'pause');
    const last = both.resumed();
    both.resume();
    both.cancel(reason);
    await assert.rejects(last, reason);
  });
});
