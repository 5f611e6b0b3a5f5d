// Memos between peers: whole, in order, each to whom it is for, and none lost.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  type BosunError,
  InvalidArgumentError,
  type Memo,
  type MemoDrop,
  Memoer,
  MemoerError,
  OutOfRangeError,
  Peer,
  PeerAbsentError,
  PeerMemoer,
  type PeerMemoerOptions,
  SizeError,
} from '../lib/index.js';
import { temporaryFolder } from './fixtures/command.js';

const PROGRAM = fileURLToPath(new URL('./fixtures/memo-program.js', import.meta.url));
const skip = process.platform === 'win32' && 'Windows has no Unix datagram sockets';

async function openMemoer(t: TestContext, options?: PeerMemoerOptions): Promise<PeerMemoer> {
  const memoer = new PeerMemoer(options);
  t.after(() => memoer.close());
  await memoer.open();
  return memoer;
}

/** One that reads nothing, or what it is told. */
async function openPeer(t: TestContext): Promise<Peer> {
  const peer = new Peer();
  t.after(() => peer.close());
  await peer.open();
  return peer;
}

const addressOf = ({ path }: Peer | PeerMemoer) => path as string;

async function take(memoer: PeerMemoer, count: number): Promise<Memo[]> {
  const memos: Memo[] = [];
  for await (const memo of memoer.memos()) if (memos.push(memo) === count) break;
  return memos;
}

const texts = (memos: Memo[]) => memos.map(({ text }) => text);

describe('PeerMemoer', { skip }, () => {
  test('carries text and bytes, short, long and empty, to others and to itself', async (t) => {
    const directory = temporaryFolder(t);
    const [one, other] = await Promise.all(['one', 'other'].map((name) => openMemoer(t, { name, directory })));
    const memos = ['', 'hello', 'h\u00e4 \u{1f44b}'.repeat(20_000), Buffer.alloc(3_000_000, 7)];
    for (const to of [one, other] as PeerMemoer[]) {
      for (const memo of memos) {
        const got = once(to, 'memo') as Promise<[Memo]>;
        await (one as PeerMemoer).memoit(memo, addressOf(to));
        const [{ bytes, text, source }] = await got;
        assert.ok(bytes.equals(Buffer.from(memo as string)));
        if (typeof memo === 'string') assert.equal(text, memo);
        assert.equal(source.path, join(directory, 'one.uxd'));
        if (process.platform === 'linux') assert.equal(source.pid, process.pid);
      }
    }
    assert.equal(one?.droppedMemos, 0);
  });

  test('understands headers of both kinds', async (t) => {
    const reader = await openMemoer(t);
    for (const curt of [true, false]) {
      const writer = await openMemoer(t, { curt, size: 40 });
      await writer.memoit('How ya doing, both of you?', addressOf(reader));
    }
    assert.deepEqual(texts(await take(reader, 2)), new Array(2).fill('How ya doing, both of you?'));
  });

  test('keeps the order, long ones among short ones, and lets the caller change its bytes', async (t) => {
    const [one, other] = [await openMemoer(t, { size: 500 }), await openMemoer(t)];
    const memory = Buffer.alloc(200_000);
    const sends = Array.from({ length: 60 }, (_, i) => {
      memory.fill(i);
      return one.memoit(memory.subarray(0, [10, 2_000, 200_000][i % 3]), addressOf(other));
    });
    memory.fill(255);
    const memos = await take(other, 60);
    for (const [i, { bytes }] of memos.entries()) {
      assert.ok(bytes.equals(Buffer.alloc([10, 2_000, 200_000][i % 3] as number, i)), `memo ${i}`);
    }
    await Promise.all(sends);
  });

  test('loses none when there is no room', async (t) => {
    const [one, other] = [await openMemoer(t), await openMemoer(t)];
    const memo = Buffer.alloc(20_000);
    const sends = Array.from({ length: 2_000 }, (_, i) => {
      memo.writeUInt32LE(i);
      return one.memoit(memo, addressOf(other));
    });
    let next = 0;
    for (const { bytes } of await take(other, 2_000)) assert.equal(bytes.readUInt32LE(), next++);
    await Promise.all(sends);
    assert.deepEqual([one.droppedMemos, other.droppedMemos], [0, 0]);
  });

  test('holds up nobody for one that is stuck', async (t) => {
    const [one, quick, stuck] = [await openMemoer(t), await openMemoer(t), await openPeer(t)];
    stuck.pause();
    const held = Promise.allSettled(
      Array.from({ length: 50 }, (_, i) => one.memoit('x'.repeat(i * 1_000), addressOf(stuck))),
    );
    for (let i = 0; i < 200; i++) await one.memoit(`${i}${'x'.repeat((i % 5) * 10_000)}`, addressOf(quick));
    assert.equal((await take(quick, 200)).length, 200);
    await stuck.close();
    const refused = (await held).filter((outcome) => outcome.status === 'rejected');
    assert.ok(refused.length > 0);
    for (const { reason } of refused) assert.ok(reason instanceof PeerAbsentError);
  });

  test('reads no more than somebody takes, so that who sends has to wait', async (t) => {
    for (const [bytes, most, count] of [
      [10, 1_000, 3_000],
      [100_000, 168, 600],
    ] as const) {
      const [one, other] = [await openMemoer(t), await openMemoer(t)];
      let sent = 0;
      const memo = Buffer.alloc(bytes);
      const sending = (async () => {
        for (; sent < count; sent++) await one.memoit(memo, addressOf(other));
      })();
      for (let before = -1, turns = 0; turns < 20; turns = before === sent ? turns + 1 : 0) {
        before = sent;
        await turn();
      }
      // Those that the system keeps for it come on top.
      assert.ok(sent >= most - 5 && sent < most + 400, `${sent} were sent with nobody who reads`);
      await Promise.all([take(other, count), sending]);
    }
  });

  test('has what came for who asks later: listeners, and readers, one at a time', async (t) => {
    const [one, other] = [await openMemoer(t), await openMemoer(t)];
    for (const memo of 'abcdefgh') await one.memoit(memo, addressOf(other));
    assert.deepEqual(texts(await take(other, 2)), ['a', 'b']);
    const reader = other.memos();
    assert.equal((await reader.next()).value?.text, 'c');
    await assert.rejects(other.memos().next(), (error: BosunError) => {
      return error instanceof MemoerError && error.code === 'ERR_BOSUN_MEMOER';
    });
    await reader.return();
    for (const memo of 'defg') assert.equal(((await once(other, 'memo')) as [Memo])[0].text, memo);
    const heard: string[] = [];
    other.on('memo', ({ text }) => heard.push(text));
    assert.deepEqual(texts(await take(other, 1)), ['h']);
    // Both, while somebody reads.
    const next = take(other, 1);
    await one.memoit('i', addressOf(other));
    assert.deepEqual(texts(await next), ['i']);
    assert.deepEqual(heard, ['i']);
  });

  test('lets a reader end when it is closed, behind what has come', async (t) => {
    const [one, other] = [await openMemoer(t), await openMemoer(t)];
    const reader = other.memos();
    const first = reader.next();
    for (const memo of 'ab') await one.memoit(memo, addressOf(other));
    assert.equal((await first).value?.text, 'a');
    assert.equal((await reader.next()).value?.text, 'b');
    const last = reader.next();
    await other.close();
    assert.equal((await last).done, true);
    await assert.rejects(other.memos().next(), MemoerError);
    assert.equal(other.isOpen, false);

    await other.open();
    await one.memoit('c', addressOf(other));
    assert.deepEqual(texts(await take(other, 1)), ['c']);
  });

  test('says why a memo cannot be sent', async (t) => {
    const [one, other] = [await openMemoer(t, { maxMemoBytes: 100_000 }), await openPeer(t)];
    const there = addressOf(other);
    await assert.rejects(one.memoit('x'.repeat(100_001), there), SizeError);
    await assert.rejects(one.memoit(7 as unknown as string, there), InvalidArgumentError);
    await assert.rejects(one.memoit('x', 'relative'), InvalidArgumentError);
    await assert.rejects(one.memoit('x', `${there}s`), PeerAbsentError);
    await assert.rejects(one.memoit('x'.repeat(100_000), `${there}s`), PeerAbsentError);
    await assert.rejects(new PeerMemoer().memoit('x', there), MemoerError);
    other.pause();
    const held = Promise.allSettled(Array.from({ length: 50 }, (_, i) => one.memoit('x'.repeat(i * 2_000), there)));
    await one.close();
    const refused = (await held).filter((outcome) => outcome.status === 'rejected');
    assert.ok(refused.length > 0);
    for (const { reason } of refused) assert.ok(reason instanceof MemoerError);
  });

  test('goes on behind a memo that could not be sent', async (t) => {
    const [one, other] = [await openMemoer(t), await openMemoer(t)];
    const path = addressOf(other);
    await other.close();
    const sends = ['x'.repeat(2_000_000), 'y'].map((memo) => one.memoit(memo, path));
    for (const outcome of await Promise.allSettled(sends)) assert.equal(outcome.status, 'rejected');
    const another = await openMemoer(t, { path: join(temporaryFolder(t), 'another.uxd') });
    await one.memoit('z', addressOf(another));
    assert.deepEqual(texts(await take(another, 1)), ['z']);
  });

  test('refuses options that it does not have', () => {
    for (const options of [{ sise: 40 }, { onDrop: () => {} }, { path: 'relative' }, { name: '' }]) {
      assert.throws(() => new PeerMemoer(options as PeerMemoerOptions), InvalidArgumentError);
    }
    assert.throws(() => new PeerMemoer({ size: 1_000_000 }), OutOfRangeError);
    assert.throws(() => new PeerMemoer({ path: `/${'x'.repeat(200)}` }), SizeError);
  });

  test('drops, and counts, what is no gram, what somebody else puts in, and what is not whole in time', async (t) => {
    const memoer = await openMemoer(t, { expiry: 10 });
    const [one, other] = [await openPeer(t), await openPeer(t)];
    const drops: MemoDrop[] = [];
    memoer.on('drop', (drop) => drops.push(drop));
    const there = addressOf(memoer);
    const [first, second] = [...new Memoer({ size: 38 }).cut('Hello there.')] as [Buffer, Buffer];
    await one.send(first, there);
    await other.send('no gram', there);
    await other.send(second, there);
    await one.send(second, there);
    assert.deepEqual(texts(await take(memoer, 1)), ['Hello there.']);
    const [missing] = [...new Memoer({ size: 38 }).cut('Hello there.')] as [Buffer];
    const dropped = once(memoer, 'drop');
    await one.send(missing, there);
    await dropped;
    assert.deepEqual(
      drops.map(({ reason, source }) => [reason, source.path]),
      [
        ['malformed', addressOf(other)],
        ['foreign', addressOf(other)],
        ['incomplete', addressOf(one)],
      ],
    );
    assert.equal(memoer.droppedMemos, 3);
    assert.deepEqual(memoer.drops, { malformed: 1, foreign: 1, long: 0, crowded: 0, incomplete: 1 });
  });

  test('goes to another process and back; keeps that up, unless it is told not to', async (t) => {
    const directory = temporaryFolder(t);
    const memoer = await openMemoer(t, { directory });
    const path = join(directory, 'other.uxd');
    const child = spawn(process.execPath, [PROGRAM, 'echo', path], { stdio: ['ignore', 'pipe', 'inherit'] });
    t.after(() => child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    for (const memo of ['', 'hello', 'x'.repeat(100_000)]) {
      await memoer.memoit(memo, path);
      const [{ text, source }] = (await take(memoer, 1)) as [Memo];
      assert.equal(text, memo);
      assert.equal(source.path, path);
      if (process.platform === 'linux') assert.equal(source.pid, child.pid);
    }
    const other = spawn(process.execPath, [PROGRAM, 'unref', join(directory, 'third.uxd')], { stdio: 'ignore' });
    assert.deepEqual(await once(other, 'exit'), [0, null]);
  });
});
