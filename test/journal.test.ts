// The journal of a graph: what survives which end.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { type GraphNode, Journal, type JournalEntry, JournalError, type SyncMode } from '../lib/index.js';

// biome-ignore lint/suspicious/noExplicitAny: misuse is what these tests are about
type Misuse = any;

const INVALID = { name: 'InvalidArgumentError', code: 'ERR_BOSUN_INVALID_ARGUMENT' };
const JOURNAL = { name: 'JournalError', code: 'ERR_BOSUN_JOURNAL' };
const WRITER = fileURLToPath(new URL('./fixtures/journal-writer.js', import.meta.url));

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'bosun-journal-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A file with these entries. */
async function written(t: TestContext, entries: readonly JournalEntry[], sync: SyncMode = 'batch'): Promise<string> {
  const file = join(folder(t), 'journal');
  await using journal = await Journal.open(file, { sync });
  for (const entry of entries) void journal.record(entry);
  return file;
}

async function replayed(file: string): Promise<Map<string, JournalEntry>> {
  await using journal = await Journal.open(file);
  return journal.replay();
}

const DONE = (key: string, result?: unknown): JournalEntry => ({ key, state: 'DONE', result });

const node = (id: string, name: string, requires: string[] = [], key?: string): GraphNode => ({
  id,
  name,
  state: 'PENDING',
  requires,
  ...(key !== undefined && { key }),
});

/** A process that writes, and the lines that it says. */
function writer(t: TestContext, ...args: string[]): { child: ChildProcess; lines: AsyncIterator<string> } {
  const child = spawn(process.execPath, [WRITER, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}

describe('Journal', () => {
  test('keeps the last state of each task, its result, error and times', async (t) => {
    const entries: JournalEntry[] = [
      { key: 'a', state: 'RUNNING', startedAt: 1_000, worker: 'worker 1' },
      { key: 'b', state: 'RUNNING', startedAt: 1_001 },
      {
        key: 'a',
        state: 'DONE',
        result: { list: [1, 'zwei', null], map: new Map([[{}, new Date(5)]]) },
        startedAt: 1_000,
        endedAt: 1_250,
        worker: 'worker 1',
      },
      { key: 'b', state: 'FAILED', error: 'Error: no\n    at b\u0000 "é漢😀"', startedAt: 1_001, endedAt: 1_002 },
      { key: '__proto__', state: 'DONE', result: undefined },
      { key: 'c', state: 'DONE', result: Buffer.from([0, 10, 255]) },
      { key: 'd', state: 'CANCELLED', error: '' },
    ];
    for (const sync of ['always', 'batch', 'never'] as const) {
      const file = await written(t, entries, sync);
      const found = await replayed(file);
      assert.deepEqual([...found.keys()], ['a', 'b', '__proto__', 'c', 'd']);
      assert.deepEqual([...found.values()], [entries[2], entries[3], ...entries.slice(4)]);
      assert.ok(Buffer.isBuffer(found.get('c')?.result));
      await using journal = await Journal.open(file);
      assert.deepEqual([...journal.durations()], [['a', 250]]);
      assert.equal(journal.dropped, undefined);
    }
  });

  test('is a file for this user alone, which people can read', async (t) => {
    const file = await written(t, [DONE('compile "a"', 1)]);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    assert.match(lines[0] as string, /^[\da-f]{8} \{"bosun":"journal","version":1\}$/);
    assert.match(lines[1] as string, /^[\da-f]{8} \{"key":"compile \\"a\\"","state":"DONE","result":"\w+==?"\}$/);
    assert.deepEqual(readdirSync(join(file, '..')), ['journal']);
  });

  test('goes on where it ended', async (t) => {
    const file = await written(t, [DONE('a', 1)]);
    for (let i = 0; i < 3; i++) {
      await using journal = await Journal.open(file);
      await journal.record(DONE(`b${i}`, i));
    }
    assert.deepEqual(
      [...(await replayed(file)).values()].map(({ key, result }) => [key, result]),
      [
        ['a', 1],
        ['b0', 0],
        ['b1', 1],
        ['b2', 2],
      ],
    );
  });

  test('cuts off what a crash left half written, wherever that was', async (t) => {
    const file = await written(t, [DONE('a', 'é'), DONE('b', '漢')]);
    const bytes = readFileSync(file);
    const last = bytes.lastIndexOf(0x0a, bytes.length - 2) + 1;
    for (let length = 0; length < bytes.length; length++) {
      writeFileSync(file, bytes.subarray(0, length));
      const whole = length === 0 ? 0 : bytes.lastIndexOf(0x0a, length - 1) + 1;
      await using journal = await Journal.open(file, { sync: 'never' });
      const expected = whole === length ? undefined : { offset: whole, bytes: length - whole };
      assert.deepEqual(journal.dropped, expected, `cut at ${length}`);
      assert.deepEqual([...journal.replay().keys()], whole >= last ? ['a'] : []);
      await journal.record(DONE('c'));
    }
    assert.deepEqual([...(await replayed(file)).keys()], ['a', 'c']);
  });

  test('cuts off garbage at the end, as of blocks that never reached the disk', async (t) => {
    const file = await written(t, [DONE('a')]);
    const { size } = statSync(file);
    for (const garbage of [
      Buffer.alloc(5_000),
      Buffer.from('\n\n'),
      Buffer.from('00000000 {"key":"x"}\nno\n{"half'),
      Buffer.from([0xff, 0x0a, 0xfe]),
    ]) {
      appendFileSync(file, garbage);
      await using journal = await Journal.open(file);
      assert.deepEqual(journal.dropped, { offset: size, bytes: garbage.length });
      assert.equal(statSync(file).size, size);
    }
  });

  test('damage before records that are whole is an error with its place, and changes nothing', async (t) => {
    const file = await written(t, [DONE('a'), DONE('b'), DONE('c')]);
    const bytes = readFileSync(file);
    const from = bytes.indexOf(0x0a) + 1;
    const to = bytes.lastIndexOf(0x0a, bytes.length - 2);
    const property = fc.asyncProperty(
      fc.integer({ min: from, max: to - 1 }),
      fc.integer({ min: 1, max: 255 }),
      async (at, bits) => {
        const damaged = Buffer.from(bytes);
        damaged[at] = (damaged[at] as number) ^ bits;
        writeFileSync(file, damaged);
        const offset = damaged.subarray(0, at).lastIndexOf(0x0a) + 1;
        // A line end that is gone damages the line before it.
        const expected = bytes[at] === 0x0a ? bytes.lastIndexOf(0x0a, at - 1) + 1 : offset;
        await assert.rejects(Journal.open(file), {
          ...JOURNAL,
          file,
          offset: expected,
          message: /damaged at byte \d+.*delete it/,
        });
        assert.deepEqual(readFileSync(file), damaged);
      },
    );
    await fc.assert(property, { numRuns: 60 });
    writeFileSync(file, bytes);
    assert.equal((await replayed(file)).size, 3);
  });

  test('leaves files alone that are no journals', async (t) => {
    const file = join(folder(t), 'package.json');
    for (const text of ['{ "name": "mine" }\n', 'x', '\n', '\0\0\0\0', '3b1b0f3e {"bosun":"journal","version":2}\n']) {
      writeFileSync(file, text);
      await assert.rejects(Journal.open(file), { ...JOURNAL, message: /no journal/ });
      assert.equal(readFileSync(file, 'utf8'), text);
    }
    await assert.rejects(Journal.open(join(file, '..')), JOURNAL);
    await assert.rejects(Journal.open(join(file, '..', 'missing', 'journal')), { ...JOURNAL, message: /ENOENT/ });
    assert.deepEqual(readdirSync(join(file, '..')), ['package.json']);
  });

  test('has one writer at a time, in one process too', async (t) => {
    const file = await written(t, []);
    const { child, lines } = writer(t, file, 'batch', '1000000');
    assert.equal((await lines.next()).value, 'open');
    await assert.rejects(Journal.open(file), { ...JOURNAL, message: new RegExp(`in use by process ${child.pid}$`) });
    child.kill('SIGKILL');
    await once(child, 'exit');
    await using journal = await Journal.open(file);
    await assert.rejects(Journal.open(file), { ...JOURNAL, message: new RegExp(`in use by process ${process.pid}$`) });
    await journal.close();
    await using again = await Journal.open(file);
    assert.equal(again.file, file);
  });

  test('takes over the lock of a process that is gone, not one that it cannot judge', async (t) => {
    const file = await written(t, []);
    const lock = `${file}.lock`;
    const host = hostname();
    // This process was not started when the other one with its number was.
    const gone = [
      { pid: process.pid, host, started: '1', token: 'x' },
      { pid: 2 ** 22 + 1, host, started: '', token: 'x' },
    ];
    for (const holder of gone) {
      writeFileSync(lock, JSON.stringify(holder));
      await (await Journal.open(file)).close();
      assert.deepEqual(readdirSync(join(file, '..')), ['journal']);
    }
    for (const text of ['', JSON.stringify({ ...gone[0], host: `${host}-other` })]) {
      writeFileSync(lock, text);
      await assert.rejects(Journal.open(file), { ...JOURNAL, message: /delete the lock/ });
      assert.equal(readFileSync(lock, 'utf8'), text);
    }
  });

  test('of many that want it at the same time one gets it', async (t) => {
    const file = await written(t, []);
    writeFileSync(`${file}.lock`, JSON.stringify({ pid: 2 ** 22 + 1, host: hostname(), started: '', token: 'x' }));
    const all = await Promise.allSettled(Array.from({ length: 20 }, () => Journal.open(file)));
    const won = all.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
    assert.equal(won.length, 1);
    await won[0]?.close();
    assert.deepEqual(readdirSync(join(file, '..')), ['journal']);
  });

  test('a process that is killed loses nothing that it was told was written', async (t) => {
    for (const sync of ['always', 'batch', 'never'] as const) {
      const file = await written(t, []);
      const { child, lines } = writer(t, file, sync, '1000000', 'x'.repeat(1_000));
      for (let i = 0; i < 100; i++) await lines.next();
      child.kill('SIGKILL');
      let count = 99;
      for (let line = await lines.next(); line.done !== true; line = await lines.next()) {
        count = Math.max(count, Number(/^wrote (\d+)$/.exec(line.value)?.[1] ?? 0) + 1);
      }
      const found = await replayed(file);
      // What was written, and whose telling was cut off, may be there too.
      assert.ok(found.size >= count, `${found.size} of ${count}`);
      assert.ok([...found.values()].every(({ result }) => result === 'x'.repeat(1_000)));
    }
  });

  test('a full disk is told to whoever records, and at the end, and what was written before stays', async (t) => {
    const file = await written(t, []);
    const limited = [
      '-c',
      'ulimit -f 8; exec "$@"',
      'sh',
      process.execPath,
      WRITER,
      file,
      'batch',
      '1000',
      'x'.repeat(100),
    ];
    const child = spawn('sh', limited, { stdio: ['ignore', 'pipe', 'inherit'] });
    t.after(() => child.kill('SIGKILL'));
    const said: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) said.push(line);
    assert.deepEqual(said.slice(-2), ['failed ERR_BOSUN_JOURNAL EFBIG', 'close failed']);
    await using journal = await Journal.open(file);
    assert.equal(journal.dropped, undefined);
    assert.equal(journal.replay().size, said.filter((line) => line.startsWith('wrote')).length);
  });

  test('takes what comes at once in order, while it writes', async (t) => {
    const file = join(folder(t), 'journal');
    const journal = await Journal.open(file);
    const promises = Array.from({ length: 5_000 }, (_, i) => journal.record(DONE(`task ${i}`, i)));
    await promises[0];
    promises.push(journal.record(DONE('late', 'x')));
    await journal.close();
    await Promise.all(promises);
    const keys = [...(await replayed(file)).keys()];
    assert.deepEqual(keys, [...Array.from({ length: 5_000 }, (_, i) => `task ${i}`), 'late']);
  });

  test('a result that cannot be kept is that of its record alone', async (t) => {
    const file = join(folder(t), 'journal');
    const journal = await Journal.open(file);
    const times = { startedAt: 1, endedAt: 11 };
    await assert.rejects(journal.record({ key: 'bad', state: 'DONE', result: { fn() {} }, ...times }), {
      ...JOURNAL,
      message: /the result of 'bad' cannot be kept: .*fn/,
    });
    await journal.record(DONE('good', 1));
    await journal.close();
    const found = await replayed(file);
    const { unkept, ...rest } = found.get('bad') as JournalEntry;
    assert.deepEqual(rest, { key: 'bad', state: 'DONE', ...times });
    assert.match(unkept ?? '', /fn/);
    assert.deepEqual(found.get('good'), DONE('good', 1));
  });

  test('is about one graph, and tells a changed one', async (t) => {
    const file = join(folder(t), 'journal');
    const graph = {
      nodes: [
        node('t1', 'compile'),
        node('t2', 'compile'),
        node('t3', 'bundle', ['t1', 't2']),
        node('t4', 'x', [], 'k'),
      ],
    };
    const keys = [
      ['t1', 'compile'],
      ['t2', 'compile#2'],
      ['t3', 'bundle'],
      ['t4', 'k'],
    ];
    const first = await Journal.open(file);
    assert.deepEqual([...(await first.begin(graph))], keys);
    await first.record({ ...DONE('bundle'), startedAt: 5, endedAt: 8 });
    await first.close();

    await using second = await Journal.open(file);
    // The same graph: other ids, other states, and another name of a task with a key.
    const renamed = { t1: 'n1', t2: 'n2', t3: 'n3', t4: 'n4' };
    const id = (old: string): string => renamed[old as keyof typeof renamed];
    const same = graph.nodes.map((one) => ({
      ...one,
      id: id(one.id),
      requires: one.requires.map(id),
      state: 'DONE' as const,
    }));
    await second.begin({ nodes: same.map((one) => (one.key === undefined ? one : { ...one, name: 'y' })) });
    assert.equal(second.replay().size, 1);
    const others = [
      graph.nodes.slice(1),
      [...graph.nodes, node('t5', 'more')],
      graph.nodes.map((one) => ({ ...one, requires: [] })),
      graph.nodes.map((one) => ({ ...one, name: `${one.name}2` })),
      [{ ...(graph.nodes[0] as GraphNode), requires: ['t4'] }, ...graph.nodes.slice(1)],
    ];
    for (const nodes of others) {
      await assert.rejects(second.begin({ nodes }), { ...JOURNAL, file, message: /another graph.*delete it/ });
    }
    assert.equal(second.replay().size, 1);
    await second.begin({ nodes: others[1] as GraphNode[] }, { ifChanged: 'restart' });
    assert.equal(second.replay().size, 0);
    assert.deepEqual([...second.durations()], [['bundle', 3]]);
    await second.close();
    assert.equal((await replayed(file)).size, 0);
  });

  test('tells tasks apart whatever their names and keys', async (t) => {
    await using journal = await Journal.open(join(folder(t), 'journal'));
    const nodes = [
      node('1', 'a'),
      node('2', 'a#2'),
      node('3', 'a'),
      node('4', 'b', [], 'a#3'),
      node('5', 'a'),
      node('6', 'c', [], 'a#3'),
    ];
    assert.deepEqual(
      [...(await journal.begin({ nodes })).values()],
      ['a', 'a#2', 'a#3#2', 'a#3', 'a#4', 'a#3'].with(2, 'a#4').with(4, 'a#5'),
    );
  });

  test('refuses what is no entry, options that it does not have, and all once it is closed', async (t) => {
    const file = join(folder(t), 'journal');
    for (const options of [null, { sink: 'batch' }, { sync: 'often' }, { sync: true }]) {
      await assert.rejects(Journal.open(file, options as Misuse), INVALID);
    }
    for (const path of [undefined, '', 5, new URL('file:///a')])
      await assert.rejects(Journal.open(path as Misuse), INVALID);
    const journal = await Journal.open(file);
    const { size } = statSync(file);
    const bad: Misuse[] = [
      undefined,
      null,
      {},
      { key: 5, state: 'DONE' },
      { key: 'a' },
      { key: 'a', state: 'done' },
      { key: 'a', state: 'toString' },
      { key: 'a', state: 'DONE', startedAt: 'now' },
      { key: 'a', state: 'DONE', endedAt: Number.NaN },
      { key: 'a', state: 'FAILED', error: new Error('no') },
      { key: 'a', state: 'DONE', worker: 1 },
      { key: 'a', state: 'DONE', value: 1 },
    ];
    for (const entry of bad) assert.throws(() => journal.record(entry), INVALID);
    await assert.rejects(journal.begin({} as Misuse), INVALID);
    await assert.rejects(journal.begin({ nodes: [] }, { ifChanged: 'no' } as Misuse), INVALID);
    assert.equal(journal.replay().size, 0);
    await Promise.all([journal.close(), journal.close()]);
    await assert.rejects(journal.record(DONE('a')), { ...JOURNAL, message: /is closed/ });
    assert.equal(statSync(file).size, size);
    assert.ok(new JournalError('x') instanceof Error);
  });
});
