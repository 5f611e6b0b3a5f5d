// A thread and its port: what is left when everything but the transport is taken away.

import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

const SCRIPT = fileURLToPath(new URL('./message-channel-worker.mjs', import.meta.url));

export async function start(workers) {
  const threads = await Promise.all(Array.from({ length: workers }, makeThread));
  let next = 0;
  const pick = () => threads[next++ % workers];
  return {
    call: (name, input) => pick().call(name, input, []),
    move: (name, buffer) => pick().call(name, buffer, [buffer]),
    async end() {
      await Promise.all(threads.map(({ thread }) => thread.terminate()));
    },
  };
}

async function makeThread() {
  const thread = new Worker(SCRIPT);
  await once(thread, 'message');
  // Answers come in order, so they carry no id.
  const waiting = [];
  thread.on('message', (value) => waiting.shift()(value));
  return {
    thread,
    call(name, input, transferList) {
      return new Promise((resolve) => {
        waiting.push(resolve);
        thread.postMessage([name, input], transferList);
      });
    },
  };
}
