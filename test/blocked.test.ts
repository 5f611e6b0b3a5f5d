// A manager whose event loop is blocked: its workers go on. What they did is read from a file while nothing turns here;
// a block ends when they have demonstrably done it, or when patience ends, and then the test has failed.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { TimeoutError, WorkerLostError } from '../lib/index.js';
import { type Block, blockUntil, makeJournal } from './fixtures/journal.js';
import { drained, makeManager } from './fixtures/scene.js';

const MODULE = new URL('./fixtures/blocked-tasks.js', import.meta.url);
const target = (name: string) => ({ module: MODULE, export: name });
const LIMIT = { timeout: 60_000 };
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

/** Each number once, in whatever order it came. */
function assertEachOnce(names: readonly string[], count: number): void {
  assert.deepEqual(
    names.map(Number).sort((a, b) => a - b),
    numbers(count),
  );
}

describe('while the event loop is blocked', () => {
  for (const how of ['asleep', 'in a busy loop'] satisfies Block[]) {
    test(`(${how}) nearly all of 1 000 queued tasks are run by 2 workers`, LIMIT, async (t) => {
      const count = 1_000;
      const manager = makeManager(t, { workers: 2, minWorkers: 2 });
      const journal = await makeJournal(t);
      await manager.ready();
      const tasks = numbers(count).map((i) => manager.run(target('step'), [journal.file, i, 1]));
      // The last of them are handed over when the caller lets go of the thread.
      await turn();
      const ended = () => journal.entries('end').length;
      const before = ended();
      assert.ok(before < count / 2, 'they were run before anything was blocked');
      const enough = before + Math.ceil((count - before) * 0.95);
      const isDone = blockUntil(ended, enough, how);
      const during = ended() - before;
      assert.ok(isDone, `${during} of ${count - before} tasks were run meanwhile`);
      assert.deepEqual(await Promise.all(tasks), numbers(count));
      const entries = journal.entries('end');
      assertEachOnce(
        entries.map(({ name }) => name),
        count,
      );
      assert.equal(new Set(entries.map(({ pid }) => pid)).size, 2);
      const { accepted, done, failed, cancelled } = manager.stats().tasks;
      assert.deepEqual([accepted, done, failed, cancelled], [count, count, 0, 0]);
    });
  }

  test('tasks that a worker schedules are run, by all workers', LIMIT, async (t) => {
    const count = 500;
    const manager = makeManager(t, { workers: 2, minWorkers: 2 });
    const journal = await makeJournal(t);
    await manager.ready();
    const parent = manager.run(target('scheduleSteps'), [journal.file, journal.gate, count, 1]);
    await turn();
    assert.equal(manager.stats().tasks.accepted, 1);
    journal.open();
    const isDone = blockUntil(() => journal.entries('end').length, count);
    const entries = journal.entries('end');
    assert.ok(isDone, `${entries.length} of ${count} were run meanwhile`);
    assertEachOnce(
      entries.map(({ name }) => name),
      count,
    );
    assert.equal(new Set(entries.map(({ pid }) => pid)).size, 2);
    await parent;
    await drained(manager);
    assert.equal(manager.stats().tasks.done, count + 1);
    assert.equal(journal.entries('end').length, count);
  });

  test('what was sent ahead behind a long task is run by a worker that becomes idle', LIMIT, async (t) => {
    const count = 14;
    const manager = makeManager(t, { workers: 2, minWorkers: 2, prefetch: 8 });
    const journal = await makeJournal(t);
    await manager.ready();
    const stop = new AbortController();
    // One worker each; the others are spread behind both.
    const long = manager.run(target('holdUntilStopped'), [journal.file], { signal: stop.signal });
    const hold = manager.run<number>(target('holdUntilOpen'), [journal.file, journal.gate]);
    const others = numbers(count).map((i) => manager.run(target('step'), [journal.file, i, 1]));
    await turn();
    assert.equal(journal.entries('end').length, 0);
    journal.open();
    const isDone = blockUntil(() => journal.entries('end').length, count);
    const entries = journal.entries('end');
    assert.ok(isDone, `${entries.length} of ${count} were run meanwhile`);
    assert.deepEqual(journal.entries('stop'), [], 'the long one was still there');
    stop.abort('enough');
    await assert.rejects(long, (error) => error === 'enough');
    const idle = await hold;
    assert.ok(entries.every(({ pid }) => pid === idle));
    assert.deepEqual(await Promise.all(others), numbers(count));
    assert.equal(journal.entries('end').length, count);
  });

  test('a task that takes too long is told to stop, and its worker goes on with others', LIMIT, async (t) => {
    const manager = makeManager(t, { prefetch: 1 });
    const journal = await makeJournal(t);
    await manager.ready();
    // It counts from the start of the run, and nothing begins before the gate is open.
    const hold = manager.run<number>(target('holdUntilOpen'), [journal.file, journal.gate]);
    const late = manager.run(target('holdUntilStopped'), [journal.file], { timeout: 30 });
    const outcome = late.catch((error: unknown) => error);
    const behind = manager.run(target('step'), [journal.file, 'behind', 0]);
    await turn();
    journal.open();
    const isDone = blockUntil(() => journal.entries('end').length, 1);
    const begun = journal.entries('begin').map(({ name }) => name);
    const stopped = journal.entries('stop').map(({ name }) => name);
    assert.ok(isDone, `begun: ${begun}; told to stop: ${stopped.length > 0}`);
    assert.deepEqual([begun, stopped], [['hold', 'long', 'behind'], ['ERR_BOSUN_TIMEOUT']]);
    const pid = await hold;
    const error = await outcome;
    assert.ok(error instanceof TimeoutError);
    assert.deepEqual([error.pid, error.attempts], [pid, 1]);
    assert.equal(await behind, 'behind');
    const { done, failed } = manager.stats().tasks;
    assert.deepEqual([done, failed], [2, 1]);
  });

  test('a time-out that began before is kept', LIMIT, async (t) => {
    const manager = makeManager(t);
    const journal = await makeJournal(t);
    await manager.ready();
    const late = manager.run(target('holdUntilStopped'), [journal.file], { timeout: 200 });
    const outcome = late.catch((error: unknown) => error);
    await turn();
    const from = process.hrtime.bigint();
    const isDone = blockUntil(() => journal.entries('stop').length, 1);
    const [stop] = journal.entries('stop');
    assert.ok(isDone, 'it was not told to stop');
    assert.ok(stop !== undefined && stop.at > from, 'it was told to stop before anything was blocked');
    assert.equal(stop.name, 'ERR_BOSUN_TIMEOUT');
    assert.ok((await outcome) instanceof TimeoutError);
  });

  for (const [what, retry] of [
    ['fails with a WorkerLostError afterwards', undefined],
    ['is run again afterwards, if its policy says so', { max: 1, backoff: () => 0 }],
  ] as const) {
    test(`a worker dies: others take what it had not begun; what it ran ${what}`, LIMIT, async (t) => {
      const count = 14;
      const manager = makeManager(t, { workers: 2, minWorkers: 2, prefetch: 8 });
      const journal = await makeJournal(t);
      await manager.ready();
      const hold = () => manager.run<number>(target('holdUntilOpen'), [journal.file, journal.gate]);
      const holds = [hold(), hold()];
      const dying = manager.run(target('killFirst'), [journal.file], retry && { retry });
      const outcome = dying.catch((error: unknown) => error);
      const others = numbers(count).map((i) => manager.run(target('step'), [journal.file, i, 1]));
      await turn();
      journal.open();
      const isDone = blockUntil(() => journal.entries('end').length, count);
      const entries = journal.entries('end');
      const [killed] = journal.entries('begin').filter(({ name }) => name === 'kill');
      assert.ok(isDone, `${entries.length} of ${count} were run meanwhile; it died: ${killed !== undefined}`);
      assert.ok(killed !== undefined);
      const pids = await Promise.all(holds);
      const survivor = pids.find((pid) => pid !== killed.pid);
      const afterwards = entries.filter(({ at }) => at > killed.at);
      assert.ok(afterwards.every(({ pid }) => pid === survivor));
      assert.deepEqual(await Promise.all(others), numbers(count));
      const end = await outcome;
      if (retry !== undefined) {
        assert.equal(end, 2);
      } else {
        assert.ok(end instanceof WorkerLostError);
        assert.deepEqual([end.pid, end.exitSignal, end.attempts], [killed.pid, 'SIGKILL', 1]);
      }
      assert.equal(journal.entries('end').length, count);
      const { done, failed, retried } = manager.stats().tasks;
      assert.deepEqual([done, failed, retried], retry ? [count + 3, 0, 1] : [count + 2, 1, 0]);
    });
  }
});
