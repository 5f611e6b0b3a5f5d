// Raw `fork`: no queue, each task goes to the next child in turn.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('./fork-worker.mjs', import.meta.url));

export async function start(workers, { serialization }) {
  const waiting = new Map();
  let next = 0;
  const children = Array.from({ length: workers }, () => {
    const child = fork(SCRIPT, { serialization });
    child.on('message', ({ id, result }) => {
      waiting.get(id)(result);
      waiting.delete(id);
    });
    return child;
  });
  return {
    call: (name, input) =>
      new Promise((resolve) => {
        const id = next++;
        waiting.set(id, resolve);
        children[id % workers].send({ id, name, input });
      }),
    async end() {
      const exits = children.map((child) => once(child, 'exit'));
      for (const child of children) child.disconnect();
      await Promise.all(exits);
    },
  };
}
