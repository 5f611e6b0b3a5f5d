import { fileURLToPath } from 'node:url';
import workerpool from 'workerpool';

const SCRIPT = fileURLToPath(new URL('./workerpool-worker.mjs', import.meta.url));

export async function start(workers, { workerType, buffers }) {
  const pool = workerpool.pool(SCRIPT, {
    workerType,
    minWorkers: workers,
    maxWorkers: workers,
    ...(buffers ? { forkOpts: { serialization: 'advanced' } } : {}),
  });
  return { call: (name, input) => pool.exec(name, [input]), end: () => pool.terminate() };
}
