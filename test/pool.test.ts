// A function over many inputs, on workers of all kinds, of which some die.

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import {
  PersistentProcessWorker,
  PersistentThreadWorker,
  PoisonedInputError,
  Pool,
  PoolError,
  PoolStateError,
  Worker,
} from '../lib/index.js';
import { range, squares, usePools } from './fixtures/pools.js';
import { at, KINDS } from './fixtures/worker-kinds.js';

after(() => assert.deepEqual(Worker.activeChildren(), []));

const { place, makePool } = usePools();

const total = (pool: Pool): number => pool.workers.reduce((sum, { result }) => sum + (result ?? 0), 0);

for (const type of KINDS) {
  describe(`a pool of ${type} workers`, () => {
    test('works off all inputs, each once, run after run', async (t) => {
      const pool = makePool(t, 'square', [type, type, type]);
      assert.deepEqual(await pool.run([range(10)]), squares(10));
      assert.deepEqual(await pool.run([range(10)], { extraPendingInputs: 3 }), squares(10));
      await pool.close();
      assert.equal(total(pool), 20);
    });

    test('counts from the beginning after its workers were restarted', async (t) => {
      const pool = makePool(t, 'square', [type, type]);
      await pool.run([range(10)]);
      await pool.restartWorkers();
      assert.deepEqual(await pool.run([range(10)]), squares(10));
      await pool.close();
      assert.equal(total(pool), 10);
    });

    test('gives what a worker has died of to others, and follows the dead by others', async (t) => {
      const pool = makePool(t, 'dieHere', [type, type]);
      const deadly = pool.addWorker(type, { ...place(type), initialState: 'deadly' });
      const died: unknown[] = [];
      const results = await pool.map(range(6), {
        workerCallback: (event, worker) => event === 'died' && died.push(worker.name),
      });
      assert.deepEqual(results, range(6));
      // Each of its followers was made as it was.
      assert.deepEqual(new Set(died), new Set([deadly.name]));
      assert.equal(pool.workers.length, 3);
      assert.deepEqual(await pool.map(range(5)), range(5));
    });
  });
}

describe('a pool', () => {
  test('of all kinds runs one function', async (t) => {
    const pool = new Pool(at('square'), { name: 'mixed' });
    t.after(() => pool.terminate());
    pool.addWorker('thread');
    pool.addWorker('remote', place('remote'));
    pool.addWorker(PersistentProcessWorker, { name: 'mine', userId: 'u' });
    const attached = pool.attach(new PersistentThreadWorker({ target: at('square'), onError: 'report' }));
    assert.deepEqual(
      pool.workers.map(({ name, userId }) => [name, userId]),
      [
        ['mixed worker 0', 0],
        ['mixed worker 1', 1],
        ['mine', 'u'],
        [attached.name, undefined],
      ],
    );
    assert.deepEqual(await pool.map(range(20)), squares(20));
    await pool.close();
    assert.equal(total(pool), 20);
  });

  test('takes one item of each source, until the first of them ends', async (t) => {
    const pool = makePool(t, 'echo', ['thread', 'thread'], { args: ['a', 'b', 'c'] });
    async function* letters(): AsyncGenerator<string> {
      yield* 'xyz';
    }
    let closed = false;
    function* numbers(): Generator<number> {
      try {
        for (let i = 0; ; i++) yield i;
      } finally {
        closed = true;
      }
    }
    const results = await pool.run([numbers(), letters(), (worker) => worker.name.length > 0]);
    assert.deepEqual(results, [
      [0, 'x', true],
      [1, 'y', true],
      [2, 'z', true],
    ]);
    assert.equal(closed, true);
  });

  test('says which input a result belongs to', async (t) => {
    const pool = makePool(t, 'square', ['thread', 'process']);
    const seen = new Map<number, unknown>();
    for await (const { index, input, value } of pool.stream([range(10)])) seen.set(index, [input, value]);
    assert.deepEqual(
      range(10).map((i) => seen.get(i)),
      range(10).map((i) => [[i], i * i]),
    );
  });

  test('yields in the order of the inputs, or as they come', async (t) => {
    const pool = makePool(t, 'square', ['thread', 'process']);
    const ordered: number[] = [];
    for await (const value of pool.imap<number>(range(30))) ordered.push(value);
    assert.deepEqual(ordered, squares(30));
    const unordered: number[] = [];
    for await (const value of pool.imapUnordered<number>(range(30))) unordered.push(value);
    assert.deepEqual(
      unordered.sort((a, b) => a - b),
      squares(30),
    );
  });

  test('goes at the pace of a slow reader', async (t) => {
    const pool = makePool(t, 'square', ['thread']);
    let taken = 0;
    function* inputs(): Generator<number> {
      for (;;) yield taken++;
    }
    const stream = pool.stream([inputs()]);
    for (let i = 0; i < 5; i++) await stream.next();
    // What may wait unread, and what is under way.
    assert.ok(taken < 5 + 8 + 3, `${taken} inputs were taken`);
    await stream.return(undefined);
    assert.deepEqual(await pool.map([3]), [9]);
  });

  test('what the function throws is the result of that input alone', async (t) => {
    const pool = makePool(t, 'fail', ['thread', 'process']);
    const errors: unknown[] = [];
    for await (const { index, error } of pool.stream([range(4)])) errors[index] = (error as Error).message;
    assert.deepEqual(errors, ['x = 0', 'x = 1', 'x = 2', 'x = 3']);
    await assert.rejects(pool.map([7]), (error: PoolError) => {
      assert.ok(error instanceof PoolError);
      assert.deepEqual([(error.cause as Error).message, error.lostInputs, error.partialResults], ['x = 7', [[7]], []]);
      return true;
    });
    assert.ok(pool.workers.every((worker) => worker.isAlive()));
  });

  test('an input that costs every worker is given up, and the others are worked off', async (t) => {
    const pool = makePool(t, 'dieOn', ['process', 'process'], { args: [0, 3] });
    const results = new Map<number, unknown>();
    for await (const { index, value, error } of pool.stream([range(8)], { extraPendingInputs: 1 })) {
      results.set(index, value ?? error);
    }
    const poisoned = results.get(3) as PoisonedInputError;
    assert.ok(poisoned instanceof PoisonedInputError);
    assert.deepEqual([poisoned.input, poisoned.attempts, poisoned.code], [[3], 3, 'ERR_BOSUN_POISONED_INPUT']);
    results.delete(3);
    assert.deepEqual([...results.values()].sort(), [0, 1, 2, 4, 5, 6, 7]);
  });

  test('without retry lists the inputs that were lost, and the results of the others', async (t) => {
    const pool = makePool(t, 'dieOn', ['process', 'process'], { args: [0, 1], retry: false, replaceDead: false });
    await assert.rejects(pool.map(range(5)), (error: PoolError) => {
      assert.ok(error instanceof PoolError);
      assert.deepEqual([error.lostInputs, error.partialResults], [[[1]], [0, 2, 3, 4]]);
      return true;
    });
    assert.equal(pool.workers.filter((worker) => worker.isAlive()).length, 1);
  });

  test('whose workers have all died, and are not followed, says so', async (t) => {
    const pool = makePool(t, 'dieOn', ['process', 'process'], { args: [0, 1], replaceDead: false });
    await assert.rejects(pool.map([1, 1, 1]), (error: PoolError) => {
      assert.ok(error instanceof PoolError);
      assert.equal(error.lostInputs.length >= 2, true);
      return true;
    });
    await assert.rejects(pool.map([2]), PoolError);
  });

  test('whose target cannot be loaded does not go on for ever', async (t) => {
    const pool = new Pool('./no-such-module.js#nothing');
    t.after(() => pool.terminate());
    pool.addWorker('thread');
    await assert.rejects(pool.map(range(1_000)), (error: PoolError) => {
      assert.ok(error instanceof PoolError);
      assert.match(String((error.cause as Error).message), /no-such-module/);
      return true;
    });
  });

  test('an input that cannot travel is its own failure', async (t) => {
    const pool = makePool(t, 'square', ['thread']);
    const results: unknown[] = [];
    for await (const { index, value, error } of pool.stream([[1, () => {}, 3]])) {
      results[index] = value ?? (error as { code: string }).code;
    }
    assert.deepEqual(results, [1, 'ERR_BOSUN_DATA_CLONE', 9]);
  });

  test('tells of its workers, and asks before it gives them something', async (t) => {
    const pool = makePool(t, 'square', ['thread']);
    const events: unknown[] = [];
    await pool.run([[1, 2]], { workerCallback: (event, _worker, result) => events.push(result ?? event) });
    assert.deepEqual(events, ['enqueued', 1, 'enqueued', 4, 'idle']);
    const two = makePool(t, 'echo', ['thread', 'process']);
    const toThread = await two.run([range(6), (worker) => worker.workerType], {
      enqueueFn: (worker) => worker.isThread,
    });
    assert.equal(toThread.length, 6);
    assert.equal(two.workers[1]?.pendingInputs.length, 0);
    await assert.rejects(two.run([range(2)], { enqueueFn: () => false }), /enqueueFn keeps an input/);
    // The first that is asked is not the only one.
    assert.equal((await two.map(range(3), { enqueueFn: (worker) => worker.isProcess })).length, 3);
  });

  test('fails with what a source throws', async (t) => {
    const pool = makePool(t, 'square', ['thread']);
    function* broken(): Generator<number> {
      yield 1;
      throw new TypeError('no more');
    }
    await assert.rejects(pool.map(broken()), { name: 'TypeError', message: 'no more' });
    assert.deepEqual(await pool.map([2]), [4]);
  });

  test('takes a worker during a run', async (t) => {
    const pool = makePool(t, 'square', ['thread']);
    const stream = pool.stream([range(50)]);
    await stream.next();
    const late = pool.addWorker('thread');
    let count = 1;
    for await (const _ of stream) count += 1;
    assert.equal(count, 50);
    await pool.close();
    assert.ok((late.result ?? 0) > 0);
  });

  test('says when it is used at the wrong time', async (t) => {
    const state = { name: 'PoolStateError', code: 'ERR_BOSUN_POOL_STATE' };
    await assert.rejects(new Pool(at('square')).map([1]), PoolError);
    const pool = makePool(t, 'square', ['thread']);
    const stream = pool.stream([range(10)]);
    await stream.next();
    await assert.rejects(pool.map([1]), state);
    await assert.rejects(pool.close(), state);
    await assert.rejects(pool.restartWorkers(), state);
    await stream.return(undefined);
    await pool.close();
    await assert.rejects(pool.map([1]), PoolStateError);
    assert.throws(() => pool.addWorker('thread'), state);
    const invalid = { code: 'ERR_BOSUN_INVALID_ARGUMENT' };
    // biome-ignore lint/suspicious/noExplicitAny: misuse is what this test is about
    const other = makePool(t, 'square', ['thread']) as any;
    await assert.rejects(other.run([1, 2]), invalid);
    await assert.rejects(other.run(5), invalid);
    await assert.rejects(other.run([[1]], { workers: 5 }), invalid);
    assert.throws(() => new Pool(at('square'), { worker: 1 } as never), invalid);
    assert.throws(() => new Pool(undefined as never), invalid);
    assert.throws(() => other.attach({}), invalid);
    assert.throws(() => other.addWorker('coroutine'), invalid);
  });

  test('gives each worker what it is to have', async (t) => {
    const pool = makePool(t, 'where', ['process', 'process']);
    const results = await pool.run<[number]>([range(8)], {
      enqueueFn: (worker, [x]) => worker.userId === Number(x) % 2,
    });
    const pids = pool.workers.map(({ pid }) => pid);
    assert.deepEqual(
      results.map(([pid]) => pids.indexOf(pid)),
      range(8).map((x) => x % 2),
    );
  });

  test('goes on when one of its workers is closed, terminated or restarted meanwhile', async (t) => {
    const pool = makePool(t, 'tick', ['thread', 'process', 'process']);
    const run = pool.map(range(60));
    const [closed, terminated, restarted] = pool.workers;
    await Promise.all(pool.workers.map(({ started }) => started));
    closed?.close();
    const others = [terminated?.terminate(), restarted?.restart({ wait: 0, timeout: 0 })];
    assert.deepEqual(await run, range(60));
    await Promise.all(others);
    assert.equal(pool.workers.length, 3);
    assert.ok(pool.workers.includes(restarted as never));
  });

  test('is terminated while its function works, or its source does not come', async (t) => {
    const busy = makePool(t, 'tick', ['thread', 'process']);
    const run = assert.rejects(busy.map(range(1_000)), PoolError);
    await Promise.all(busy.workers.map(({ started }) => started));
    await busy.terminate();
    await run;
    const slow = makePool(t, 'square', ['thread']);
    const never = async function* (): AsyncGenerator<number> {
      yield 1;
      await new Promise(() => {});
    };
    const stream = slow.stream([never()]);
    assert.equal((await stream.next()).value?.value, 1);
    const waiting = assert.rejects(stream.next(), /terminated/);
    await slow.terminate();
    await waiting;
    await slow.close();
  });

  test('fails with what a callback throws, once', async (t) => {
    for (const event of ['enqueued', 'finished', 'idle', 'died']) {
      const pool = makePool(t, 'dieOn', ['process'], { args: [0, 1] });
      const workerCallback = (what: string): void => {
        if (what === event) throw new Error(`at ${event}`);
      };
      await assert.rejects(pool.map([2, 1], { workerCallback }), { message: `at ${event}` });
      await pool.close();
    }
  });

  test('can be used again whatever a source does at its end', async (t) => {
    const pool = makePool(t, 'square', ['thread']);
    const source = {
      [Symbol.iterator]: () => ({
        next: () => ({ done: false, value: 2 }),
        return() {
          throw new Error('cannot be closed');
        },
      }),
    };
    for await (const { value } of pool.stream([source])) {
      assert.equal(value, 4);
      break;
    }
    assert.deepEqual(await pool.map([3]), [9]);
  });

  test('does not start followers for two runs at once', async (t) => {
    const pool = makePool(t, 'square', ['thread', 'process']);
    await Promise.all(pool.workers.map((worker) => worker.terminate()));
    const [first, second] = await Promise.allSettled([pool.map([2]), pool.map([3])]);
    assert.deepEqual(first, { status: 'fulfilled', value: [4] });
    assert.equal(second.status === 'rejected' && second.reason instanceof PoolStateError, true);
    assert.equal(Worker.activeChildren().length, 2);
  });

  test('charges nobody for a worker that did not start, and gives up in the end', async (t) => {
    const pool = makePool(t, 'square', []);
    pool.addWorker('process', { execArgv: ['--no-such-option'] });
    await assert.rejects(pool.map([1]), (error: PoolError) => {
      assert.match(error.message, /end as fast as they are started/);
      assert.deepEqual(error.lostInputs, [[1]]);
      return true;
    });
  });

  test('gives a worker no more than its share, and then its seat to another', async (t) => {
    const pool = makePool(t, 'where', ['process'], { maxTasks: 3 });
    const died: unknown[] = [];
    const workerCallback = (event: string): void => void (event === 'died' && died.push(event));
    const places = await pool.map<[number]>(range(7), { workerCallback });
    const pids = places.map(([pid]) => pid);
    assert.deepEqual(
      [0, 1, 2, 3, 4, 5, 6].map((i) => pids.indexOf(pids[i] as number)),
      [0, 0, 0, 3, 3, 3, 6],
    );
    assert.deepEqual(died, []);
  });

  test('works off many inputs that wait at one worker', async (t) => {
    const pool = makePool(t, 'square', ['thread']);
    assert.deepEqual(await pool.map(range(3_000), { extraPendingInputs: 3_000 }), squares(3_000));
  });

  test('is terminated during a run, which fails', async (t) => {
    const pool = makePool(t, 'waitForStop', ['thread', 'process']);
    const run = pool.map(range(5));
    await Promise.all(pool.workers.map(({ started }) => started));
    const failed = assert.rejects(run, PoolError);
    await pool.terminate();
    await failed;
    assert.ok(pool.workers.every((worker) => !worker.isAlive()));
  });
});
