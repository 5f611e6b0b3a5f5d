// A worker process: started by its manager, which gives it a socket (3), a status page (4) and a lifeline (5).

import { native } from '../native.js';
import { encodeFailure } from '../wire/failure.js';
import { decodePayload } from '../wire/payload.js';
import type { WorkerConfiguration } from './configuration.js';
import { Link } from './link.js';
import { createLogger, redirectConsole } from './log.js';
import { createSession } from './session.js';
import { completeStderr } from './stderr.js';
import { TaskLoop } from './task-loop.js';
import { WorkerManager } from './worker-manager.js';

const SOCKET = 3;
const PAGE = 4;
const LIFELINE = 5;

// A worker has a process group of its own, but whoever sends SIGINT to all: what becomes of the tasks is the owner's
// decision.
process.on('SIGINT', () => {});

completeStderr();

const guard = new native.ParentGuard(LIFELINE);
const link = new Link(SOCKET, PAGE);

process.on('exit', () => link.flushSync());

const configuration = await new Promise<WorkerConfiguration>((resolve) => {
  link.onHello = (bytes) => resolve(decodePayload(bytes) as WorkerConfiguration);
});

link.maxFrameBytes = configuration.maxFrameBytes;
const log = createLogger(configuration.logFile);
if (configuration.logFile) redirectConsole(log);

const owned = await createSession(configuration.setup).catch((error: unknown) => {
  link.startFailed(encodeFailure('setup', error));
  process.exitCode = 1;
});
if (owned !== undefined) {
  const environment = {
    manager: new WorkerManager(link, configuration),
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
// A task's leftovers, timers and servers of its own, must not keep a worker that was asked to finish.
guard.release();
await link.end();
process.exit();
