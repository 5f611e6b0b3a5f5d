// Datagrams between peers: who gets what, from whom, and what becomes of it when there is no room or nobody.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import {
  AddressInUseError,
  type BosunError,
  type GramSource,
  InvalidArgumentError,
  Peer,
  PeerAbsentError,
  type PeerOptions,
  SizeError,
} from '../lib/index.js';
import { temporaryFolder } from './fixtures/command.js';

const PROGRAM = fileURLToPath(new URL('./fixtures/peer-program.js', import.meta.url));
const skip = process.platform === 'win32' && 'Windows has no Unix datagram sockets';

async function openPeer(t: TestContext, options?: PeerOptions): Promise<Peer> {
  const peer = new Peer(options);
  t.after(() => peer.close());
  await peer.open();
  return peer;
}

const addressOf = (peer: Peer) => peer.path as string;

/** Some have been rejected, and all of those because nobody is there any more. */
async function assertSomeAbsent(sends: Promise<PromiseSettledResult<void>[]>): Promise<void> {
  const refused = (await sends).filter(({ status }) => status === 'rejected');
  assert.ok(refused.length > 0);
  for (const outcome of refused) {
    assert.ok(outcome.status === 'rejected' && outcome.reason instanceof PeerAbsentError);
  }
}

async function nextGram(peer: Peer): Promise<[Buffer, GramSource]> {
  return (await once(peer, 'gram')) as [Buffer, GramSource];
}

describe('Peer', { skip }, () => {
  test('three of them reach each other, and themselves', async (t) => {
    const directory = temporaryFolder(t);
    const peers = await Promise.all(['a', 'b', 'c'].map((name) => openPeer(t, { name, directory })));
    for (const from of peers) {
      for (const to of peers) {
        const got = nextGram(to);
        await from.send(`${from.name} to ${to.name}`, addressOf(to));
        const [data, source] = await got;
        assert.equal(data.toString(), `${from.name} to ${to.name}`);
        assert.equal(source.path, join(directory, `${from.name}.uxd`));
        if (process.platform !== 'linux') continue;
        assert.deepEqual([source.pid, source.uid], [process.pid, process.getuid?.()]);
      }
    }
  });

  test('carries nothing at all, and as much as there may be', async (t) => {
    const peer = await openPeer(t);
    for (const length of [0, 1, 65_535]) {
      const got = nextGram(peer);
      await peer.send(Buffer.alloc(length, 7), addressOf(peer));
      assert.deepEqual((await got)[0], Buffer.alloc(length, 7));
    }
    await assert.rejects(peer.send(Buffer.alloc(65_536), addressOf(peer)), SizeError);
  });

  test('has a directory of its own, closed to others, which goes with it', async (t) => {
    const peer = await openPeer(t);
    const directory = dirname(addressOf(peer));
    assert.equal(statSync(directory).mode & 0o777, 0o700);
    await peer.close();
    assert.equal(existsSync(directory), false);
    assert.equal(peer.isOpen, false);
    await peer.open();
    assert.equal(existsSync(addressOf(peer)), true);
  });

  test('takes the place of one that is gone, and of nobody else', async (t) => {
    const directory = temporaryFolder(t);
    const path = join(directory, 'one.uxd');
    const child = spawn(process.execPath, [PROGRAM, 'wait', path], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    await assert.rejects(new Peer({ path }).open(), AddressInUseError);
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal(existsSync(path), true);
    const peer = await openPeer(t, { path });
    await peer.close();
    assert.deepEqual(readdirSync(directory), []);

    writeFileSync(path, 'mine');
    await assert.rejects(new Peer({ path }).open(), AddressInUseError);
    assert.equal(existsSync(path), true);
  });

  test('refuses, before anything is made, what can be no address', async (t) => {
    const directory = temporaryFolder(t);
    for (const options of [{ path: 'relative' }, { path: '/a\0b' }, { name: 'a/b' }, { name: '' }, { nonsense: 1 }]) {
      assert.throws(() => new Peer(options as PeerOptions), InvalidArgumentError, JSON.stringify(options));
    }
    assert.throws(() => new Peer({ path: '/a', directory: '/b' }), InvalidArgumentError);
    assert.throws(() => new Peer({ bc: 0 }), RangeError);
    const longest = join(directory, 'x'.repeat((process.platform === 'darwin' ? 103 : 107) - directory.length - 1));
    await openPeer(t, { path: longest });
    assert.throws(() => new Peer({ path: `${longest}x` }), SizeError);
    // In bytes.
    assert.throws(() => new Peer({ path: `${longest.slice(0, -1)}\u00e9` }), SizeError);
    const open = join(directory, 'open');
    mkdirSync(open);
    chmodSync(open, 0o755);
    await assert.rejects(new Peer({ directory: open }).open(), InvalidArgumentError);
  });

  test('says that nobody is there, or nobody any more', async (t) => {
    const directory = temporaryFolder(t);
    const [one, other] = await Promise.all(['one', 'other'].map((name) => openPeer(t, { name, directory })));
    const path = addressOf(other as Peer);
    await (other as Peer).close();
    await assert.rejects((one as Peer).send('x', path), PeerAbsentError);
    await assert.rejects((one as Peer).send('x', join(directory, 'never')), PeerAbsentError);
    await assert.rejects((other as Peer).send('x', path), (error: BosunError) => error.code === 'ERR_BOSUN_PEER');
  });

  test('waits for a slow reader: all that was sent arrives, in order', async (t) => {
    const directory = temporaryFolder(t);
    const [from, to] = (await Promise.all(['from', 'to'].map((name) => openPeer(t, { name, directory })))) as [
      Peer,
      Peer,
    ];
    const count = 2_000;
    to.pause();
    let sent = 0;
    const all = Array.from({ length: count }, async (_, i) => {
      const gram = Buffer.alloc(20_000, i);
      gram.writeUInt32LE(i);
      await from.send(gram, addressOf(to));
      sent += 1;
    });
    // What there is room for is sent within the call, and no more of it before something is read.
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(sent > 0 && sent < 200, `${sent} were sent with nobody who reads`);
    let next = 0;
    const read = new Promise<void>((resolve) => {
      to.on('gram', (gram) => {
        assert.equal(gram.readUInt32LE(), next);
        assert.equal(gram.length, 20_000);
        next += 1;
        if (next === count) resolve();
      });
    });
    to.resume();
    await Promise.all([read, ...all]);
    assert.equal(sent, count);
  });

  test('many that wait for one reader all get their turn', async (t) => {
    const reader = await openPeer(t, { name: 'reader' });
    reader.pause();
    const senders = await Promise.all(Array.from({ length: 6 }, (_, i) => openPeer(t, { name: `sender${i}` })));
    const counts = new Map<string, number>();
    const all = senders.map(async (sender) => {
      const sent = Array.from({ length: 100 }, (_, i) => sender.send(String(i), addressOf(reader)));
      await Promise.all(sent);
    });
    reader.on('gram', (data, { path }) => {
      // Each one's in order.
      assert.equal(Number(data), counts.get(path) ?? 0);
      counts.set(path, Number(data) + 1);
    });
    reader.resume();
    await Promise.all(all);
    while ([...counts.values()].reduce((sum, count) => sum + count, 0) < 600) await once(reader, 'gram');
    assert.deepEqual(new Set(counts.values()), new Set([100]));
  });

  test('one destination that reads nothing holds up no other', async (t) => {
    const directory = temporaryFolder(t);
    const peers = await Promise.all(['from', 'stuck', 'quick'].map((name) => openPeer(t, { name, directory })));
    const [from, stuck, quick] = peers as [Peer, Peer, Peer];
    stuck.pause();
    const held = Array.from({ length: 100 }, () => from.send(Buffer.alloc(4_096), addressOf(stuck)));
    const outcomes = Promise.allSettled(held);
    let got = 0;
    quick.on('gram', () => got++);
    for (let i = 0; i < 1_000; i++) await from.send('x', addressOf(quick));
    while (got < 1_000) await once(quick, 'gram');
    // The system may have taken a few of those.
    await from.close();
    await assertSomeAbsent(outcomes);
  });

  test('what waits for a peer that goes is rejected', async (t) => {
    const directory = temporaryFolder(t);
    const [from, to] = (await Promise.all(['from', 'to'].map((name) => openPeer(t, { name, directory })))) as [
      Peer,
      Peer,
    ];
    to.pause();
    const all = Promise.allSettled(Array.from({ length: 100 }, () => from.send('x', addressOf(to))));
    await to.close();
    await assertSomeAbsent(all);
  });

  test('keeps a process up, unless it is told not to; nothing is left behind when that ends', async (t) => {
    const path = join(temporaryFolder(t), 'one.uxd');
    const child = spawn(process.execPath, [PROGRAM, 'unref', path], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [code] = (await once(child, 'exit')) as [number];
    assert.equal(code, 0);
    assert.equal(existsSync(path), false);
  });

  test('in a thread that is terminated leaves nothing behind, ten times', async (t) => {
    const path = join(temporaryFolder(t), 'one.uxd');
    for (let i = 0; i < 10; i++) {
      const thread = new Worker(PROGRAM, { argv: ['flood', path], stdout: true });
      await once(thread.stdout, 'data');
      await thread.terminate();
      assert.equal(existsSync(path), false);
    }
  });
});
