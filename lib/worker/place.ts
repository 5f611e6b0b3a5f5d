// Where a Worker runs: a thread of this process, or a process of its own, and the line to it.

import type { ResourceLimits } from 'node:worker_threads';
import { closeDescriptors, type NativeHostPage, native } from '../native.js';
import type { EntryName } from '../package-root.js';
import type { ThreadData } from '../runtime/thread.js';
import { type Connection, connectionOver } from '../wire/connection.js';
import { type Line, PortLine, StreamLine } from '../wire/line.js';
import { ProcessLife, type ProcessLifeOptions } from './process-life.js';
import { StderrTail } from './stderr-tail.js';
import { ThreadLife } from './thread-life.js';
import type { WorkerLife } from './worker-life.js';

export interface PlaceOptions {
  readonly name: string;
  readonly env?: NodeJS.ProcessEnv | undefined;
  readonly execArgv?: readonly string[] | undefined;
  /** Of a thread. */
  readonly resourceLimits?: ResourceLimits | undefined;
}

export interface Place {
  readonly life: WorkerLife;
  readonly line: Line;
  readonly pid: number | undefined;
  readonly tid: number;
  /** What a server is to know it by, if it is on another host. */
  readonly lifeline?: string | undefined;
  /** Tells a target that lets no message in: `checkpoint()` throws from here on. */
  raiseFlag(): void;
}

const STDOUT = 1;
const STDERR = 2;

const FLAG_BYTES = 4;

export interface ProcessOptions extends Omit<PlaceOptions, 'name' | 'resourceLimits'> {
  /** What it runs; the target of a Worker unless given. */
  readonly main?: EntryName;
  /** Its owner is on another host. */
  readonly isForeign?: boolean;
  /** What it prints goes nowhere. */
  readonly isSilent?: boolean;
  /** Where what it prints goes; to where ours does unless given. */
  readonly output?: number | undefined;
  /** More descriptors for it to inherit, from 6 on; the caller closes its own. */
  readonly more?: readonly number[];
}

/** What a process is started with: the ends of a line that its owner keeps, and a way to end it. */
export interface OpenedProcess {
  readonly life: ProcessLife;
  readonly socket: Connection;
  /** What the two share; the first is the flag. */
  readonly words: Int32Array<ArrayBuffer>;
  raiseFlag(): void;
}

/** The process of a manager's worker, for a manager on another host: who starts it stands for that. */
export interface OpenedTaskProcess {
  readonly life: ProcessLife;
  readonly socket: Connection;
  readonly page: NativeHostPage;
  /** What it writes to its standard error. */
  readonly tail: StderrTail;
}

/** Lifelines of processes that live. */
const held = new Set<object>();

/** @throws the system's error when there is no room for another one. */
export function openProcess({
  main = 'runtime/worker',
  isForeign = false,
  isSilent = false,
  output,
  more = [],
  env,
  execArgv,
}: ProcessOptions): OpenedProcess {
  const args = isForeign ? ['--foreign'] : [];
  const stdout = isSilent ? 'ignore' : (output ?? STDOUT);
  const stderr = isSilent ? 'ignore' : (output ?? STDERR);
  const map = (memory: number) => new Int32Array(native.mapShared(memory));
  const { life, socket, shared } = start({ main, args, stdout, stderr, env, execArgv }, map, more);
  return { life, socket, words: shared, raiseFlag: () => void Atomics.store(shared, 0, 1) };
}

/** @throws the system's error when there is no room for another one. */
export function openTaskProcess(): OpenedTaskProcess {
  const [readEnd, stderr] = native.openPipe();
  const tail = new StderrTail(readEnd);
  try {
    const opened = start({ main: 'runtime/main', stdout: STDOUT, stderr }, (memory) => new native.HostPage(memory));
    return { life: opened.life, socket: opened.socket, page: opened.shared, tail };
  } catch (error) {
    tail.close();
    throw error;
  } finally {
    native.closeDescriptor(stderr);
  }
}

type StartOptions = Pick<ProcessLifeOptions, 'main' | 'args' | 'stdout' | 'stderr' | 'env' | 'execArgv'>;

/** @param map maps the memory that the process shares with us. @param more descriptors for it, which stay the caller's. */
function start<T>(
  options: StartOptions,
  map: (memory: number) => T,
  more: readonly number[] = [],
): { readonly life: ProcessLife; readonly socket: Connection; readonly shared: T } {
  const [parentSocket, childEnd, memory, childLifeline, parentLifeline] = native.openLink();
  const descriptors = [childEnd, memory, childLifeline] as const;
  let life: ProcessLife;
  let shared: T;
  try {
    shared = map(memory);
    life = new ProcessLife({ ...options, descriptors: [...descriptors, ...more] });
  } catch (error) {
    native.closeSocket(parentSocket);
    throw error;
  } finally {
    closeDescriptors(descriptors);
  }
  held.add(parentLifeline);
  void life.exited.then(() => held.delete(parentLifeline));
  return { life, socket: connectionOver(parentSocket), shared };
}

export function processPlace(options: PlaceOptions): Place {
  const { life, socket, raiseFlag } = openProcess(options);
  life.ref();
  return { life, line: new StreamLine(socket), pid: life.pid, tid: 0, raiseFlag };
}

export function threadPlace({ name, env, execArgv, resourceLimits }: PlaceOptions): Place {
  const memory = new SharedArrayBuffer(FLAG_BYTES);
  const workerData: ThreadData = { flag: memory };
  const life = new ThreadLife({ workerData, name, env, execArgv, resourceLimits });
  return {
    life,
    line: new PortLine(life.thread),
    pid: process.pid,
    tid: life.tid,
    raiseFlag: () => void Atomics.store(new Int32Array(memory), 0, 1),
  };
}
