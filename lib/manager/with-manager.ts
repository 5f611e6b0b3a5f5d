// A manager for the length of a function.

import { ClosePolicy } from './close.js';
import type { ProcessManagerOptions } from './options.js';
import { ProcessManager } from './process-manager.js';

/**
 * Calls `body` with a new manager and closes it: CANCEL when it returns, KILL when it throws. The error of the body is
 * passed on once every worker is gone.
 *
 * @throws what the body throws; bad options as the constructor of ProcessManager.
 */
export async function withManager<T>(
  options: ProcessManagerOptions,
  body: (manager: ProcessManager) => Promise<T> | T,
): Promise<T> {
  const manager = new ProcessManager(options);
  let value: T;
  try {
    value = await body(manager);
  } catch (error) {
    await manager.close(ClosePolicy.KILL);
    throw error;
  }
  await manager.close(ClosePolicy.CANCEL);
  return value;
}
