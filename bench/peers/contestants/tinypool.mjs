import { Tinypool } from 'tinypool';
import { callsOf, TwoLevels } from './two-levels.mjs';

const { queueOptionsSymbol } = Tinypool;

export async function start(workers, { runtime, buffers, priorities }) {
  const pool = new Tinypool({
    runtime,
    filename: new URL('../tasks.mjs', import.meta.url).href,
    minThreads: workers,
    maxThreads: workers,
    // Its processes have no environment unless given.
    ...(runtime === 'child_process' ? { env: process.env } : {}),
    ...(buffers ? { serialization: 'advanced' } : {}),
    ...(priorities ? { taskQueue: new TwoLevels((task) => task[queueOptionsSymbol]?.urgent === true) } : {}),
  });
  return callsOf(pool, queueOptionsSymbol);
}
