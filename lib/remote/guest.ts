// One client of a server, and the process that runs for it.

import type { Socket } from 'node:net';
import { NotPortableError, ProtocolError } from '../errors.js';
import type { EndMessage } from '../runtime/target-loop.js';
import type { AllowList } from '../task/allow-list.js';
import { checkForeign, joinPair, splitPair } from '../wire/foreign.js';
import { encodeFrame, FrameDecoder } from '../wire/frame.js';
import { SAY, StreamLine } from '../wire/line.js';
import { tend } from '../wire/tend.js';
import { within } from '../within.js';
import { type OpenedProcess, openProcess } from '../worker/place.js';

export interface GuestSettings {
  readonly allowList: AllowList;
  readonly maxFrameBytes: number;
  /** Milliseconds that a target may take to stop when its client is gone, or its server ends. */
  readonly grace: number;
}

/** How long a client may take to say what it wants. */
const START_MS = 5_000;

/** How long one that is there may take to read what its worker has left. */
const FLUSH_MS = 60_000;

/** Bytes that wait for a slow process, or a slow client, before nothing more is read for it. */
const MARK_BYTES = 1024 * 1024;

/** A connection that is not read from shows only to a writer that its other end is gone. */
const PING_MS = 1_000;

/**
 * Relays between the client and the process. What they say to each other is checked and passed on, not decoded, but for
 * the first message, which names the target.
 */
export class Guest {
  readonly #settings: GuestSettings;
  readonly #socket: Socket;
  readonly #line: StreamLine;
  readonly #decoder: FrameDecoder;
  #hasStarted = false;
  /** Frames behind the first that came with it. */
  readonly #early: (readonly [type: number, payload: Uint8Array])[] = [];
  #process: OpenedProcess | undefined;
  #ping: NodeJS.Timeout | undefined;
  #end: Promise<void> | undefined;
  #resolveStart: (payload: Uint8Array | undefined) => void = () => {};
  readonly #closed: Promise<void>;
  /** Resolves when neither the client nor the process is there any more. */
  readonly gone: Promise<void>;

  constructor(socket: Socket, settings: GuestSettings) {
    this.#settings = settings;
    this.#socket = socket;
    this.#decoder = new FrameDecoder({ maxFrameBytes: settings.maxFrameBytes });
    // For what is said to the client here; it is not read from.
    this.#line = new StreamLine(socket, { isForeign: true, maxFrameBytes: settings.maxFrameBytes, isWriteOnly: true });
    tend(socket);
    const started = new Promise<Uint8Array | undefined>((resolve) => {
      this.#resolveStart = resolve;
    });
    const timer = setTimeout(() => socket.destroy(), START_MS).unref();
    this.#closed = new Promise((resolve) => {
      this.#line.onEnd = () => {
        clearTimeout(timer);
        clearInterval(this.#ping);
        this.#resolveStart(undefined);
        resolve();
        void this.stop();
      };
    });
    // The listener leaves connections half open.
    socket.once('end', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    this.gone = started.then(async (payload) => {
      clearTimeout(timer);
      if (payload !== undefined) await this.#serve(payload);
      socket.destroy();
    });
    this.gone.catch(() => socket.destroy());
  }

  /** Asks the target to stop, and makes it; the client may read what it has said for as long as that may take. */
  stop(): Promise<void> {
    this.#end ??= this.#stop();
    return this.#end;
  }

  async #stop(): Promise<void> {
    const { grace } = this.#settings;
    await this.#process?.life.stop(() => this.#tell(SAY.STOP, NOTHING), { grace });
    if (this.#process === undefined) this.#socket.destroy();
    else await within(grace, this.#closed);
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    try {
      for (const { type, payload } of this.#decoder.push(chunk)) this.#onFrame(type, payload);
    } catch (error) {
      this.#socket.destroy(error as Error);
    }
  }

  /** @throws ProtocolError for what no client of ours would send. */
  #onFrame(type: number, payload: Uint8Array): void {
    if (payload.byteLength > 0) checkForeign(payload, 0, payload.byteLength);
    if ((type === SAY.START) === this.#hasStarted)
      throw new ProtocolError('a client says first, and once, what to run');
    if (type === SAY.START) {
      this.#hasStarted = true;
      // Nothing more before there is somebody to hear it.
      this.#socket.pause();
      this.#resolveStart(Uint8Array.from(payload));
    } else if (this.#process === undefined) {
      this.#early.push([type, Uint8Array.from(payload)]);
    } else {
      this.#tell(type, payload);
    }
  }

  async #serve(start: Uint8Array): Promise<void> {
    try {
      const [target, rest] = splitPair(start);
      const resolved = await this.#settings.allowList.resolve(target);
      if (this.#end !== undefined) throw new NotPortableError('the server ends');
      await this.#run(joinPair(resolved, rest));
    } catch (error) {
      this.#refuse(error);
    }
    await within(FLUSH_MS, Promise.race([this.#line.end(), this.#closed]));
  }

  async #run(start: Uint8Array): Promise<void> {
    const opened = openProcess({ isForeign: true });
    const { life, socket } = opened;
    this.#process = opened;
    try {
      const decoder = new FrameDecoder({ maxFrameBytes: this.#settings.maxFrameBytes });
      const ended = new Promise<void>((resolve) => socket.once('close', resolve));
      socket.on('error', () => {});
      socket.on('data', (chunk: Buffer) => {
        try {
          for (const { type, payload } of decoder.push(chunk)) this.#relay(type, payload, socket);
        } catch {
          // Longer than it may be; without it nothing that follows makes sense.
          void life.kill();
        }
      });
      this.#tell(SAY.START, start);
      for (const [type, payload] of this.#early.splice(0)) this.#tell(type, payload);
      this.#socket.resume();
      const exit = await life.exited;
      // What it has written is there; a client that reads slowly gets all of it.
      await within(FLUSH_MS, Promise.race([ended, this.#closed]));
      this.#line.send(SAY.EXIT, exit);
    } finally {
      socket.destroy();
      await life.kill();
    }
  }

  /** To the client, as it came; the process goes at the client's pace. */
  #relay(type: number, payload: Uint8Array, from: Socket): void {
    if (this.#line.sendEncoded(type, payload)) return;
    from.pause();
    void this.#line.drained().then(() => from.resume());
  }

  /** To the process; the client goes at its pace. */
  #tell(type: number, payload: Uint8Array): void {
    const opened = this.#process;
    if (opened === undefined) return;
    if (type === SAY.KILL) {
      void opened.life.stop(() => {}, { grace: 0 });
      return;
    }
    if (type === SAY.STOP) opened.raiseFlag();
    const { socket } = opened;
    if (socket.destroyed) return;
    socket.write(encodeFrame(type, payload));
    if (socket.writableLength < MARK_BYTES || this.#ping !== undefined) return;
    this.#socket.pause();
    this.#ping = setInterval(() => this.#line.send(SAY.PING), PING_MS).unref();
    socket.once('drain', () => {
      clearInterval(this.#ping);
      this.#ping = undefined;
      this.#socket.resume();
    });
  }

  #refuse(error: unknown): void {
    const end = (reason: unknown): EndMessage => ({
      result: undefined,
      error: this.#line.encodeError(reason),
      terminated: false,
      sequence: undefined,
      state: undefined,
    });
    try {
      this.#line.send(SAY.END, end(error));
    } catch {
      this.#line.send(SAY.END, end(new NotPortableError('the server does not run this')));
    }
    this.#line.send(SAY.EXIT, { exitCode: 1, exitSignal: null });
  }
}

const NOTHING = new Uint8Array(0);
