// More memos from another process than a slow reader takes at once: all there, in order, and the sender waits.

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { PeerMemoer } from '../lib/index.js';
import { spin } from './fixtures/blocked-tasks.js';

const PROGRAM = fileURLToPath(new URL('./fixtures/memo-program.js', import.meta.url));
const skip = process.platform === 'win32' && 'Windows has no Unix datagram sockets';
const MIB = 2 ** 20;

describe('a flood of memos', { skip }, () => {
  for (const { count, bytes, unread } of [
    { count: 100_000, bytes: 200, unread: 1_000 },
    { count: 2_000, bytes: 20_000, unread: Math.ceil((16 * MIB) / 20_000) },
  ]) {
    test(`of ${count} with ${bytes} bytes each goes at the reader's pace`, async (t) => {
      const directory = mkdtempSync(join(tmpdir(), 'bosun-memos-'));
      t.after(() => rmSync(directory, { recursive: true, force: true }));
      await using memoer = new PeerMemoer({ name: 'reader', directory });
      await memoer.open();
      const args = ['flood', join(directory, 'sender.uxd'), memoer.path as string, `${count}`, `${bytes}`];
      const child = fork(PROGRAM, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
      t.after(() => child.kill('SIGKILL'));
      const exit = once(child, 'exit');
      let [read, ahead, sender] = [0, 0, 0];
      const rss = process.memoryUsage.rss();
      let most = rss;
      let resolve = () => {};
      const isFull = new Promise<void>((done) => {
        resolve = done;
      });
      child.on('message', (message) => {
        const report = message as { sent: number; rss: number };
        ahead = Math.max(ahead, report.sent - read);
        sender = Math.max(sender, report.rss);
        if (ahead >= unread - 10) resolve();
      });
      await isFull;
      for await (const memo of memoer.memos()) {
        assert.equal(memo.bytes.length, bytes);
        assert.equal(memo.bytes.readUInt32LE(), read);
        read += 1;
        most = Math.max(most, read % 100 === 0 ? process.memoryUsage.rss() : 0);
        spin(count > 10_000 ? 0.01 : 0.5);
        if (read % 10 === 0) await turn();
        if (read === count) break;
      }
      assert.deepEqual(await exit, [0, null]);
      const text = `at most ${ahead} were ahead of the reader, which took ${((most - rss) / MIB).toFixed(0)} MiB more`;
      t.diagnostic(`${text}; the sender had ${(sender / MIB).toFixed(0)} MiB`);
      assert.equal(memoer.droppedMemos, 0);
      // What the system keeps comes on top: eleven grams, or 200 KiB of them.
      assert.ok(ahead < unread + 300, `${ahead} were ahead`);
      // What is unread, and as much again in memory that has not been given back yet.
      assert.ok(most - rss < 96 * MIB, `the reader took ${most - rss} bytes`);
      assert.ok(sender < 160 * MIB, `the sender had ${sender} bytes`);
    });
  }
});
