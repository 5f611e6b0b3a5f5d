// bosun run <module> [args...]

import { WorkerException } from '../errors.js';
import type { ExitCode } from './exit-code.js';
import { type CommonOptions, consoleToStderr, Job, progressOf } from './job.js';
import { loadFunction } from './load.js';

export interface RunOptions extends CommonOptions {
  readonly priorityLevels?: number;
}

/** Calls the module's default export with a manager, and prints what its tasks send. @throws UsageError */
export async function run(module: string, args: readonly string[], options: RunOptions): Promise<ExitCode> {
  consoleToStderr();
  const { fn } = await loadFunction(module, 'default');
  const { priorityLevels } = options;
  const job = new Job({
    common: options,
    manager: priorityLevels === undefined ? {} : { priorityLevels },
    summary: 'table',
    view: progressOf(({ accepted }) => accepted),
  });
  return job.end(async () => {
    const finished = (async () => {
      await fn(job.manager, ...args);
    })();
    const reading = (async () => {
      for await (const message of job.manager.everything(finished)) {
        if (message instanceof WorkerException) job.report(message);
        else await job.print(message);
      }
    })();
    // A function that throws ends the command there and then; one that returns leaves its tasks to be read.
    await Promise.race([reading, finished.then(() => reading)]);
  });
}
