// Inputs of one key go to one worker.

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { Pool, PoolError, type PoolRunOptions, Worker } from '../lib/index.js';
import { range, usePools } from './fixtures/pools.js';
import { at, KINDS } from './fixtures/worker-kinds.js';

after(() => assert.deepEqual(Worker.activeChildren(), []));

const { place, makePool } = usePools();

const affinity = ([key]: readonly unknown[]): unknown => key;

interface Seen {
  readonly index: number;
  readonly place: string;
}

/** Per key, in the order in which they came: the inputs, and where they were worked off. */
async function homes(pool: Pool, keys: unknown[], options: PoolRunOptions = {}): Promise<Map<unknown, Seen[]>> {
  const seen = new Map<unknown, Seen[]>();
  for await (const { index, input, value, error } of pool.stream([keys, range(keys.length)], {
    affinity,
    ...options,
  })) {
    const [key] = input;
    seen.set(key, [...(seen.get(key) ?? []), { index, place: String(value ?? error) }]);
  }
  return seen;
}

const placesOf = (seen: readonly Seen[] = []): Set<string> => new Set(seen.map(({ place: where }) => where));

function assertInOrder(seen: ReadonlyMap<unknown, readonly Seen[]>): void {
  for (const each of seen.values()) {
    const indexes = each.map(({ index }) => index);
    assert.deepEqual(
      indexes,
      [...indexes].sort((a, b) => a - b),
    );
  }
}

for (const type of KINDS) {
  describe(`keys in a pool of ${type} workers`, () => {
    test('have one worker each, which gets their inputs in order', async (t) => {
      const pool = makePool(t, 'inOrder', [type, type, type]);
      let n = 0;
      for (const chunkSize of [1, 7, 'auto'] as const) {
        const seen = new Map<unknown, Seen[]>();
        const keys = range(200).map((i) => i % 5);
        const numbers = keys.map(() => n++);
        for await (const { index, input, value, error } of pool.stream([keys, numbers], { affinity, chunkSize })) {
          assert.equal(error, undefined);
          seen.set(input[0], [...(seen.get(input[0]) ?? []), { index, place: String(value) }]);
        }
        assertInOrder(seen);
        assert.deepEqual([...seen.keys()].sort(), range(5));
        for (const each of seen.values()) assert.deepEqual([each.length, placesOf(each).size], [40, 1]);
      }
    });

    test('find another when theirs dies, and nothing is lost or overtaken', async (t) => {
      for (const chunkSize of [1, 8]) {
        const pool = new Pool(at('killOn'), { maxCrashes: 2 });
        t.after(() => pool.terminate());
        for (let i = 0; i < 3; i++) pool.addWorker(type, place(type));
        const keys = range(40).map((i) => (i === 17 ? 'deadly' : i % 4));
        const options = { chunkSize, affinity: ([key]: readonly unknown[]) => (key === 'deadly' ? 1 : key) };
        const seen: Seen[][] = [[], [], [], []];
        for await (const { index, value, error } of pool.stream([keys, () => 'deadly'], options)) {
          const name = (error as Error | undefined)?.name;
          seen[index % 4]?.push({ index, place: name ?? String(value) });
        }
        assertInOrder(new Map(seen.entries()));
        assert.equal(seen.flat().length, 40);
        assert.equal(seen[1]?.find(({ index }) => index === 17)?.place, 'PoisonedInputError');
        // At home before, at home behind: it has cost two workers.
        assert.equal(placesOf(seen[1]?.slice(0, 4)).size, 1);
        assert.equal(placesOf(seen[1]?.slice(5)).size, 1);
        assert.equal(placesOf(seen[1]).size, 3);
        await pool.close();
      }
    });
  });
}

describe('keys', () => {
  test('that are new go to whoever is free', async (t) => {
    const pool = makePool(t, 'inOrder', ['thread', 'thread', 'thread']);
    const seen = await homes(pool, ['a', 'b', 'c', 'a', 'b', 'c']);
    assert.equal(new Set([...seen.values()].flatMap((each) => [...placesOf(each)])).size, 3);
  });

  test('with many inputs hold back neither others nor the source for ever, and take no more of it than is bounded', async (t) => {
    const pool = makePool(t, 'inOrder', ['thread', 'thread']);
    const seen = await homes(pool, [...new Array(1_000).fill('a'), 'b', 'b', ...new Array(500).fill('a'), 'b']);
    assertInOrder(seen);
    assert.deepEqual([seen.get('a')?.length, seen.get('b')?.length], [1_500, 3]);
    assert.deepEqual([placesOf(seen.get('a')).size, placesOf(seen.get('b')).size], [1, 1]);
    let taken = 0;
    function* endless(): Generator<string> {
      for (; ; taken++) yield 'c';
    }
    let read = 0;
    for await (const _ of pool.imapUnordered(endless(), { affinity })) if (++read === 10) break;
    assert.ok(taken < 300, `${taken} inputs were taken`);
  });

  test('that are undefined bind nothing, and NaN is one', async (t) => {
    const pool = makePool(t, 'inOrder', ['thread', 'thread']);
    const seen = await homes(
      pool,
      range(20).map((i) => (i < 10 ? undefined : Number.NaN)),
    );
    assert.deepEqual([seen.get(undefined)?.length, placesOf(seen.get(Number.NaN)).size], [10, 1]);
  });

  test('go where enqueueFn lets them', async (t) => {
    const pool = makePool(t, 'where', ['thread', 'thread']);
    const enqueueFn = (worker: { userId: unknown }, [x]: readonly unknown[]): boolean =>
      worker.userId === Number(x) % 2;
    for (const chunkSize of [1, 4]) {
      const tids = await pool.map<[number, number]>(range(40), {
        chunkSize,
        affinity: ([x]) => Number(x) % 4,
        enqueueFn,
      });
      const places = pool.workers.map(({ tid }) => tid);
      assert.deepEqual(
        tids.map(([, tid]) => places.indexOf(tid)),
        range(40).map((x) => x % 2),
      );
    }
    // Its home, the first worker, takes it no more.
    const contrary = pool.map([0, 1, 2], { affinity: () => 'one', enqueueFn });
    await assert.rejects(contrary, (error: PoolError) => {
      assert.ok(error instanceof PoolError);
      assert.match(error.message, /enqueueFn keeps an input/);
      return true;
    });
    const never = pool.map([0, 1, 2, 3], { affinity: ([x]) => Number(x) % 2, enqueueFn: (_, [x]) => x !== 1 });
    await assert.rejects(never, /enqueueFn keeps an input/);
  });

  test('follow workers that have had their share', async (t) => {
    const pool = makePool(t, 'inOrder', ['process', 'process'], { maxTasks: 3 });
    for (const chunkSize of [1, 5]) {
      const [each] = [...(await homes(pool, new Array(9).fill('a'), { chunkSize })).values()];
      assertInOrder(new Map([['a', each ?? []]]));
      assert.equal(each?.length, 9);
    }
    const own = new Pool(at('inOrder'), { type: 'thread', maxWorkers: 3, maxAge: 1 });
    t.after(() => own.terminate());
    const seen = await homes(
      own,
      range(12).map((i) => i % 3),
      { chunkSize: 4 },
    );
    assertInOrder(seen);
    assert.equal([...seen.values()].flat().length, 12);
  });

  test('come from a slow source too', async (t) => {
    const pool = makePool(t, 'inOrder', ['thread', 'thread']);
    async function* letters(): AsyncGenerator<string> {
      for (const letter of 'abcabcabc') {
        await new Promise(setImmediate);
        yield letter;
      }
    }
    const places = await pool.run<unknown>([letters(), range(9)], { affinity });
    const [a, b, c] = places.map(String);
    assert.deepEqual(places.map(String), [a, b, c, a, b, c, a, b, c]);
  });

  test('that cannot be told fail the run', async (t) => {
    const pool = makePool(t, 'where', ['thread']);
    const broken = (): never => {
      throw new TypeError('no key');
    };
    await assert.rejects(pool.map([1, 2], { affinity: broken }), { name: 'TypeError', message: 'no key' });
    for (const name of ['affinity', 'enqueueFn', 'workerCallback']) {
      const bad = { [name]: 'key' } as PoolRunOptions;
      await assert.rejects(pool.map([1], bad), { code: 'ERR_BOSUN_INVALID_ARGUMENT' });
    }
  });
});
