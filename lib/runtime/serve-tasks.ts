// A worker of a manager, wherever it runs: set up, at work, at its end.

import { createLogger, redirectConsole } from '../task/log.js';
import { ModuleMap } from '../task/module-map.js';
import type { RunContext } from '../task/run-context.js';
import { createSession } from '../task/session.js';
import { relocateModules } from '../task/target.js';
import { FRAME } from '../wire/frame.js';
import { decodePayload } from '../wire/payload.js';
import type { WorkerConfiguration } from './configuration.js';
import { Forks } from './forks.js';
import type { Link } from './link.js';
import { remoteCodec } from './task-codec.js';
import { TaskLoop } from './task-loop.js';
import { TaskManager } from './task-manager.js';

/** Ends when the manager asks the worker to close, behind the tasks that run then; all that was said is written or on its way. */
export async function serveTasks(link: Link): Promise<void> {
  process.on('exit', () => link.flushSync());
  const configuration = await new Promise<WorkerConfiguration | undefined>((resolve) => {
    link.onHello = (bytes) => resolve(decodePayload(bytes) as WorkerConfiguration);
    link.onClose = () => resolve(undefined);
  });
  if (configuration === undefined) return;
  link.maxFrameBytes = configuration.maxFrameBytes;
  if (configuration.remote !== undefined) {
    const modules = new ModuleMap(configuration.remote.there, configuration.remote.places);
    link.codec = remoteCodec(modules);
    relocateModules((url) => modules.toHere(url));
  }
  const log = createLogger(configuration.logFile);
  if (configuration.logFile) redirectConsole(log);

  const owned = await createSession(configuration.setup).catch((error: unknown) => {
    link.startFailed(link.codec.failure('setup', error));
    process.exitCode = 1;
  });
  if (owned === undefined) return;
  const forks = new Forks(link, configuration.worker);
  const environment = {
    managerOf: (context: RunContext) => new TaskManager(forks, context, configuration),
    progress: (sequence: number, value: unknown) =>
      link.sendNumber(FRAME.PROGRESS, sequence, link.codec.message(value, 'progress')),
    session: owned.session,
    log,
    worker: configuration.worker,
    state: { value: undefined },
    stopReason: (sequence: number, lane: number) => link.stopReason(sequence, lane),
  };
  const loop = new TaskLoop(link, environment, configuration.concurrency);
  link.hello(process.pid);
  await loop.run();
  // The tasks are done and answered; what the user's disposal throws is for the log alone.
  await owned.close().catch((error: unknown) => log.error('closing the session failed:', error));
}
