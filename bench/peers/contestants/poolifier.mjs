import { fileURLToPath } from 'node:url';
import { FixedClusterPool, FixedThreadPool } from 'poolifier';

const SCRIPT = fileURLToPath(new URL('./poolifier-worker.cjs', import.meta.url));

export async function start(workers, { threads, queue, buffers }) {
  const Pool = threads ? FixedThreadPool : FixedClusterPool;
  const pool = new Pool(workers, SCRIPT, {
    enableTasksQueue: queue === true,
    ...(buffers ? { settings: { serialization: 'advanced' } } : {}),
  });
  return { call: (name, input) => pool.execute(input, name), end: () => pool.destroy() };
}
