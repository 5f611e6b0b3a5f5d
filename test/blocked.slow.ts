// A manager whose event loop is blocked, and let go, again and again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { WorkerException } from '../lib/index.js';
import { makeJournal, nap } from './fixtures/journal.js';
import { makeManager } from './fixtures/scene.js';

const MODULE = new URL('./fixtures/blocked-tasks.js', import.meta.url);
const target = (name: string) => ({ module: MODULE, export: name });

test('blocked and let go of 1 000 times: each task ends once, as itself', { timeout: 60_000 }, async (t) => {
  const rounds = 1_000;
  const manager = makeManager(t, { workers: 2, minWorkers: 2 });
  const journal = await makeJournal(t);
  const { file } = journal;
  const ends = new Map<number, number>();
  const count = ({ id }: { readonly id: number }) => ends.set(id, (ends.get(id) ?? 0) + 1);
  manager.on('task:done', count);
  manager.on('task:failed', count);
  await manager.ready();
  const messages: unknown[] = [];
  const tasks: Promise<unknown>[] = [];
  let addedUp = 0;
  for (let i = 0; i < rounds; i++) {
    tasks.push(
      manager.run(target('step'), [file, `step-${i}`, (i % 4) / 2]),
      manager.run(target('failWith'), [file, `fail-${i}`]),
      manager.run(target('scheduleAndSend'), [file, i]),
    );
    for (const task of tasks.slice(-3)) task.catch(() => {});
    // Some blocks begin with the tasks handed over, some before that.
    if (i % 2 === 0) await turn();
    const end = performance.now() + 1 + (i % 3);
    if (i % 5 === 0) while (performance.now() < end);
    else nap(1 + (i % 3));
    const { accepted, waiting, sent, held, done, failed, cancelled } = manager.stats().tasks;
    if (accepted === waiting + sent + held + done + failed + cancelled) addedUp += 1;
    await turn();
  }
  for await (const message of manager.messages()) messages.push(message);
  const outcomes = await Promise.allSettled(tasks);
  for (const [i, outcome] of outcomes.entries()) {
    const round = Math.floor(i / 3);
    if (i % 3 === 1) {
      assert.ok(outcome.status === 'rejected' && outcome.reason instanceof WorkerException);
      assert.equal((outcome.reason.cause as Error).message, `fail-${round}`);
    } else {
      assert.deepEqual(outcome, { status: 'fulfilled', value: i % 3 === 0 ? `step-${round}` : round });
    }
  }
  assert.equal(addedUp, rounds);
  // Three tasks a round, and the child of the last of them.
  const names = journal.entries('end').map(({ name }) => name);
  assert.deepEqual([names.length, new Set(names).size], [rounds * 4, rounds * 4]);
  assert.equal(ends.size, rounds * 4);
  assert.ok([...ends.values()].every((times) => times === 1));
  assert.deepEqual(
    messages.map(Number).sort((a, b) => a - b),
    Array.from({ length: rounds }, (_, i) => i),
  );
  const { accepted, waiting, sent, held, done, failed, cancelled } = manager.stats().tasks;
  assert.deepEqual([accepted, waiting, sent, held], [rounds * 4, 0, 0, 0]);
  assert.deepEqual([done, failed, cancelled], [rounds * 3, rounds, 0]);
});
