// Starts what runs behind a local connection: a process or a thread of the manager's own.

import { fstatSync } from 'node:fs';
import { join } from 'node:path';
import { closeDescriptors, native } from '../native.js';
import type { Handover, TaskThreadData } from '../runtime/task-thread.js';
import type { WorkerId } from '../task/context.js';
import { openLogFile } from '../worker/log-file.js';
import { ProcessLife } from '../worker/process-life.js';
import { StderrTail, tailOfFile } from '../worker/stderr-tail.js';
import { ThreadLife } from '../worker/thread-life.js';
import type { WorkerLife } from '../worker/worker-life.js';
import type { Handovers } from './handovers.js';
import type { ManagerSettings } from './options.js';

/** The worker's ends; whoever starts it closes the copies that are left here. */
export type ChildEnds = readonly [socket: number, page: number, lifeline: number];

export interface Started {
  readonly life: WorkerLife;
  /** What it writes to its standard error. */
  readonly stderr?: KeptStderr;
}

export interface KeptStderr {
  /** It writes nothing more. */
  readonly ended: Promise<void>;
  /** The end of it. */
  text(): string;
  close(): void;
}

/** @throws the system's error when there are no descriptors left. */
export function startLocal(
  worker: WorkerId,
  descriptors: ChildEnds,
  settings: ManagerSettings,
  handovers: Handovers,
): Started {
  if (settings.kind === 'thread') return { life: startThread(descriptors, settings, handovers) };
  const { logDirectory, stdoutToStderr, execArgv, env } = settings;
  let kept: KeptStderr | undefined;
  let stderr: number | undefined;
  try {
    [stderr, kept] = logDirectory === undefined ? openTail() : openLog(logDirectory, worker);
    const stdout = logDirectory === undefined ? (stdoutToStderr ? 2 : 1) : stderr;
    const life = new ProcessLife({ main: 'runtime/main', descriptors, stdout, stderr, execArgv, env });
    return { life, stderr: kept };
  } catch (error) {
    kept?.close();
    throw error;
  } finally {
    // The child has its own copies; with ours open its death would never be seen as the end of the stream.
    closeDescriptors(descriptors);
    if (stderr !== undefined) native.closeDescriptor(stderr);
  }
}

function openTail(): [descriptor: number, kept: KeptStderr] {
  const [readEnd, writeEnd] = native.openPipe();
  const tail = new StderrTail(readEnd);
  return [writeEnd, { ended: tail.ended, text: () => tail.text, close: () => tail.close() }];
}

function openLog(directory: string, worker: WorkerId): [descriptor: number, kept: KeptStderr] {
  const path = join(directory, `worker-${worker}.log`);
  const log = openLogFile(path);
  // Where in it this worker begins.
  const start = fstatSync(log).size;
  return [log, { ended: Promise.resolve(), text: () => tailOfFile(path, start), close: () => {} }];
}

/** It makes copies of its own before ours are closed, for a descriptor has no owner but the process. */
function startThread(
  descriptors: ChildEnds,
  { execArgv, env, resourceLimits }: ManagerSettings,
  handovers: Handovers,
): ThreadLife {
  const [socket, page] = descriptors;
  let isClosed = false;
  const close = () => {
    if (isClosed) return;
    isClosed = true;
    closeDescriptors(descriptors);
  };
  try {
    const workerData: TaskThreadData = { socket, page };
    const life = new ThreadLife({ main: 'runtime/task-thread', workerData, execArgv, env, resourceLimits });
    life.thread.unref();
    life.thread.once('message', close);
    life.thread.on('message', (number: unknown) => {
      if (typeof number !== 'number') return;
      const handed = handovers.take(number);
      life.thread.postMessage({ number, values: handed?.values } satisfies Handover, handed?.transferList ?? []);
    });
    life.once('exit', close);
    return life;
  } catch (error) {
    close();
    throw error;
  }
}
