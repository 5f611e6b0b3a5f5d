// One local worker of a manager: its process, its socket, and what it left behind.

import { closeSync, mkdirSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { ExitDetails } from '../errors.js';
import { type NativeDispatcher, native } from '../native.js';
import type { WorkerConfiguration } from '../runtime/configuration.js';
import type { WorkerId } from '../task/context.js';
import { encodePayload } from '../wire/payload.js';
import { ProcessWorker } from '../worker/process-worker.js';
import type { ManagerSettings } from './options.js';

/** A task that was running when its worker died. */
export interface LostTask {
  readonly slot: number;
  readonly ticket: number;
  readonly id: number;
  readonly name: string | undefined;
  readonly level: number;
}

/** After its exit a worker's socket is read for at most this long; bytes in it still count. */
const READ_AFTER_EXIT_MS = 200;

/** A process that has closed its socket but does not end is of no use to anybody. */
const EXIT_AFTER_EOF_MS = 1_000;

export class Member {
  readonly worker: WorkerId;
  readonly connection: number;
  readonly life: ProcessWorker;
  readonly startedAt = performance.now();
  /** What the worker says. */
  readonly socket: Socket;
  readonly #writer: Socket;
  /** To be settled when the exit is known. */
  readonly lost: LostTask[] = [];
  /** What its set-up threw. */
  startError: unknown;
  /** Known from the end of its connection on. */
  tasksEnded = 0;
  /** True from its report that it is set up. */
  wasReady = false;
  /** Resolves when the process has exited and every byte of its socket was taken. */
  readonly gone: Promise<ExitDetails>;

  /** Starts it. @throws the system's error when there are no descriptors left. */
  constructor(worker: WorkerId, dispatcher: NativeDispatcher, settings: ManagerSettings) {
    this.worker = worker;
    const [connection, reader, writer, childEnd, page] = dispatcher.open(worker);
    this.connection = connection;
    // Two sockets over one connection: a worker that is gone makes writing fail, and what it had sent is still to be read.
    this.socket = new Socket({ fd: reader, readable: true, writable: false });
    this.#writer = new Socket({ fd: writer, readable: false, writable: true });
    for (const socket of [this.socket, this.#writer]) {
      socket.unref();
      // A dead peer is the end of the stream, however the system puts it.
      socket.on('error', () => {});
    }
    let log: number | undefined;
    try {
      if (settings.logDirectory !== undefined) log = openLog(settings.logDirectory, worker);
      this.life = new ProcessWorker({
        descriptors: [childEnd, page],
        stdout: log ?? (settings.stdoutToStderr ? 2 : 1),
        stderr: log ?? 2,
        execArgv: settings.execArgv,
        env: settings.env,
      });
    } catch (error) {
      this.destroy();
      dispatcher.disconnect(connection);
      throw error;
    } finally {
      // The child has its own copies; with ours open its death would never be seen as the end of the stream.
      native.closeDescriptor(childEnd);
      native.closeDescriptor(page);
      if (log !== undefined) closeSync(log);
    }
    this.gone = this.#watchEnd();
    const configuration: WorkerConfiguration = {
      worker,
      levels: settings.levels,
      maxFrameBytes: settings.maxFrameBytes,
      logFile: log !== undefined,
      ...(settings.setup !== undefined && { setup: settings.setup }),
    };
    dispatcher.sendHello(connection, encodePayload(configuration));
  }

  write(bytes: Buffer): void {
    // The worker may have gone between the dispatch and this; its tasks are accounted for at its end.
    if (this.#writer.writable) this.#writer.write(bytes);
  }

  /** Ends the connection at once, whatever is left to read. */
  destroy(): void {
    this.socket.destroy();
    this.#writer.destroy();
  }

  async #watchEnd(): Promise<ExitDetails> {
    const { life, socket } = this;
    let timer: NodeJS.Timeout | undefined;
    const closed = new Promise<void>((resolve) => {
      socket.once('close', () => {
        resolve();
        this.#writer.destroy();
        if (life.state !== 'dead') timer = setTimeout(() => void life.kill(), EXIT_AFTER_EOF_MS);
      });
    });
    const exit = await life.exited;
    clearTimeout(timer);
    timer = setTimeout(() => this.destroy(), READ_AFTER_EXIT_MS);
    await closed;
    clearTimeout(timer);
    return exit;
  }
}

function openLog(directory: string, worker: WorkerId): number {
  mkdirSync(directory, { recursive: true });
  return openSync(join(directory, `worker-${worker}.log`), 'a');
}
