import { FixedQueue, Piscina } from 'piscina';
import { TwoLevels } from './two-levels.mjs';

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
  const urgent = { [queueOptionsSymbol]: { urgent: true } };
  return {
    call: (name, input) => pool.run(input, { name }),
    callUrgent: (name, input) => pool.run(Object.assign(input, urgent), { name }),
    end: () => pool.destroy(),
  };
}
