// One local worker of a manager: its socket, its end, and what it left behind.

import type { LossDetails } from '../errors.js';
import type { NativeDispatcher } from '../native.js';
import type { WorkerConfiguration } from '../runtime/configuration.js';
import type { WorkerId } from '../task/context.js';
import { encodePayload } from '../wire/payload.js';
import { READ_AFTER_EXIT_MS, type WorkerLife } from '../worker/worker-life.js';
import type { LostTask, Runner } from './failures.js';
import { HandLife } from './hand-life.js';
import type { ChildEnds, KeptStderr, Started } from './local-start.js';
import { NetLine } from './net-line.js';
import type { ManagerSettings } from './options.js';

/** A process that has closed its socket but does not end is of no use to anybody. */
const EXIT_AFTER_EOF_MS = 1_000;

/** Whose tasks a worker runs, beside those that any may. */
export interface NamedPlace {
  readonly name: string;
  /** The dispatcher's number for it. */
  readonly place: number;
}

export class Member implements Runner {
  readonly worker: WorkerId;
  readonly connection: number;
  readonly life: WorkerLife;
  /** Of the hand of a crew, which others start and supervise. */
  readonly name: string | undefined;
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
  readonly #stderr: KeptStderr | undefined;

  /** Called when its connection has ended. */
  #onClosed = () => {};

  /**
   * Opens its connection, and starts it.
   *
   * @param start is given the worker's ends, which are its own from then on.
   * @param turn is called when the dispatcher may have something to say.
   * @throws the system's error when there are no descriptors left, and what `start` throws.
   */
  constructor(
    worker: WorkerId,
    dispatcher: NativeDispatcher,
    settings: ManagerSettings,
    start: (ends: ChildEnds) => Started,
    turn: () => void,
    { name, place }: Partial<NamedPlace> = {},
  ) {
    this.worker = worker;
    this.name = name;
    this.#dispatcher = dispatcher;
    const isNative = settings.driver !== 'net';
    const [connection, socket, page, lifeline, parentEnd] = dispatcher.open(worker, isNative, place ?? 0);
    this.connection = connection;
    if (!isNative) this.#line = NetLine.over(dispatcher, connection, parentEnd, turn);
    try {
      const { life, stderr } = start([socket, page, lifeline]);
      this.life = life;
      this.#stderr = stderr;
    } catch (error) {
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
        if (life instanceof HandLife) life.disconnected(this.lost.length > 0);
        if (life.state !== 'dead') timer = setTimeout(() => void life.kill(), EXIT_AFTER_EOF_MS);
      };
    });
    const exit = await life.exited;
    clearTimeout(timer);
    const stderr = this.#stderr;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.destroy();
        turn();
        resolve();
      }, READ_AFTER_EXIT_MS);
    });
    await Promise.all([closed, Promise.race([stderr?.ended, late])]);
    clearTimeout(timer);
    stderr?.close();
    const reason = this.endReason ?? life.failure;
    return { ...exit, reason, stderrTail: stderr?.text() ?? '' };
  }
}
