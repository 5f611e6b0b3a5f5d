// More than anybody takes at once: messages, tasks that tasks schedule, and payloads of every size. BOSUN_FLOOD=1000000
// has the numbers that they are meant for; without it they are such that this is over soon.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { spin } from './fixtures/blocked-tasks.js';
import type { MixedReport } from './fixtures/flood-mixed.js';
import type { StormReport } from './fixtures/flood-storm.js';
import { type Drop, LARGE_AT_ONCE, LARGE_BYTES } from './fixtures/flood-tasks.js';
import { inOwnProcess } from './fixtures/own-process.js';
import { makeManager } from './fixtures/scene.js';

const FLOOD = { module: new URL('./fixtures/flood-tasks.js', import.meta.url), export: 'flood' };
const full = Number(process.env['BOSUN_FLOOD'] ?? 0);
const MIB = 2 ** 20;
const mib = (bytes: number) => `${(bytes / MIB).toFixed(1)} MiB`;

/** What is wrong here hangs. */
const LIMIT = { timeout: full > 0 ? 900_000 : 60_000 };

describe('a flood', () => {
  const senders = 4;

  /** A sender that waits for each message is no flood by itself; there every one of them meets the mark. */
  for (const { ahead, mark, total } of [
    { ahead: 1, mark: 1, total: 10_000 },
    { ahead: 32, mark: 1_000, total: 40_000 },
  ]) {
    const count = Math.ceil((full || total) / senders);

    test(`of awaited messages, ${ahead} of each sender on their way, goes at the reader's pace`, LIMIT, async (t) => {
      const manager = makeManager(t, { workers: senders, minWorkers: senders, inboxHighWaterMark: mark });
      await manager.ready();
      const text = 'x'.repeat(200);
      const sent = Array.from({ length: senders }, (_, i) => manager.run(FLOOD, [i, count, ahead, text]));
      const next = Array.from({ length: senders }, () => 0);
      let [inInbox, unread] = [0, 0];
      let read = 0;
      for await (const message of manager.messages()) {
        const { sender, number } = message as Drop;
        assert.equal(number, next[sender], `of sender ${sender}`);
        (next[sender] as number) += 1;
        read += 1;
        if (read % 10 === 0) {
          const { messages, received } = manager.stats().inbox;
          inInbox = Math.max(inInbox, messages);
          unread = Math.max(unread, received - read);
        }
        spin(0.01);
        if (read % 100 === 0) await turn();
      }
      await Promise.all(sent);
      assert.deepEqual(next, new Array(senders).fill(count));
      const { inbox, tasks } = manager.stats();
      assert.deepEqual([inbox.received, inbox.messages, inbox.discarded], [count * senders, 0, 0]);
      assert.equal(tasks.done, senders);
      t.diagnostic(`at most ${unread} of ${read} were unread, ${inInbox} in the inbox`);
      // Acceptance is withheld above the mark: what was on its way then is all that can come on top of it.
      const most = mark + senders * ahead;
      assert.ok(inInbox <= most, `${inInbox} were in the inbox`);
      // The reader takes its messages from the inbox in blocks of 256 KiB.
      assert.ok(unread <= most + (256 * 1024) / text.length, `${unread} were unread`);
      assert.ok(ahead === 1 || unread > mark, 'it was no flood');
    });
  }

  test('of tasks that tasks schedule is run, each once, and its memory given back', LIMIT, async (t) => {
    const report = await inOwnProcess<StormReport>(t, 'flood-storm', `${full || 20_000}`);
    const { children, runs, drains, tally, rss, peak } = report;
    const [before, ...after] = rss as [number, ...number[]];
    t.diagnostic(`${mib(before)} before, at most ${mib(peak)}, then ${after.map(mib).join(', ')}`);
    // Of each storm: none was run 0 times, all were run once.
    for (const times of runs) assert.deepEqual(times, [0, children]);
    assert.equal(drains, runs.length, 'tasks were left all the time');
    const accepted = runs.length * (children + 4);
    const { waiting, sent, held, done, failed, cancelled } = tally;
    assert.deepEqual([tally.accepted, done], [accepted, accepted]);
    assert.deepEqual([waiting, sent, held, failed, cancelled], [0, 0, 0, 0, 0]);
    // What the first storm needed may be kept for the next ones, if it is not much; these need nothing else.
    const growth = (after.at(-1) as number) - (after.at(-2) as number);
    assert.ok(growth < 16 * MIB, `it grows from storm to storm, by ${mib(growth)}`);
    const kept = Math.max(...after) - before;
    assert.ok(kept <= (peak - before) / 2, `${mib(kept)} of ${mib(peak - before)} were kept`);
  });

  test('of payloads of 16 MiB and of 100 bytes gets through, unharmed', LIMIT, async (t) => {
    const large = full > 0 ? 100 : 10;
    const report = await inOwnProcess<MixedReport>(t, 'flood-mixed', `${large}`);
    const { small, wrong, done, p50, p99, before, peak } = report;
    t.diagnostic(`${small} small ones: p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`);
    t.diagnostic(`at most ${mib(peak)}, ${mib(peak - before)} of it for payloads`);
    assert.deepEqual([report.large, wrong, done], [large, 0, large + small]);
    // Of each that is on its way the argument and the result are here, as values, as frames and half received.
    const copies = 12;
    assert.ok(peak - before < copies * LARGE_AT_ONCE * LARGE_BYTES, `${mib(peak - before)} for ${large} large ones`);
  });
});
