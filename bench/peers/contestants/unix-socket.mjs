// Raw frames on a Unix socket between Node processes: what is left when everything but the transport is taken away.
// A frame is a length (u32, of all that follows), a number for the task (u8) and its input: a number (f64) or bytes. Each
// side collects what it sends during a turn and writes it at once. Answers come in order, so they carry no id.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FrameReader, FrameWriter } from './unix-socket-frames.mjs';

const SCRIPT = fileURLToPath(new URL('./unix-socket-worker.mjs', import.meta.url));

export async function start(workers) {
  const directory = mkdtempSync(join(tmpdir(), 'bosun-bench-'));
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 's');
  const server = createServer().listen(path);
  await once(server, 'listening');
  const peers = [];
  for (let i = 0; i < workers; i++) {
    const child = fork(SCRIPT, [path], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const [socket] = await once(server, 'connection');
    peers.push(connect(child, socket));
  }
  server.close();
  let next = 0;
  return {
    bare: true,
    call: (name, input) => peers[next++ % workers].call(name, input),
    async end() {
      await Promise.all(peers.map((peer) => peer.end()));
    },
  };
}

function connect(child, socket) {
  const writer = new FrameWriter(socket);
  const waiting = [];
  let head = 0;
  const reader = new FrameReader((_name, result) => {
    waiting[head++](result);
    if (head === waiting.length) {
      waiting.length = 0;
      head = 0;
    }
  });
  socket.on('data', (chunk) => reader.push(chunk));
  return {
    call: (name, input) =>
      new Promise((resolve) => {
        waiting.push(resolve);
        writer.add(name, input);
      }),
    async end() {
      const exit = once(child, 'exit');
      socket.end();
      child.disconnect();
      await exit;
    },
  };
}
