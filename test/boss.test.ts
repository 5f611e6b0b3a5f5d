// A crew: who registers, who is told to end, who comes back, and what is left behind.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import {
  Boss,
  type BossOptions,
  CancellationError,
  type CrewLoadOptions,
  type CrewMemo,
  Doist,
  EndDom,
  formatMemo,
  type Hand,
  type HandExit,
  InvalidArgumentError,
  MultiError,
  Peer,
  Task,
  WorkerLostError,
} from '../lib/index.js';
import { alive } from './fixtures/alive.js';
import { temporaryFolder } from './fixtures/command.js';
import { gramOf } from './fixtures/grams.js';

const HANDS = new URL('./fixtures/hands.js', import.meta.url);
const LATE = new URL('./fixtures/late-hands.js', import.meta.url);
const skip = process.platform === 'win32' && 'Windows has no Unix datagram sockets';

const doer = (name: string, options?: Record<string, unknown>) => ({
  module: HANDS,
  export: name,
  ...(options !== undefined && { options }),
});

/** Hands that tell their books. */
const reporters = (...names: string[]): CrewLoadOptions[] => names.map((name) => ({ name, doers: [doer('Reporter')] }));

class Crew {
  readonly boss: Boss;
  readonly doist: Doist;
  readonly exits: HandExit[] = [];
  readonly memos: string[] = [];
  readonly #listeners: (() => void)[] = [];

  constructor(options: BossOptions, limit?: number, BossClass = Boss) {
    this.boss = new BossClass(options);
    this.boss.on('handExit', (exit) => {
      this.exits.push(exit);
      this.#tell();
    });
    this.boss.on('memo', ({ memo }: CrewMemo) => {
      this.memos.push(memo.text);
      this.#tell();
    });
    this.doist = new Doist({ real: true, doers: [this.boss], ...(limit !== undefined && { limit }) });
  }

  /** Until something has come that is so. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#listeners.push(resolve));
  }

  #tell(): void {
    for (const listener of this.#listeners.splice(0)) listener();
  }

  hand(name: string): Hand {
    return this.boss.crew.get(name) as Hand;
  }

  pid(name: string): number {
    return this.hand(name).pid as number;
  }
}

/** A crew that runs, with all of its hands there; ended with the test. */
async function crewOf(
  t: TestContext,
  options: BossOptions,
  BossClass = Boss,
): Promise<Crew & { readonly over: Promise<void> }> {
  const crew = new Crew(options, undefined, BossClass);
  const crewed = once(crew.boss as never, 'crewed');
  const over = crew.doist.do();
  over.catch(() => {});
  t.after(async () => {
    await crew.doist.exit();
    await over.catch(() => {});
  });
  await Promise.race([crewed, over]);
  return Object.assign(crew, { over });
}

describe('Boss', { skip }, () => {
  test('is complete when its hands are, and leaves nothing behind', async () => {
    const { boss, doist, exits } = new Crew({ loads: [{ name: 'hand', limit: 0.08 }] }, 60);
    const listeners = process.listenerCount('SIGTERM');
    await doist.do();
    assert.equal(boss.done, true);
    assert.equal(doist.done, true);
    assert.deepEqual(
      exits.map(({ name, code, signal, restarting }) => [name, code, signal, restarting]),
      [['hand', 0, null, false]],
    );
    assert.ok(!existsSync(dirname(boss.path ?? boss.crew.get('hand')?.path ?? '')));
    assert.equal(process.listenerCount('SIGTERM'), listeners);
  });

  test('acknowledges each REG, and gives each hand the addresses of all once all are known', async (t) => {
    const said: string[] = [];
    class Scribe extends Boss {
      override memoit(memo: string, address: string): Promise<void> {
        said.push(memo);
        return super.memoit(memo, address);
      }
    }
    const crew = await crewOf(t, { loads: reporters('a', 'b', 'c', 'd') }, Scribe);
    await crew.until(() => crew.memos.length === 4);
    const { boss } = crew;
    assert.equal(boss.crewed, true);
    const tags = said.map((text) => (JSON.parse(text) as { tag: string }).tag);
    assert.deepEqual(tags, [...new Array(4).fill('ACK'), ...new Array(4).fill('BOK')]);
    const addresses = Object.fromEntries([...boss.crew.values()].map(({ name, path }) => [name, path]));
    for (const text of said.slice(4)) assert.deepEqual((JSON.parse(text) as { load: object }).load, addresses);
    for (const text of crew.memos) {
      const { name, book } = JSON.parse(text) as { name: string; book: [string, string][] };
      const { [name]: _, ...others }: Record<string, string | undefined> = { boss: boss.path, ...addresses };
      assert.deepEqual(Object.fromEntries(book), others);
    }
  });

  test('says END to each hand, which exits 0, and is complete', async (t) => {
    const crew = await crewOf(t, { loads: reporters('a', 'b', 'c') });
    await crew.boss.end();
    await crew.over;
    assert.equal(crew.boss.done, true);
    // The last one first, each behind the end of the one before.
    assert.deepEqual(
      crew.exits.map(({ name, code, exiting }) => [name, code, exiting]),
      [
        ['c', 0, true],
        ['b', 0, true],
        ['a', 0, true],
      ],
    );
  });

  test('may say END by itself, too: as the reference does', async (t) => {
    const crew = await crewOf(t, { loads: reporters('a', 'b') });
    for (const name of ['a', 'b']) await crew.boss.send(name, formatMemo(new EndDom()));
    await crew.over;
    assert.equal(crew.boss.done, true);
    assert.deepEqual(
      crew.exits.map(({ code, exiting }) => [code, exiting]),
      [
        [0, false],
        [0, false],
      ],
    );
  });

  test('ends one hand; the others stay', async (t) => {
    const crew = await crewOf(t, { loads: reporters('a', 'b') });
    await crew.boss.end('b');
    assert.equal(crew.hand('b').state, 'over');
    assert.equal(crew.hand('a').state, 'registered');
    assert.ok(alive(crew.pid('a')));
    await assert.rejects(crew.boss.end('z'), InvalidArgumentError);
  });

  test('sends SIGTERM at its limit, and no process is left when do() resolves', async () => {
    const crew = new Crew({ loads: reporters('a', 'b') });
    let pids: number[] = [];
    crew.boss.once('crewed', () => {
      pids = [crew.pid('a'), crew.pid('b')];
      void crew.doist.exit();
    });
    await crew.doist.do();
    assert.equal(crew.boss.done, false);
    assert.equal(pids.length, 2);
    for (const pid of pids) assert.equal(alive(pid), false);
    assert.deepEqual(
      crew.exits.map(({ name }) => name),
      ['b', 'a'],
    );
  });

  test('ends hands that are still being started, too', async () => {
    const { boss, doist, exits } = new Crew({ loads: reporters('a', 'b') }, 0.05);
    await doist.do();
    assert.equal(boss.done, false);
    for (const { name, pid, restarting } of exits)
      assert.deepEqual([name, alive(pid), restarting], [name, false, false]);
    for (const { state } of boss.crew.values()) assert.equal(state, 'over');
  });

  test('kills a hand that does not end', async () => {
    const crew = new Crew({ grace: 100, loads: [{ name: 'a', doers: [doer('Reporter'), doer('Stubborn')] }] });
    crew.boss.once('crewed', () => void crew.doist.exit());
    await crew.doist.do();
    assert.equal(crew.exits[0]?.signal, 'SIGKILL');
  });

  test('is complete at once without loads', async () => {
    const { boss, doist } = new Crew({});
    await doist.do();
    assert.equal(boss.done, true);
  });

  test('is complete when its hands have ended by themselves', async () => {
    const { doist, exits } = new Crew({ loads: [{ name: 'a', doers: [doer('Brief')], limit: 60 }] });
    await doist.do({ limit: 60 });
    assert.equal(exits[0]?.code, 0);
    assert.equal(doist.done, true);
  });

  test('runs generator functions as doers, with the options of the load', async (t) => {
    const load = { name: 'a', doers: [doer('Reporter'), doer('greeter', { greeting: 'Ahoy' })] };
    const crew = await crewOf(t, { loads: [load] });
    await crew.until(() => crew.memos.includes('Ahoy from a'));
  });

  test('sends memos from hand to hand by name', async (t) => {
    const crew = await crewOf(t, { loads: reporters('a', 'b') });
    await crew.until(() => crew.memos.length === 2);
    await crew.boss.send('a', 'ask b 1000');
    await crew.until(() => crew.memos.length === 3);
    const { count, isInOrder } = JSON.parse(crew.memos[2] as string) as Record<string, unknown>;
    assert.deepEqual([count, isInOrder], [1_000, true]);
    assert.equal(crew.boss.droppedMemos, 0);
  });

  describe('before it starts anything', () => {
    test('refuses two hands of one name, and its own', () => {
      assert.throws(() => new Boss({ loads: [{ name: 'a' }, { name: 'a' }] }), MultiError);
      assert.throws(() => new Boss({ loads: [{ name: 'boss' }] }), MultiError);
    });

    test('refuses a hand whose first doer is no Crewer', async () => {
      for (const first of [[doer('Diarist')], [doer('greeter')], [doer('noDoer')], [doer('nobody')], []]) {
        const { doist, boss } = new Crew({ loads: [{ name: 'a', doers: first }] });
        await assert.rejects(doist.do(), MultiError);
        assert.equal(boss.crew.size, 0);
      }
    });

    test('refuses options that it does not have, and values that they do not', () => {
      const wrong: readonly object[] = [
        { load: [] },
        { loads: {} },
        { loads: [{ doer: [] }] },
        { loads: [{ doers: [{ module: './a.js' }] }] },
        { loads: [{ name: '../a' }] },
        { name: '' },
        { restart: 'sometimes' },
        { strategy: 'all' },
        { intensity: { max: -1 } },
        { grace: -1 },
        { heartbeat: 'often' },
        { directory: 'crew' },
        { manager: { worker: 1 } },
      ];
      for (const options of wrong) {
        assert.throws(
          () => void new Boss(options as BossOptions).manager,
          /ERR_BOSUN|is|are|has/,
          JSON.stringify(options),
        );
      }
    });
  });

  describe('that is told to end early', () => {
    test('does so when it is entered', async () => {
      const crew = new Crew({ loads: reporters('a') });
      await assert.rejects(crew.boss.end(), { code: 'ERR_BOSUN_FSM' });
      const over = crew.doist.do();
      await crew.boss.end();
      await over;
      assert.equal(crew.boss.done, true);
      assert.equal(crew.hand('a').state, 'over');
    });

    test('ends a hand that is still being started as soon as that is there', async () => {
      const crew = new Crew({ loads: [{ name: 'a', doers: [doer('Reporter'), doer('Stubborn')] }] });
      crew.boss.once('entered', () => setImmediate(() => void crew.boss.end()));
      await crew.doist.do();
      // It has entered nothing, so there is nothing that it could be stubborn about, or be killed for.
      assert.deepEqual([crew.exits[0]?.signal, crew.exits[0]?.exiting], [null, true]);
    });

    test('starts nothing behind its end', async () => {
      const crew = new Crew({ loads: [{ name: 'a', doers: [{ module: LATE, export: 'LateCrewer' }] }] });
      const over = crew.doist.do();
      await crew.doist.exit();
      await over;
      assert.equal(crew.boss.crew.size, 0);
      assert.equal(crew.boss.done, false);
    });

    test('lets a hand end cleanly though another one is stuck', async (t) => {
      const logDirectory = temporaryFolder(t);
      const loads = [
        { name: 'store', doers: [doer('Reporter'), doer('Diarist')] },
        { name: 'stuck', doers: [doer('Reporter'), doer('Stubborn')] },
      ];
      const crew = new Crew({ grace: 300, logDirectory, loads });
      crew.boss.once('crewed', () => void crew.doist.exit());
      await crew.doist.do();
      assert.deepEqual(
        crew.exits.map(({ name, code, signal }) => [name, code, signal]),
        [
          ['stuck', null, 'SIGKILL'],
          ['store', 0, null],
        ],
      );
      assert.match(readFileSync(join(logDirectory, 'store.log'), 'utf8'), /store exits\n$/);
    });
  });

  describe('whose hands die', () => {
    test('starts one again that was killed; it has its name, its address and its book again', async (t) => {
      const crew = await crewOf(t, { loads: reporters('a', 'b') });
      await crew.until(() => crew.memos.length === 2);
      const before = crew.pid('a');
      const crewed = once(crew.boss as never, 'crewed');
      process.kill(before, 'SIGKILL');
      await crewed;
      assert.notEqual(crew.pid('a'), before);
      assert.deepEqual([crew.hand('a').restarts, crew.hand('b').restarts], [1, 0]);
      assert.deepEqual([crew.exits[0]?.signal, crew.exits[0]?.restarting], ['SIGKILL', true]);
      await crew.until(() => crew.memos.length === 3);
      const book = (text: string | undefined) => (JSON.parse(text as string) as { book: unknown }).book;
      assert.ok(
        crew.memos.slice(0, 2).some((text) => JSON.stringify(book(text)) === JSON.stringify(book(crew.memos[2]))),
      );
    });

    test('leaves it at that with never, and says so in the end', async (t) => {
      const crew = await crewOf(t, { restart: 'never', loads: reporters('a', 'b') });
      process.kill(crew.pid('a'), 'SIGKILL');
      await crew.until(() => crew.exits.length === 1);
      assert.equal(crew.exits[0]?.restarting, false);
      assert.equal(crew.hand('b').state, 'registered');
      await crew.boss.end();
      await assert.rejects(
        crew.over,
        (error: MultiError) => error.code === 'ERR_BOSUN_MULTI' && /a .*SIGKILL/.test(error.message),
      );
    });

    test('hears at once of one that dies before it has registered', async () => {
      const { doist, exits } = new Crew({ restart: 'never', loads: [{ name: 'a', doers: [doer('Stillborn')] }] });
      await assert.rejects(doist.do(), { code: 'ERR_BOSUN_MULTI', message: /exit code 7/ });
      assert.equal(exits[0]?.code, 7);
    });

    test('starts one that ends well with always only', async () => {
      const crew = new Crew({ restart: 'always', loads: [{ name: 'a', limit: 0.02 }] });
      const limit = new AbortController();
      crew.boss.on('handExit', () => crew.exits.length === 2 && limit.abort());
      await crew.doist.do({ signal: limit.signal });
      assert.deepEqual(
        crew.exits.slice(0, 1).map(({ code, restarting }) => [code, restarting]),
        [[0, true]],
      );
    });

    test('gives up when one does not stay alive, and tells why', async () => {
      const loads = [...reporters('good'), { name: 'bad', doers: [doer('Reporter'), doer('Thrower')] }];
      const crew = new Crew({ intensity: { max: 2 }, loads });
      await assert.rejects(crew.doist.do(), (error: MultiError) => {
        assert.equal(error.code, 'ERR_BOSUN_MULTI');
        assert.match(error.message, /bad has ended 3 times within 30000 ms.*the rope is too short/);
        return (error.cause as Error).name === 'RangeError';
      });
      const bad = crew.exits.filter(({ name }) => name === 'bad');
      assert.deepEqual(
        bad.map(({ restarting }) => restarting),
        [true, true, false],
      );
      assert.equal(alive(crew.pid('good')), false);
    });

    for (const [strategy, changed] of [
      ['one-for-all', ['a', 'b', 'c']],
      ['rest-for-one', ['b', 'c']],
    ] as const) {
      test(`starts ${changed.join(', ')} again when b dies, with ${strategy}`, async (t) => {
        const crew = await crewOf(t, { strategy, loads: reporters('a', 'b', 'c') });
        const names = ['a', 'b', 'c'];
        const before = names.map((name) => crew.pid(name));
        const crewed = once(crew.boss as never, 'crewed');
        process.kill(before[1] as number, 'SIGKILL');
        await crewed;
        assert.deepEqual(
          names.filter((name, i) => crew.pid(name) !== before[i]),
          changed,
        );
      });
    }

    test('is whole again when all of a group are killed at once, and one after the other', async (t) => {
      const crew = await crewOf(t, { strategy: 'one-for-all', loads: reporters('a', 'b', 'c') });
      for (const victims of [['a', 'b', 'c'], ['a', 'b'], ['c']]) {
        const crewed = once(crew.boss as never, 'crewed');
        for (const name of victims) process.kill(crew.pid(name), 'SIGKILL');
        await crewed;
      }
      for (const name of ['a', 'b', 'c']) assert.equal(crew.hand(name).state, 'registered');
    });

    test('gives the others their book when one is over before it was there', async () => {
      const crew = new Crew({
        restart: 'never',
        loads: [...reporters('a'), { name: 'b', doers: [doer('Stillborn')] }],
      });
      const over = assert.rejects(crew.doist.do(), MultiError);
      await crew.until(() => crew.memos.length === 1);
      assert.equal(crew.boss.crewed, true);
      await crew.boss.end();
      await over;
    });

    test('ends when a listener throws', async () => {
      const crew = new Crew({ loads: reporters('a') });
      crew.boss.on('handRegistered', () => {
        throw new RangeError('no room');
      });
      await assert.rejects(crew.doist.do(), RangeError);
      assert.equal(crew.exits.length, 1);
    });

    test('lets one take its time to enter, for all its heartbeat', async (t) => {
      const loads = [{ name: 'a', doers: [doer('Reporter'), { module: LATE, export: 'SlowDoer' }] }];
      const crew = await crewOf(t, { heartbeat: 0.4, loads });
      await crew.until(() => crew.memos.includes('entered'));
      assert.deepEqual(crew.exits, []);
    });

    test('leaves no socket of one that was killed', async (t) => {
      const directory = temporaryFolder(t);
      const crew = await crewOf(t, { directory, restart: 'never', loads: reporters('a', 'b') });
      process.kill(crew.pid('a'), 'SIGKILL');
      await crew.until(() => crew.exits.length === 1);
      await crew.boss.end();
      await crew.over.catch(() => {});
      assert.deepEqual(readdirSync(directory), []);
    });

    test('ends one whose event loop does not go round any more', async (t) => {
      const crew = await crewOf(t, { heartbeat: 0.4, loads: reporters('a', 'b') });
      const crewed = once(crew.boss as never, 'crewed');
      await crew.boss.send('a', 'block');
      await crewed;
      assert.equal(crew.exits[0]?.name, 'a');
      assert.match(crew.exits[0]?.reason ?? '', /no sign of life/);
      assert.equal(crew.hand('b').restarts, 0);
    });

    test('ends one that was stopped', async (t) => {
      const crew = await crewOf(t, { heartbeat: 0.4, loads: reporters('a') });
      const crewed = once(crew.boss as never, 'crewed');
      await crew.boss.send('a', 'stop');
      await crewed;
      assert.equal(crew.hand('a').restarts, 1);
    });
  });

  describe('and strangers', () => {
    test('does not believe a REG of another process', async (t) => {
      const directory = temporaryFolder(t);
      const crew = await crewOf(t, { directory, loads: reporters('a', 'b') });
      await crew.boss.end('b');
      // At the address of a hand, in its name, and of this process.
      const forger = new Peer({ path: join(directory, 'b.uxd') });
      await forger.open();
      const before = crew.boss.droppedMemos;
      const stranger = new Peer({ path: join(directory, 'eve.uxd') });
      await stranger.open();

      await forger.send(gramOf('{"tag":"REG","name":"b","load":{}}'), crew.boss.path as string);
      await stranger.send(gramOf('{"tag":"REG","name":"a","load":{}}'), crew.boss.path as string);
      await crew.boss.send('a', 'ping 1').catch(() => {});
      while (crew.boss.droppedMemos < before + 2) await new Promise((resolve) => setImmediate(resolve));
      assert.equal(crew.hand('b').state, 'over');
      assert.equal(crew.hand('a').state, 'registered');
      await forger.close();
      await stranger.close();
    });

    test('and its hands do not obey another than their boss', async (t) => {
      const directory = temporaryFolder(t);
      const crew = await crewOf(t, { directory, loads: reporters('a') });
      await crew.until(() => crew.memos.length === 1);
      const stranger = new Peer({ path: join(directory, 'eve.uxd') });
      await stranger.open();

      const to = crew.hand('a').path;
      await stranger.send(gramOf('{"tag":"END","name":"boss","load":{}}'), to);
      await stranger.send(gramOf('{"tag":"BOK","name":"boss","load":{"eve":"/tmp/eve"}}'), to);
      // Behind the two; and it is answered, by one that has not ended.
      await crew.boss.send('a', 'ping 1');
      await crew.until(() => crew.memos.includes('pong 1'));
      await assert.rejects(stranger.send('x', join(directory, 'nobody.uxd')));
      await stranger.close();
      assert.deepEqual(crew.exits, []);
    });
  });

  describe('manager', () => {
    const pidHere = () => Task.from<number>(HANDS.href, 'pidHere');
    const untilStopped = () => Task.from<void>(HANDS.href, 'untilStopped');

    test('runs a task in a hand by name, and in any that is free', async (t) => {
      const crew = await crewOf(t, { loads: reporters('a', 'b') });
      const { manager } = crew.boss;
      assert.equal(await manager.schedule(pidHere(), { to: 'a' }).result, crew.pid('a'));
      assert.equal(await manager.schedule(pidHere(), { to: 'b' }).result, crew.pid('b'));
      const any = await manager.run({ module: HANDS, export: 'pidHere' });
      assert.ok([crew.pid('a'), crew.pid('b')].includes(any as number));
      assert.throws(() => manager.schedule(pidHere(), { to: 'z' }), InvalidArgumentError);
    });

    test('cancels what a hand runs when it is told to end; the others stay', async (t) => {
      const crew = await crewOf(t, { loads: reporters('a', 'b') });
      const { manager } = crew.boss;
      const task = untilStopped();
      const handle = manager.schedule(task, { to: 'a' });
      const begun = new Promise((resolve) => handle.onProgress(resolve));
      assert.equal(await begun, crew.pid('a'));
      await crew.boss.end('a');
      await assert.rejects(handle.result, CancellationError);
      assert.equal(task.state, 'CANCELLED');
      assert.deepEqual([crew.exits[0]?.code, crew.exits.length], [0, 1]);
      assert.equal(crew.hand('b').state, 'registered');
      assert.throws(() => manager.schedule(pidHere(), { to: 'a' }), InvalidArgumentError);
    });

    test('loses a task with its hand, or runs it again there, as its policy says', async (t) => {
      const crew = await crewOf(t, { loads: reporters('a', 'b') });
      const { manager } = crew.boss;
      const die = Task.from(HANDS.href, 'die');
      await assert.rejects(manager.schedule(die, { to: 'a' }).result, (error: WorkerLostError) => {
        return error instanceof WorkerLostError && error.exitCode === 9;
      });
      // It waits for the hand to come back.
      assert.equal(await manager.schedule(pidHere(), { to: 'a' }).result, crew.pid('a'));
    });

    test('ends with the boss: what waits is cancelled', async () => {
      const crew = new Crew({ loads: reporters('a') });
      let waiting: Promise<unknown> | undefined;
      crew.boss.once('crewed', () => {
        const { manager } = crew.boss;
        manager.schedule(untilStopped(), { to: 'a' });
        waiting = manager.schedule(pidHere(), { to: 'a' }).result.catch((error: unknown) => error);
        void crew.doist.exit();
      });
      await crew.doist.do();
      assert.ok((await waiting) instanceof CancellationError);
    });
  });

  describe('and logs', () => {
    test('hands on memos of users that look like others', async (t) => {
      const crew = await crewOf(t, { loads: reporters('a') });
      await crew.boss.send('a', 'say {"tag":"news","load":1}');
      await crew.until(() => crew.memos.includes('{"tag":"news","load":1}'));
      await crew.boss.send('a', 'say {"tag":"END","load":1}');
      await crew.boss.send('a', 'ping 1');
      await crew.until(() => crew.memos.includes('pong 1'));
      assert.equal(crew.boss.droppedMemos, 1);
    });

    test('writes what a hand says into its own file', async (t) => {
      const logDirectory = join(temporaryFolder(t), 'logs');
      const loads = [{ name: 'a', doers: [doer('Reporter'), doer('Diarist')] }, ...reporters('b')];
      const crew = await crewOf(t, { logDirectory, loads });
      await crew.boss.send('b', 'print hello');
      await crew.boss.end();
      await crew.over;
      assert.deepEqual(readdirSync(logDirectory).sort(), ['a.log', 'b.log']);
      assert.match(readFileSync(join(logDirectory, 'a.log'), 'utf8'), /INFO {2}a enters\n.* INFO {2}a exits\n$/);
      assert.match(readFileSync(join(logDirectory, 'b.log'), 'utf8'), / hello\n$/);
    });
  });
});
