// What a manager tells a worker in its first frame.

import type { ModulePlaces } from '../task/module-map.js';
import type { TaskPolicy } from '../task/policy.js';
import type { TargetReference } from '../task/target.js';

/** The same for one on another host, which knows the rest: plain values only. */
export interface RemoteConfiguration
  extends Pick<WorkerConfiguration, 'worker' | 'levels' | 'maxFrameBytes' | 'concurrency' | 'setup'> {
  readonly policy: Omit<TaskPolicy, 'backoff'>;
  /** The URL of the folder with the manager's modules. */
  readonly there: string;
}

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
  /** Of a worker whose manager is on another host: where its modules are, there (the URL of a folder) and here. */
  readonly remote?: { readonly there: string; readonly places: ModulePlaces };
}
