import { FixedQueue, Piscina } from 'piscina';
import { callsOf, TwoLevels } from './two-levels.mjs';

const { queueOptionsSymbol } = Piscina;

export async function start(workers, { concurrentTasksPerWorker, taskQueue, priorities }) {
  const pool = new Piscina({
    filename: new URL('../tasks.mjs', import.meta.url).href,
    minThreads: workers,
    maxThreads: workers,
    ...(concurrentTasksPerWorker === undefined ? {} : { concurrentTasksPerWorker }),
    ...(taskQueue === 'FixedQueue' ? { taskQueue: new FixedQueue() } : {}),
    ...(priorities ? { taskQueue: new TwoLevels((task) => task[queueOptionsSymbol]?.urgent === true) } : {}),
  });
  return {
    ...callsOf(pool, queueOptionsSymbol),
    move: (name, buffer) => pool.run(buffer, { name, transferList: [buffer] }),
  };
}
