// One local worker of a manager: its process, its socket, and what it left behind.

import { fstatSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { LossDetails } from '../errors.js';
import { closeDescriptors, type NativeDispatcher, native } from '../native.js';
import type { WorkerConfiguration } from '../runtime/configuration.js';
import type { Handover, TaskThreadData } from '../runtime/task-thread.js';
import type { WorkerId } from '../task/context.js';
import { encodePayload } from '../wire/payload.js';
import { ProcessLife } from '../worker/process-life.js';
import { StderrTail, tailOfFile } from '../worker/stderr-tail.js';
import { ThreadLife } from '../worker/thread-life.js';
import { READ_AFTER_EXIT_MS, type WorkerLife } from '../worker/worker-life.js';
import type { LostTask, Runner } from './failures.js';
import type { Handovers } from './handovers.js';
import { NetLine } from './net-line.js';
import type { ManagerSettings } from './options.js';

/** A process that has closed its socket but does not end is of no use to anybody. */
const EXIT_AFTER_EOF_MS = 1_000;

export class Member implements Runner {
  readonly worker: WorkerId;
  readonly connection: number;
  readonly life: WorkerLife;
  readonly startedAt = performance.now();
  readonly #dispatcher: NativeDispatcher;
  /** Unless it is driven natively. */
  readonly #line: NetLine | undefined;
  /** To be settled when the exit is known. */
  readonly lost: LostTask[] = [];
  /** What its set-up threw. */
  startError: unknown;
  /** Known from the end of its connection on. */
  tasksEnded = 0;
  /** True from its report that it is set up. */
  wasReady = false;
  /** Why the manager made it end, if it did. */
  endReason: string | undefined;
  /** Resolves when the process has exited and every byte of its socket was taken. */
  readonly gone: Promise<LossDetails>;
  /** What it writes to its standard error, unless that is a log file. */
  #tail: StderrTail | undefined;
  /** Its log file, and where in it this worker began. */
  #log: { readonly path: string; readonly start: number } | undefined;

  /** Called when its connection has ended. */
  #onClosed = () => {};

  /**
   * Starts it.
   *
   * @param turn is called when the dispatcher may have something to say.
   * @throws the system's error when there are no descriptors left.
   */
  constructor(
    worker: WorkerId,
    dispatcher: NativeDispatcher,
    settings: ManagerSettings,
    handovers: Handovers,
    turn: () => void,
  ) {
    this.worker = worker;
    this.#dispatcher = dispatcher;
    const isNative = settings.driver !== 'net';
    const [connection, socket, page, lifeline, parentEnd] = dispatcher.open(worker, isNative);
    const childEnds: ChildEnds = [socket, page, lifeline];
    this.connection = connection;
    if (!isNative) this.#line = NetLine.over(dispatcher, connection, parentEnd, turn);
    try {
      this.life =
        settings.kind === 'thread'
          ? startThread(childEnds, settings, handovers)
          : this.#startProcess(childEnds, settings);
    } catch (error) {
      this.#tail?.close();
      this.destroy();
      dispatcher.hangUp(connection);
      throw error;
    }
    this.gone = this.#watchEnd(turn);
    const configuration: WorkerConfiguration = {
      worker,
      levels: settings.levels,
      maxFrameBytes: settings.maxFrameBytes,
      concurrency: settings.concurrency,
      policy: { ...settings.policy, backoff: undefined },
      logFile: settings.logDirectory !== undefined,
      ...(settings.setup !== undefined && { setup: settings.setup }),
    };
    dispatcher.sendHello(connection, encodePayload(configuration));
  }

  get pid(): number | undefined {
    return this.life.pid;
  }

  write(bytes: Buffer): void {
    this.#line?.write(bytes);
  }

  /** Ends the connection; what has arrived is read before. */
  destroy(): void {
    this.#line?.destroy();
    this.#dispatcher.detach(this.connection);
  }

  /** To be called when the dispatcher says that its connection has ended. */
  closed(tasksEnded: number): void {
    this.tasksEnded = tasksEnded;
    this.#line?.destroy();
    this.#dispatcher.hangUp(this.connection);
    this.#onClosed();
  }

  async #watchEnd(turn: () => void): Promise<LossDetails> {
    const { life } = this;
    let timer: NodeJS.Timeout | undefined;
    const closed = new Promise<void>((resolve) => {
      this.#onClosed = () => {
        resolve();
        if (life.state !== 'dead') timer = setTimeout(() => void life.kill(), EXIT_AFTER_EOF_MS);
      };
    });
    const exit = await life.exited;
    clearTimeout(timer);
    const tail = this.#tail;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.destroy();
        turn();
        resolve();
      }, READ_AFTER_EXIT_MS);
    });
    await Promise.all([closed, Promise.race([tail?.ended, late])]);
    clearTimeout(timer);
    tail?.close();
    const reason = this.endReason ?? life.failure;
    return { ...exit, reason, stderrTail: tail?.text ?? this.#logTail() };
  }

  #startProcess(descriptors: ChildEnds, settings: ManagerSettings): ProcessLife {
    let stderr: number | undefined;
    try {
      stderr = settings.logDirectory === undefined ? this.#openTail() : this.#openLog(settings.logDirectory);
      return new ProcessLife({
        main: 'runtime/main',
        descriptors,
        stdout: settings.logDirectory === undefined ? (settings.stdoutToStderr ? 2 : 1) : stderr,
        stderr,
        execArgv: settings.execArgv,
        env: settings.env,
      });
    } finally {
      // The child has its own copies; with ours open its death would never be seen as the end of the stream.
      closeDescriptors(descriptors);
      if (stderr !== undefined) native.closeDescriptor(stderr);
    }
  }

  #openTail(): number {
    const [readEnd, writeEnd] = native.openPipe();
    this.#tail = new StderrTail(readEnd);
    return writeEnd;
  }

  #openLog(directory: string): number {
    mkdirSync(directory, { recursive: true });
    const path = join(directory, `worker-${this.worker}.log`);
    const log = openSync(path, 'a');
    this.#log = { path, start: fstatSync(log).size };
    return log;
  }

  #logTail(): string {
    return this.#log === undefined ? '' : tailOfFile(this.#log.path, this.#log.start);
  }
}

type ChildEnds = readonly [socket: number, page: number, lifeline: number];

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
