// Nobody survives a manager's process, however it ends.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ProcessManager } from '../lib/index.js';
import { alive } from './fixtures/alive.js';

const PARENT = fileURLToPath(new URL('./fixtures/orphan-parent.js', import.meta.url));

/** Starts the program and resolves when both workers spin, with the pids of workers and their children. */
async function startParent() {
  const parent = spawn(process.execPath, [PARENT], { stdio: ['ignore', 'pipe', 'inherit'] });
  // The pipe ends when the last process that holds it is gone: workers and their children too.
  const gone = once(parent.stdout, 'end');
  const pids: number[] = [];
  for await (const line of createInterface({ input: parent.stdout })) {
    pids.push(...line.split(' ').map(Number));
    if (pids.length === 4) break;
  }
  parent.stdout.resume();
  return { parent, gone, pids };
}

describe('orphans', () => {
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    test(`a parent ended by ${signal} takes workers in busy loops and their children along`, async () => {
      const { parent, gone, pids } = await startParent();
      assert.equal(pids.length, 4);
      assert.ok(pids.every(alive));
      const ended = once(parent, 'exit');
      parent.kill(signal);
      assert.deepEqual(await ended, [null, signal]);
      await gone;
    });
  }

  test('KILL takes the children of workers along', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'bosun-orphans-'));
    const path = join(directory, 'socket');
    const server = createServer().listen(path);
    const manager = new ProcessManager({ workers: 1 });
    t.after(async () => {
      await manager.close('kill');
      server.close();
      await rm(directory, { recursive: true });
    });
    const connected = once(server, 'connection') as Promise<[Socket]>;
    await manager.run({ module: new URL('./fixtures/tasks.js', import.meta.url), export: 'spawnConnected' }, [path]);
    const [socket] = await connected;
    const gone = once(socket.resume(), 'close');
    await manager.close('kill');
    await gone;
  });
});
