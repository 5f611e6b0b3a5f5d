// docs/protocol.md keeps what it promises: its examples, byte for byte, and its client.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { ListenAddress, ProcessManager, ProcessManagerOptions } from '../lib/index.js';
import { RawClient } from './fixtures/raw-client.js';
import { watchRefusals } from './fixtures/refusals.js';
import { makeDirectory, makeManager } from './fixtures/scene.js';

const TOKEN = 'correct horse battery staple';
const CLOSE = 0x63;

const text = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');

/** The contents of the fenced blocks of a language. */
function blocks(language: string): string[] {
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter(([, name]) => name === language)
    .map(([, , body]) => body as string);
}

interface Step {
  readonly from: 'C' | 'M';
  bytes: Buffer;
  readonly line: string;
}

/** `C: 6e 00 ...  # comment`, and indented lines that go on with it. */
function stepsOf(session: string): Step[] {
  const steps: Step[] = [];
  for (const line of session.split('\n').filter(Boolean)) {
    const [, from, hex] = /^(?:([CM]):|\s) *((?:[0-9a-f]{2} ?)+)\s*(?:#.*)?$/.exec(line) ?? assert.fail(line);
    const bytes = Buffer.from((hex as string).replaceAll(' ', ''), 'hex');
    if (from !== undefined) steps.push({ from: from as 'C' | 'M', bytes, line });
    else (steps.at(-1) as Step).bytes = Buffer.concat([(steps.at(-1) as Step).bytes, bytes]);
  }
  return steps;
}

async function listening(t: TestContext, options: ProcessManagerOptions = {}): Promise<ProcessManager> {
  const manager = makeManager(t, { workers: 0, listen: { token: TOKEN }, ...options });
  await manager.ready();
  return manager;
}

/** Says what the peer says and compares what the manager answers. */
async function play(t: TestContext, manager: ProcessManager, session: string): Promise<RawClient> {
  const client = await RawClient.connect(t, manager.address as ListenAddress);
  const steps = stepsOf(session);
  assert.ok(steps.length > 2);
  for (const { from, bytes, line } of steps) {
    if (from === 'C') {
      client.write(bytes);
    } else {
      if (bytes[0] === CLOSE) void manager.close('cancel');
      assert.equal((await client.take(bytes.byteLength)).toString('hex'), bytes.toString('hex'), line);
    }
  }
  return client;
}

describe('docs/protocol.md', () => {
  const [session, taskSession] = blocks('session') as [string, string];

  test('shows a session as it is', async (t) => {
    const manager = await listening(t);
    const refusals = watchRefusals(t, manager);
    const message = manager.messages();
    const client = await play(t, manager, session);
    await client.closed;
    assert.deepEqual(refusals.reasons, []);
    assert.equal((await manager.close()).done, 2);
    assert.equal(manager.stats().inbox.received, 1);
    await message.return?.();
  });

  test('shows a task that a worker runs', async (t) => {
    const manager = await listening(t, { workers: 1 });
    const done = once(manager, 'task:done');
    await play(t, manager, taskSession);
    await done;
    assert.deepEqual([manager.stats().tasks.done, manager.stats().tasks.failed], [1, 0]);
  });

  test('shows payloads as they are read', async (t) => {
    const manager = await listening(t);
    const client = await RawClient.connect(t, manager.address as ListenAddress, TOKEN);
    const expected: unknown[] = [];
    for (const line of (blocks('payloads')[0] as string).split('\n').filter(Boolean)) {
      const [hex, value] = line.split('=>') as [string, string];
      assert.equal(await client.ask('m', Buffer.from(hex.replaceAll(' ', ''), 'hex')), 'm:');
      expected.push(JSON.parse(value));
    }
    assert.ok(expected.length >= 5);
    const read: unknown[] = [];
    for await (const message of manager.messages()) read.push(message);
    assert.deepEqual(JSON.parse(JSON.stringify(read)), expected);
  });

  test('has a client in Python that works', async (t) => {
    if (spawnSync('python3', ['--version']).status !== 0) return t.skip('there is no python3 here');
    const file = join(await makeDirectory(t), 'client.py');
    await writeFile(file, blocks('python')[0] as string);
    const manager = await listening(t, { listen: true });
    const boss = await RawClient.connect(t, manager.address as string, manager.token as string);
    for (const word of ['hello', 'world']) assert.equal(await boss.ask(0x81, word), 's:');
    const messages = manager.messages();
    const python = spawn('python3', [file, manager.address as string], { stdio: ['pipe', 'inherit', 'pipe'] });
    let stderr = '';
    python.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk;
    });
    t.after(() => python.kill());
    python.stdin.end(`${manager.token}\n`);
    const exited = once(python, 'exit');
    for (const word of ['HELLO', 'WORLD']) assert.equal(String((await messages.next()).value), word);
    assert.equal((await messages.next()).done, true);
    assert.equal((await manager.close()).done, 2);
    assert.deepEqual(await exited, [0, null], stderr);
  });
});
