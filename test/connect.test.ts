// A module's functions as if they were here.

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { connect, Worker, workerOf } from '../lib/index.js';
import { KINDS, useKinds } from './fixtures/worker-kinds.js';

type Targets = typeof import('./fixtures/worker-targets.js');

const MODULE = new URL('./fixtures/worker-targets.js', import.meta.url);
const place = useKinds();

after(() => assert.deepEqual(Worker.activeChildren(), []));

for (const type of KINDS) {
  describe(`connect over a ${type} worker`, () => {
    test('calls the exports of a module, with their types', async () => {
      await using remote = connect<Targets>(MODULE, { type, ...place(type) });
      const square: number = await remote.square(3);
      assert.deepEqual([square, await remote.echo(1, 'x')], [9, [1, 'x']]);
      assert.deepEqual(await Promise.all([1, 2, 3].map((x) => remote.square(x))), [1, 4, 9]);
      await assert.rejects(remote.fail(2), { name: 'RangeError', message: 'x = 2' });
      assert.equal(await remote.square(4), 16);
      assert.equal(remote.square, remote.square);
    });

    test('says what the module does not export, and is terminated with its block', async () => {
      let worker: Worker;
      {
        await using remote = connect<Record<string, () => void>>(MODULE, { type, ...place(type) });
        worker = workerOf(remote);
        const call = (name: string) => (remote[name] as () => Promise<void>)();
        await assert.rejects(call('nothing'), /exports no function 'nothing'; it exports .*square/);
        await assert.rejects(call('constructor'), { code: 'ERR_BOSUN_INVALID_ARGUMENT' });
        assert.equal((await remote) === remote, true);
      }
      assert.equal(worker.isAlive(), false);
    });
  });
}

test('connect refuses misuse', () => {
  assert.throws(() => connect(MODULE, { type: 'coroutine' as never }), { code: 'ERR_BOSUN_INVALID_ARGUMENT' });
  assert.throws(() => workerOf({ [Symbol.asyncDispose]: async () => {} }), { code: 'ERR_BOSUN_INVALID_ARGUMENT' });
});
