// One client of a server, and the process that runs for it.

import type { Socket } from 'node:net';
import { hostname } from 'node:os';
import type { Readable } from 'node:stream';
import { describe } from '../describe.js';
import { NotPortableError, ProtocolError } from '../errors.js';
import { addressOf } from '../manager/listener.js';
import { delay } from '../own-options.js';
import type { EndMessage, StartedMessage } from '../runtime/target-loop.js';
import { checkForeign, decodeForeign, joinPair, splitPair } from '../wire/foreign.js';
import { encodeFrame, FrameDecoder } from '../wire/frame.js';
import { hasVanished, SAY, StreamLine } from '../wire/line.js';
import { keepAlive } from '../wire/tend.js';
import { within } from '../within.js';
import { type OpenedProcess, openProcess } from '../worker/place.js';
import { checkContextId } from '../worker/worker-options.js';
import type { Member } from './contexts.js';
import type { Given, GuestSettings, Neighbour } from './guest-settings.js';

const OPENINGS: readonly number[] = [SAY.START, SAY.CONTEXT, SAY.LIFELINE, SAY.NONE];

/** How long one that is there may take to read what its worker has left. */
const FLUSH_MS = 60_000;

/** Bytes that wait for a slow process, or a slow client, before nothing more is read for it. */
const MARK_BYTES = 1024 * 1024;

/** A connection that is not read from shows only to a writer that its other end is gone. */
const PING_MS = 1_000;

/** What a client says first. */
interface Opening {
  readonly type: number;
  readonly payload: Uint8Array;
}

/**
 * Relays between the client and the process. What they say to each other is checked and passed on, not decoded, but for
 * the first message, which names the target. Or it holds a context for as long as its client is there; or it is the
 * lifeline of another one.
 */
export class Guest implements Member, Neighbour {
  readonly #settings: GuestSettings;
  readonly #socket: Socket;
  readonly #line: StreamLine;
  readonly #decoder: FrameDecoder;
  readonly #address: string;
  #isReported = false;
  #hasStarted = false;
  /** Frames behind the first that came with it. */
  readonly #early: (readonly [type: number, payload: Uint8Array])[] = [];
  #process: OpenedProcess | undefined;
  #ping: NodeJS.Timeout | undefined;
  #end: Promise<void> | undefined;
  #resolveStart: (opening: Opening | undefined) => void = () => {};
  /** It holds a context: what is done when its client closes it. */
  #closeContext: ((timeout: number) => void) | undefined;
  #isLifeline = false;
  #hasVanished = false;
  /** It has a process, or is about to have one. */
  isWorker = false;
  readonly #closed: Promise<void>;
  /** Resolves when neither the client nor the process is there any more. */
  readonly gone: Promise<void>;

  constructor(socket: Socket, settings: GuestSettings) {
    this.#settings = settings;
    this.#socket = socket;
    this.#address = addressOf(socket);
    this.#decoder = new FrameDecoder({ maxFrameBytes: settings.maxFrameBytes });
    // For what is said to the client here; it is not read from.
    this.#line = new StreamLine(socket, { isForeign: true, maxFrameBytes: settings.maxFrameBytes, isWriteOnly: true });
    keepAlive(socket);
    const started = new Promise<Opening | undefined>((resolve) => {
      this.#resolveStart = resolve;
    });
    const timer = setTimeout(() => {
      this.#report(`it said nothing for ${settings.handshakeTimeout} ms`);
      socket.destroy();
    }, settings.handshakeTimeout).unref();
    this.#closed = new Promise((resolve) => {
      this.#line.onEnd = (error) => {
        this.#hasVanished = hasVanished(error);
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
    this.gone = started.then(async (opening) => {
      clearTimeout(timer);
      if (opening !== undefined) await this.#serve(opening);
      socket.destroy();
    });
    this.gone.catch(() => socket.destroy());
  }

  /** Asks the target to stop, and makes it; the client may read what it has said for as long as that may take. */
  stop(): Promise<void> {
    this.#end ??= this.#stop();
    return this.#end;
  }

  hangUp(): void {
    this.#socket.destroy();
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
      this.#report(error);
      this.#socket.destroy(error as Error);
    }
  }

  /** Once: what follows the first is its consequence. */
  #report(reason: unknown): void {
    if (this.#end === undefined && !this.#isReported) this.#settings.refused(this.#address, describe(reason));
    this.#isReported = true;
  }

  /** @throws ProtocolError for what no client of ours would send. */
  #onFrame(type: number, payload: Uint8Array): void {
    if (payload.byteLength > 0) checkForeign(payload, 0, payload.byteLength);
    const isOpening = OPENINGS.includes(type);
    if (isOpening === this.#hasStarted) throw new ProtocolError('a client says first, and once, what to run');
    if (isOpening) {
      this.#hasStarted = true;
      // Nothing more before there is somebody to hear it.
      this.#socket.pause();
      this.#resolveStart({ type, payload: Uint8Array.from(payload) });
    } else if (this.#closeContext !== undefined) {
      if (type !== SAY.CLOSE) throw new ProtocolError('a context can only be closed');
      this.#closeContext(delay('timeout', decodeForeign(payload, 0, payload.byteLength)));
    } else if (this.#isLifeline) {
      throw new ProtocolError('a lifeline carries nothing');
    } else if (this.#process === undefined) {
      this.#early.push([type, Uint8Array.from(payload)]);
    } else {
      this.#tell(type, payload);
    }
  }

  async #serve({ type, payload }: Opening): Promise<void> {
    try {
      if (type === SAY.NONE) return await this.#closeServer();
      const [first, rest] = splitPair(payload);
      const given = (first ?? {}) as Given;
      if (type === SAY.CONTEXT) await this.#hold(given, rest);
      else if (type === SAY.LIFELINE) await this.#accompany(given);
      else await this.#work(given, rest);
    } catch (error) {
      this.#refuse(error);
    }
    await within(FLUSH_MS, Promise.race([this.#line.end(), this.#closed]));
  }

  async #closeServer(): Promise<void> {
    const { close } = this.#settings;
    if (close === undefined) throw new NotPortableError('the server does not end for a client: closeOnNone says so');
    this.#line.send(SAY.EXIT, { exitCode: 0, exitSignal: null });
    await within(FLUSH_MS, Promise.race([this.#line.end(), this.#closed]));
    close();
  }

  /** Until its client closes it, or is gone. */
  async #hold({ id, ...given }: Given, rest: Uint8Array): Promise<void> {
    const { allowList, contexts } = this.#settings;
    const target = given.module === undefined ? undefined : await allowList.resolve(given);
    this.#assertOpen();
    const name = checkContextId(id);
    const context = contexts.open(name, target, rest);
    try {
      this.#sayStarted();
      const closed = new Promise<number>((resolve) => {
        this.#closeContext = resolve;
      });
      for (const [type, payload] of this.#early.splice(0)) this.#onFrame(type, payload);
      this.#socket.resume();
      const timeout = await Promise.race([closed, this.#closed.then(() => 0)]);
      contexts.forget(name);
      await context.close(timeout);
    } finally {
      contexts.forget(name);
    }
  }

  #sayStarted(): void {
    this.#line.send(SAY.STARTED, { host: hostname(), pid: process.pid, tid: 0 } satisfies StartedMessage);
  }

  /** The host of a client is gone when this connection is lost, whatever is on its way on the other one. */
  async #accompany({ lifeline }: Given): Promise<void> {
    const guest = this.#settings.lifelines.get(lifeline as string);
    if (guest === undefined) return;
    this.#isLifeline = true;
    this.#sayStarted();
    this.#socket.resume();
    await Promise.race([guest.gone.catch(() => {}), this.#closed]);
    if (this.#hasVanished) guest.hangUp();
  }

  async #work(given: Given, rest: Uint8Array): Promise<void> {
    const { allowList, contexts, isFull } = this.#settings;
    if (isFull()) {
      this.#report('there are as many workers already as may be');
      this.#socket.destroy();
      return;
    }
    this.isWorker = true;
    this.#awaitLifeline(given.lifeline);
    const find = () => (given.context === undefined ? undefined : contexts.find(given.context));
    const target = given.module === undefined ? find()?.target : undefined;
    const resolved = target ?? (await allowList.resolve(given));
    this.#assertOpen();
    // It may have been closed meanwhile.
    const context = find();
    context?.add(this);
    await this.#run(joinPair(resolved, rest), context?.defaults);
  }

  #awaitLifeline(key: unknown): void {
    const { lifelines } = this.#settings;
    if (typeof key !== 'string') return;
    if (lifelines.has(key)) throw new ProtocolError('a lifeline is for one worker');
    lifelines.set(key, this);
    const forget = () => void lifelines.delete(key);
    this.gone.then(forget, forget);
  }

  #assertOpen(): void {
    if (this.#end !== undefined) throw new NotPortableError('the server ends');
  }

  async #run(start: Uint8Array, defaults: Uint8Array | undefined): Promise<void> {
    const { suppressChildren, log } = this.#settings;
    const opened = openProcess({ isForeign: true, isSilent: suppressChildren });
    const { life, socket } = opened;
    log(`${this.#address} has a worker in process ${life.pid}`);
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
      if (defaults !== undefined) this.#tell(SAY.CONTEXT, defaults);
      this.#tell(SAY.START, start);
      for (const [type, payload] of this.#early.splice(0)) this.#tell(type, payload);
      this.#socket.resume();
      const exit = await life.exited;
      log(`process ${life.pid} ended with ${exit.exitSignal ?? `exit code ${exit.exitCode}`}`);
      // What it has written is there; a client that reads slowly gets all of it.
      await within(FLUSH_MS, Promise.race([ended, this.#closed]));
      this.#line.send(SAY.EXIT, exit);
    } finally {
      socket.destroy();
      await life.kill();
    }
  }

  /** To the client, as it came; the process goes at the client's pace. */
  #relay(type: number, payload: Uint8Array, from: Readable): void {
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
    this.#report(error);
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
