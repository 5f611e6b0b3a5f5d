// What a manager tells a worker in its first frame.

import type { TaskPolicy } from '../task/policy.js';
import type { TargetReference } from '../task/target.js';

export interface WorkerConfiguration {
  readonly worker: number;
  readonly levels: number;
  readonly maxFrameBytes: number;
  /** Tasks at once. */
  readonly concurrency: number;
  /** Of tasks that say nothing themselves. */
  readonly policy: TaskPolicy;
  /** Called once before the first task; what it returns is laid onto the session. */
  readonly setup?: TargetReference;
  /** Standard output and error are a log file: give every line a time and a level. */
  readonly logFile: boolean;
}
