// A manager's worker on this host, for a manager on another one: its process, and the relay between the two.

import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { LossDetails } from '../errors.js';
import { ProtocolError } from '../errors.js';
import { MAX_LANES } from '../native.js';
import type { WorkerConfiguration } from '../runtime/configuration.js';
import type { ModulePlaces } from '../task/module-map.js';
import { encodeForeign } from '../wire/foreign.js';
import { DEFAULT_MAX_FRAME_BYTES, encodeFrame, FRAME, type Frame, FrameDecoder, TASK_FIELDS } from '../wire/frame.js';
import { encodePayload } from '../wire/payload.js';
import { tend } from '../wire/tend.js';
import { getU32 } from '../wire/u32.js';
import { within } from '../within.js';
import { type OpenedTaskProcess, openTaskProcess } from '../worker/place.js';
import { READ_AFTER_EXIT_MS } from '../worker/worker-life.js';
import { readConfiguration } from './read-configuration.js';

export interface BridgeSettings {
  readonly places: ModulePlaces;
  readonly maxFrameBytes: number;
  /** Milliseconds that what runs may take when its host ends, and a process that was stopped until it is killed. */
  readonly grace: number;
}

/** How long a manager may take to say what the worker is to be. */
const START_MS = 5_000;

/** How long a manager that is there may take to read what the process has left. */
const FLUSH_MS = 60_000;

/** A process that has closed its socket but does not end is of no use to anybody. */
const EXIT_AFTER_EOF_MS = 1_000;

const CANCEL_FIELDS = 5;
const SIGKILL = 9;
const NOTHING = new Uint8Array(0);

/**
 * The process ends when the link does, and the link behind the process, whose end is told. Frames are passed on as they
 * are; those of the manager are looked at for the page that the process shares with this one: a task that is to stop hears
 * of it inside a synchronous loop as well.
 *
 * What waits here is bounded: the manager sends no more tasks ahead than run at once, and the process is read from at the
 * manager's pace.
 */
export class Bridge {
  readonly #socket: Socket;
  readonly #settings: BridgeSettings;
  readonly #fromManager: FrameDecoder;
  readonly #timer: NodeJS.Timeout;
  readonly #closed: Promise<void>;
  #configuration: WorkerConfiguration | undefined;
  #process: OpenedTaskProcess | undefined;
  #lastSent = 0;
  #isLeaving = false;
  /** Why the process was killed here. */
  #reason: string | undefined;
  #resolveStarted: (isStarted: boolean) => void = () => {};
  /** Whether the manager has said what the worker is to be; false when the link ended before. */
  readonly started = new Promise<boolean>((resolve) => {
    this.#resolveStarted = resolve;
  });
  /** Resolves when neither the link nor the process is there any more. Never rejects. */
  readonly gone: Promise<void>;

  /** @param socket to a manager that knows whom it talks to; what it says is read from now on. */
  constructor(socket: Socket, settings: BridgeSettings) {
    this.#socket = socket;
    this.#settings = settings;
    this.#fromManager = new FrameDecoder({ maxFrameBytes: settings.maxFrameBytes });
    tend(socket);
    socket.on('error', () => {});
    socket.once('end', () => socket.destroySoon());
    this.#timer = setTimeout(() => socket.destroy(), START_MS);
    this.#closed = new Promise((resolve) => {
      socket.once('close', () => {
        clearTimeout(this.#timer);
        this.#resolveStarted(false);
        resolve();
        // Its tasks are given to others as soon as the manager sees the same: they must not go on here.
        void this.#process?.life.kill();
      });
    });
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    this.gone = this.#live();
  }

  /** Asks the manager to let it go: it gets nothing more, and ends behind what runs. */
  leave(): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    if (this.#process === undefined) this.#socket.destroy();
    else this.#say(FRAME.LEAVE, NOTHING);
  }

  /** The same, and by force after `grace`. */
  async stop(): Promise<void> {
    const { grace } = this.#settings;
    const { life } = this.#process ?? {};
    await life?.stop(() => this.leave(), { grace });
    // The manager is told of its end.
    if (life !== undefined) await within(grace, this.gone);
    this.#socket.destroy();
    await this.gone;
  }

  async #live(): Promise<void> {
    try {
      if (!(await this.started) || this.#process === undefined) return;
      const opened = this.#process;
      const exit = await this.#relay(opened);
      this.#say(FRAME.EXIT, encodeForeign(exit));
      this.#socket.end();
      await within(FLUSH_MS, this.#closed);
    } finally {
      this.#socket.destroy();
      await this.#closed;
    }
  }

  // ---- from the manager ---------------------------------------------------------

  #read(chunk: Buffer): void {
    const to = this.#process?.socket;
    to?.cork();
    try {
      for (const frame of this.#fromManager.push(chunk)) this.#onFrame(frame);
    } catch (error) {
      this.#socket.destroy(error as Error);
    } finally {
      to?.uncork();
    }
  }

  /** @throws ProtocolError for what no manager would send; the system's error when there is no room for a process. */
  #onFrame({ type, payload }: Frame): void {
    const { page, life } = this.#process ?? {};
    if (page === undefined || life === undefined) {
      if (type !== FRAME.HELLO) throw new ProtocolError('a manager says first what its worker is to be');
      this.#start(payload);
      return;
    }
    switch (type) {
      case FRAME.TASK:
        this.#countTask(payload);
        page.sent(this.#lastSent);
        break;
      case FRAME.CANCEL:
        if (payload.byteLength < CANCEL_FIELDS) throw new ProtocolError('a request to stop is cut');
        // Beside those that run there may be many that wait for others.
        page.stop(getU32(payload, 0), MAX_LANES, payload[4] as number);
        break;
      case FRAME.CLOSE:
        this.#isLeaving = true;
        if (payload[0] === 1) page.close();
        break;
      case FRAME.ACCEPTED:
      case FRAME.RESULT:
      case FRAME.LETTER:
      case FRAME.PROGRESS:
        break;
      case FRAME.SIGNAL:
        if (payload[0] === SIGKILL) void life.kill();
        else void life.stop(() => {}, { grace: 0 });
        return;
      default:
        throw new ProtocolError('a manager does not say this to a worker');
    }
    this.#tell(type, payload);
  }

  /** Numbers leave no gap, else the process would wait for ever. */
  #countTask(payload: Uint8Array): void {
    const next = (this.#lastSent + 1) >>> 0;
    if (payload.byteLength < TASK_FIELDS || getU32(payload, 0) !== next)
      throw new ProtocolError('a task is out of order');
    this.#lastSent = next;
  }

  #start(payload: Uint8Array): void {
    clearTimeout(this.#timer);
    this.#configuration = readConfiguration(payload, this.#settings.places);
    this.#process = openTaskProcess();
    this.#tell(FRAME.HELLO, encodePayload(this.#configuration));
    this.#resolveStarted(true);
  }

  #tell(type: number, payload: Uint8Array): void {
    const { socket } = this.#process as OpenedTaskProcess;
    if (!socket.destroyed) socket.write(encodeFrame(type, payload));
  }

  // ---- from the process ---------------------------------------------------------

  async #relay({ life, socket, tail }: OpenedTaskProcess): Promise<LossDetails> {
    const { maxFrameBytes = 0 } = this.#configuration ?? {};
    const decoder = new FrameDecoder({ maxFrameBytes: Math.max(maxFrameBytes, DEFAULT_MAX_FRAME_BYTES) });
    let eof: NodeJS.Timeout | undefined;
    const ended = new Promise<void>((resolve) => {
      socket.once('close', () => {
        resolve();
        if (life.state !== 'dead') eof = setTimeout(() => void life.kill(), EXIT_AFTER_EOF_MS);
      });
    });
    socket.on('error', () => {});
    // Only whole frames: a process may be killed while it writes one.
    socket.on('data', (chunk: Buffer) => {
      try {
        this.#pass(decoder.push(chunk), socket);
      } catch {
        // Longer than anything may be; without it nothing that follows makes sense.
        void life.kill();
      }
    });
    const forget = this.#watchSuspension(life);
    // It may be over already: the link may have ended while the process was started.
    if (this.#socket.destroyed) void life.kill();
    const { exitCode, exitSignal } = await life.exited;
    clearTimeout(eof);
    forget();
    // What it has written is there; a manager that reads slowly gets all of it.
    await within(FLUSH_MS, Promise.race([ended, this.#closed]));
    socket.destroy();
    await within(READ_AFTER_EXIT_MS, tail.ended);
    tail.close();
    const reason = this.#reason === undefined ? {} : { reason: this.#reason };
    return { exitCode, exitSignal, stderrTail: tail.text.toWellFormed(), ...reason };
  }

  #pass(frames: readonly Frame[], from: Readable): void {
    const to = this.#socket;
    if (to.destroyed || to.writableEnded) return;
    to.cork();
    for (const { type, payload } of frames) to.write(encodeFrame(type, payload));
    to.uncork();
    if (!to.writableNeedDrain) return;
    from.pause();
    const resume = () => {
      to.off('drain', resume).off('close', resume);
      from.resume();
    };
    to.on('drain', resume).on('close', resume);
  }

  #say(type: number, payload: Uint8Array): void {
    if (!this.#socket.destroyed && !this.#socket.writableEnded) this.#socket.write(encodeFrame(type, payload));
  }

  /** A process that was stopped would hold its tasks for ever, and the manager could not see why. */
  #watchSuspension(life: OpenedTaskProcess['life']): () => void {
    let patience: NodeJS.Timeout | undefined;
    const { grace } = this.#settings;
    life.on('suspended', (isSuspended) => {
      clearTimeout(patience);
      if (!isSuspended) return;
      patience = setTimeout(() => {
        this.#reason = `it had been stopped for ${grace} ms`;
        void life.kill();
      }, grace);
    });
    return () => clearTimeout(patience);
  }
}
