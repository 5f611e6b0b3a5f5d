// State machines, and the table of a task's.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import {
  BosunError,
  CancellationError,
  FSM,
  FSMError,
  type TaskEvent,
  type TaskState,
  type Transition,
} from '../lib/index.js';
import { TASK_TRANSITIONS } from '../lib/internals.js';
import { type Change, LIGHTS, type Light, makeLight } from './fixtures/lights.js';

// biome-ignore lint/suspicious/noExplicitAny: misuse is what these tests are about
type Misuse = any;

const INVALID = { name: 'InvalidArgumentError', code: 'ERR_BOSUN_INVALID_ARGUMENT' };

/** Old state, event and new state, as one text. */
const step = ({ oldState, event, newState }: Transition): string => `${oldState}-${event}-${newState}`;
const steps = (machine: { readonly history: readonly Transition[] | undefined }) => machine.history?.map(step);

const neverCalled = (): never => assert.fail('not to be called');

/** The warnings of the process from now on. */
function hearWarnings(t: TestContext): (Error & { code?: string })[] {
  const warnings: Error[] = [];
  const note = (warning: Error) => warnings.push(warning);
  process.on('warning', note);
  t.after(() => process.off('warning', note));
  return warnings;
}

describe('FSM', () => {
  test('goes from state to state by the events of its table', () => {
    const light = makeLight();
    assert.equal(light.state, 'RED');
    assert.deepEqual(light.events(), ['next', 'fail', 'stay']);
    assert.equal(light.isAllowed('stay'), true);
    assert.equal(light.fire('next'), 'GREEN');
    assert.equal(light.state, 'GREEN');
    assert.equal(light.isAllowed('stay'), false);
    assert.equal(light.fire('fail'), 'DARK');
    assert.deepEqual(light.events(), []);
    assert.equal(makeLight({ state: 'DARK' }).state, 'DARK');
  });

  test('refuses an event that is not allowed, says which are, and changes nothing', () => {
    const light = makeLight({ state: 'GREEN', history: true });
    light.on('any', neverCalled);
    assert.throws(
      () => light.fire('stay', { by: 'me' }),
      (error) => {
        assert.ok(error instanceof FSMError && error instanceof BosunError);
        const { name, code, message, state, event, allowed } = error;
        assert.deepEqual(
          { name, code, state, event, allowed },
          { name: 'FSMError', code: 'ERR_BOSUN_FSM', state: 'GREEN', event: 'stay', allowed: ['next', 'fail'] },
        );
        for (const part of ["'stay'", "'GREEN'", "'next', 'fail'"]) assert.ok(message.includes(part), message);
        return true;
      },
    );
    assert.equal(light.state, 'GREEN');
    assert.deepEqual(light.history, []);
    assert.throws(() => makeLight({ state: 'DARK' }).fire('next'), { code: 'ERR_BOSUN_FSM', allowed: [] });
    for (const event of [undefined, null, 1, Symbol('next'), {}, 'toString', 'constructor', '__proto__']) {
      assert.equal(light.isAllowed(event as Misuse), false);
      assert.throws(() => light.fire(event as Misuse), FSMError);
    }
    assert.throws(() => ((light as Misuse).state = 'RED'), TypeError);
  });

  test('refuses what is no table, at construction', () => {
    const bad: Misuse[] = [
      undefined,
      null,
      'A',
      [],
      [{ go: 'A' }],
      new Map([['A', {}]]),
      {},
      { A: undefined },
      { A: null },
      { A: 'B' },
      { A: ['A'] },
      { A: { go: undefined } },
      { A: { go: 1 } },
      { A: { go: ['A'] } },
      { any: { go: 'A' } },
      { A: { go: 'any' } },
      // A literal with this key has a prototype, and lacks the state.
      { __proto__: { go: 'A' }, A: {} },
      JSON.parse('{ "__proto__": { "go": "A" } }'),
      JSON.parse('{ "A": { "__proto__": "A" } }'),
      { A: { go: '__proto__' } },
    ];
    for (const transitions of bad) assert.throws(() => new FSM({ transitions }), INVALID);
    for (const options of [undefined, null, [], 5] as Misuse[]) assert.throws(() => new FSM(options), INVALID);
    for (const state of ['BLUE', '', 'any', '__proto__', 'toString', 1] as Misuse[]) {
      assert.throws(() => makeLight({ state }), INVALID);
    }
    assert.throws(() => makeLight({ history: 1 as Misuse }), INVALID);
    assert.throws(() => makeLight({ historie: true } as Misuse), INVALID);
  });

  test('takes names that every object has', () => {
    const machine = new FSM<string, string>({
      transitions: { constructor: { toString: 'hasOwnProperty' }, hasOwnProperty: { valueOf: 'constructor' } },
    });
    assert.equal(machine.fire('toString'), 'hasOwnProperty');
    assert.equal(machine.fire('valueOf'), 'constructor');
    assert.equal(machine.isAllowed('valueOf'), false);
  });

  test('copies its table and options, those that are half frozen too', () => {
    const row: Record<string, string> = { go: 'B' };
    const transitions: Record<string, Record<string, string>> = Object.freeze({ A: row });
    const first = new FSM({ transitions });
    row['go'] = 'C';
    row['stop'] = 'C';
    assert.deepEqual(first.events(), ['go']);
    assert.equal(first.fire('go'), 'B');
    assert.equal(new FSM({ transitions }).fire('go'), 'C');
  });

  test('machines on one frozen table have states of their own', () => {
    const machines = Array.from({ length: 3 }, () => new FSM({ transitions: TASK_TRANSITIONS, state: 'PENDING' }));
    machines[1]?.fire('dispatch');
    assert.deepEqual(
      machines.map(({ state }) => state),
      ['PENDING', 'RUNNING', 'PENDING'],
    );
  });

  test('keeps a history when it is asked to, which nobody can change', () => {
    assert.equal(makeLight().history, undefined);
    const light = makeLight({ history: true });
    const before = Date.now();
    const extra = { by: 'me', list: [1] };
    light.fire('stay', extra);
    extra.by = 'you';
    light.fire('next');
    light.fire('fail');
    const history = light.history as Transition[];
    assert.deepEqual(steps(light), ['RED-stay-RED', 'RED-next-GREEN', 'GREEN-fail-DARK']);
    assert.deepEqual(
      history.map((entry) => entry.extra),
      [{ by: 'me', list: [1] }, {}, {}],
    );
    const times = history.map(({ when }) => when);
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
    // Milliseconds, and not seconds or microseconds: the two clocks may differ by what the system's was set.
    assert.ok(Math.abs((times[0] as number) - before) < 60_000);
    assert.throws(() => ((history[0] as Misuse).newState = 'DARK'), TypeError);
    assert.throws(() => ((history[0] as Misuse).extra.by = 'you'), TypeError);
    history.pop();
    assert.equal(light.history?.length, 3);
  });

  test('takes named values with an event, and nothing else', () => {
    const light = makeLight({ history: true });
    for (const extra of [null, 'text', 5, [], new Error('no'), new Map()] as Misuse[]) {
      assert.throws(() => light.fire('next', extra), INVALID);
    }
    assert.equal(light.state, 'RED');
    assert.deepEqual(light.history, []);
    const evil = () => {
      throw new Error('of an accessor');
    };
    assert.throws(
      () => light.fire('next', Object.defineProperty({}, 'a', { get: evil, enumerable: true })),
      /accessor/,
    );
    assert.equal(light.state, 'RED');
    assert.deepEqual(light.history, []);
    const heard: unknown[] = [];
    light.on('GREEN', ({ extra }) => heard.push(extra));
    light.fire('next', Object.assign(Object.create(null), { foo: 3 }));
    assert.deepEqual(heard, [{ foo: 3 }]);
  });

  test('calls back those for any state, then those for the new one, in the order in which they came', () => {
    const light = makeLight({ history: true });
    const heard: string[] = [];
    const transitions: Transition[] = [];
    light.on('GREEN', () => heard.push('green 1'));
    light.on('any', (transition) => {
      heard.push('any 1');
      transitions.push(transition);
    });
    light.on('RED', () => heard.push('red'));
    light.on('GREEN', () => heard.push('green 2'));
    light.on('any', () => heard.push('any 2'));
    light.fire('next');
    assert.deepEqual(heard.splice(0), ['any 1', 'any 2', 'green 1', 'green 2']);
    light.fire('next');
    assert.deepEqual(heard.splice(0), ['any 1', 'any 2']);
    light.fire('next', { why: 'it is time' });
    assert.deepEqual(heard, ['any 1', 'any 2', 'red']);
    assert.deepEqual(transitions, light.history);
    assert.deepEqual(transitions[2]?.extra, { why: 'it is time' });
  });

  test('says of a callback for a state that is not there, or that is none', () => {
    const light = makeLight();
    for (const state of ['BLUE', undefined, '__proto__', 'toString'] as Misuse[]) {
      assert.throws(() => light.on(state, neverCalled), INVALID);
    }
    assert.throws(() => light.on('any', undefined as Misuse), INVALID);
    light.on('DARK', neverCalled);
  });

  test('a callback that throws, or rejects, is a warning and stops nothing', async (t) => {
    const warnings = hearWarnings(t);
    const light = makeLight();
    const heard: string[] = [];
    light.on('any', () => {
      throw new Error('of a callback');
    });
    light.on('any', async () => {
      throw new CancellationError('of an async one');
    });
    light.on('any', () => {
      throw null;
    });
    light.on('any', () => heard.push('any'));
    light.on('GREEN', () => heard.push('green'));
    assert.equal(light.fire('next'), 'GREEN');
    assert.deepEqual(heard, ['any', 'green']);
    while (warnings.length < 3) await once(process, 'warning');
    assert.deepEqual(
      warnings.map(({ code }) => code),
      ['BOSUN_W003', 'BOSUN_W003', 'BOSUN_W003'],
    );
    const text = warnings.map(({ message }) => message).join();
    for (const part of ['of a callback', 'of an async one', 'null', 'RED->next->GREEN']) assert.ok(text.includes(part));
  });

  test('who fires in a callback moves it at once, and everybody hears all of it in order', () => {
    const light = makeLight({ history: true });
    const early: string[] = [];
    const late: string[] = [];
    const states: unknown[] = [];
    light.on('any', (transition) => early.push(step(transition)));
    light.on('GREEN', () => {
      states.push(light.fire('next'), light.state, light.fire('fail'), light.state);
      assert.throws(() => light.fire('next'), FSMError);
    });
    light.on('any', (transition) => late.push(step(transition)));
    light.on('GREEN', (transition) => late.push(`green: ${step(transition)}, is ${light.state}`));
    light.on('DARK', (transition) => late.push(`dark: ${step(transition)}`));
    assert.equal(light.fire('next'), 'GREEN');
    assert.deepEqual(states, ['YELLOW', 'YELLOW', 'DARK', 'DARK']);
    assert.equal(light.state, 'DARK');
    const all = ['RED-next-GREEN', 'GREEN-next-YELLOW', 'YELLOW-fail-DARK'];
    assert.deepEqual(steps(light), all);
    assert.deepEqual(early, all);
    assert.deepEqual(late, [all[0], `green: ${all[0]}, is DARK`, all[1], all[2], `dark: ${all[2]}`]);
  });

  test('long chains of events that callbacks fire need no deep stack', () => {
    const light = makeLight();
    let left = 100_000;
    light.on('any', () => {
      if (left-- > 0) light.fire('stay');
    });
    light.fire('stay');
    assert.equal(left, -1);
  });

  test('who is taken away inside a callback is not called again, who comes in there only later', () => {
    const light = makeLight();
    const heard: string[] = [];
    const offFirst = light.on('any', () => {
      heard.push('first');
      offFirst();
      offFirst();
      offThird();
      light.on('any', () => heard.push('new'));
    });
    light.on('any', () => heard.push('second'));
    const offThird = light.on('any', () => heard.push('third'));
    light.fire('next');
    assert.deepEqual(heard.splice(0), ['first', 'second']);
    light.fire('next');
    assert.deepEqual(heard, ['second', 'new']);
  });

  test('one function may listen twice, and be taken away once', () => {
    const light = makeLight();
    let calls = 0;
    const count = () => calls++;
    const off = light.on('any', count);
    light.on('any', count);
    light.fire('stay');
    off();
    light.fire('stay');
    assert.equal(calls, 3);
  });

  test('without a state nothing is allowed', () => {
    const machine = new FSM<Light, Change>({ transitions: LIGHTS, state: null });
    assert.equal(machine.state, undefined);
    assert.deepEqual(machine.events(), []);
    assert.equal(machine.isAllowed('next'), false);
    assert.throws(() => machine.fire('next'), { code: 'ERR_BOSUN_FSM', state: undefined, message: /no state yet/ });
    assert.doesNotMatch(machine.asDot(), /filled/);
  });

  test('a subclass may have its state elsewhere', () => {
    class Row extends FSM<Light, Change> {
      readonly #row: { light?: Light; readOnly?: boolean };
      constructor(row: { light?: Light; readOnly?: boolean }) {
        super({ transitions: LIGHTS, state: null, history: true });
        this.#row = row;
      }
      override get state(): Light | undefined {
        return this.#row.light;
      }
      protected override store(state: Light): void {
        if (this.#row.readOnly) throw new Error('read-only');
        this.#row.light = state;
      }
    }
    const row: { light?: Light; readOnly?: boolean } = {};
    const machine = new Row(row);
    const heard: string[] = [];
    machine.on('any', (transition) => heard.push(step(transition)));
    assert.throws(() => machine.fire('next'), FSMError);
    row.light = 'YELLOW';
    assert.equal(machine.fire('next'), 'RED');
    assert.equal(row.light, 'RED');
    row.readOnly = true;
    assert.throws(() => machine.fire('next'), { message: 'read-only' });
    assert.equal(row.light, 'RED');
    assert.deepEqual(heard, ['YELLOW-next-RED']);
    assert.deepEqual(steps(machine), heard);
  });

  test('does as a model does, whatever the table and the events', () => {
    const names = fc.oneof(fc.constantFrom('A', 'B', 'C', 'toString', 'constructor', ''), fc.string({ maxLength: 3 }));
    const name = names.filter((text) => text !== 'any' && text !== '__proto__');
    const table = fc.dictionary(name, fc.dictionary(name, name, { maxKeys: 4 }), { minKeys: 1, maxKeys: 5 });
    const property = fc.property(
      table,
      fc.array(fc.tuple(fc.nat(), name), { maxLength: 40 }),
      (transitions, choices) => {
        const machine = new FSM<string, string>({ transitions, history: true });
        const rowOf = (state: string) => (Object.hasOwn(transitions, state) ? transitions[state] : undefined) ?? {};
        let model = Object.keys(transitions)[0] as string;
        const first = model;
        const heard: Transition[] = [];
        const entered: Transition[] = [];
        machine.on('any', (transition) => heard.push(transition));
        machine.on(first, (transition) => entered.push(transition));
        for (const [choice, other] of choices) {
          const row = rowOf(model);
          assert.deepEqual(machine.events(), Object.keys(row));
          // One half of the events are allowed where any are.
          const events = Object.keys(row);
          const event = choice % 2 === 0 ? (events[(choice / 2) % events.length] ?? other) : other;
          const isAllowed = Object.hasOwn(row, event);
          assert.equal(machine.isAllowed(event), isAllowed);
          if (isAllowed) {
            model = row[event] as string;
            assert.equal(machine.fire(event), model);
          } else {
            const { history } = machine;
            assert.throws(() => machine.fire(event), FSMError);
            assert.deepEqual(machine.history, history);
          }
          assert.equal(machine.state, model);
        }
        const history = machine.history as Transition[];
        assert.deepEqual(heard, history);
        assert.deepEqual(
          entered,
          history.filter(({ newState }) => newState === first),
        );
        const replay = new FSM<string, string>({ transitions });
        for (const { oldState, event } of history) {
          assert.equal(replay.state, oldState);
          replay.fire(event);
        }
        assert.equal(replay.state, model);
      },
    );
    fc.assert(property, { numRuns: 500 });
  });
});

describe("a task's states", () => {
  const STATES: readonly TaskState[] = [
    'PREPARE',
    'PENDING',
    'QUEUED',
    'RUNNING',
    'DONE',
    'FAILED',
    'CANCELLED',
    'ABORT',
  ];
  const EVENTS: readonly TaskEvent[] = [
    'prepared',
    'dispatch',
    'queue',
    'cancel',
    'error',
    'abort',
    'done',
    'except',
    'retry',
  ];
  const LEGAL = [
    'PREPARE-prepared-PENDING',
    'PENDING-dispatch-RUNNING',
    'PENDING-queue-QUEUED',
    'PENDING-cancel-CANCELLED',
    'PENDING-error-FAILED',
    'PENDING-abort-ABORT',
    'QUEUED-dispatch-RUNNING',
    'QUEUED-cancel-CANCELLED',
    'RUNNING-cancel-CANCELLED',
    'RUNNING-done-DONE',
    'RUNNING-except-FAILED',
    'FAILED-abort-ABORT',
    'FAILED-retry-PENDING',
    'CANCELLED-abort-ABORT',
    'CANCELLED-retry-PENDING',
  ];

  test('of 72 pairs of state and event 15 are legal, the other 57 name both', () => {
    const found: string[] = [];
    let refused = 0;
    for (const state of STATES) {
      for (const event of EVENTS) {
        const machine = new FSM({ transitions: TASK_TRANSITIONS, state });
        try {
          found.push(`${state}-${event}-${machine.fire(event)}`);
        } catch (error) {
          assert.ok(error instanceof FSMError);
          assert.ok(error.message.includes(`'${state}'`) && error.message.includes(`'${event}'`));
          assert.equal(machine.state, state);
          refused++;
        }
      }
    }
    assert.deepEqual(found, LEGAL);
    assert.equal(refused, 57);
  });

  test('the table has no other states, and cannot be changed', () => {
    assert.deepEqual(Object.keys(TASK_TRANSITIONS), STATES);
    assert.ok([TASK_TRANSITIONS, ...Object.values(TASK_TRANSITIONS)].every(Object.isFrozen));
  });
});
