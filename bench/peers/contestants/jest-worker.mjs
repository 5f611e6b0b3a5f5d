import { fileURLToPath } from 'node:url';
import { PriorityQueue, Worker } from 'jest-worker';
import { TASKS } from '../tasks.mjs';

const MODULE = fileURLToPath(new URL('../tasks.mjs', import.meta.url));

export async function start(workers, { enableWorkerThreads, priorities }) {
  const pool = new Worker(MODULE, {
    numWorkers: workers,
    exposedMethods: Object.keys(TASKS),
    enableWorkerThreads,
    // Its own queue orders by the name of the method and its arguments; within a level it promises no order.
    ...(priorities ? { taskQueue: new PriorityQueue((_method, input) => (input?.urgent ? 0 : 1)) } : {}),
  });
  return {
    call: (name, input) => pool[name](input),
    callUrgent: (name, input) => pool[name]({ ...input, urgent: true }),
    end: () => pool.end(),
  };
}
