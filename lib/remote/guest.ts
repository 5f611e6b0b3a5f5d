// One client of a server, and the process that runs for it.

import type { Socket } from 'node:net';
import { NotPortableError } from '../errors.js';
import type { EndMessage, StartMessage } from '../runtime/target-loop.js';
import { encodeForeign } from '../wire/foreign.js';
import { encodeFrame, FrameDecoder } from '../wire/frame.js';
import { KEEP_ALIVE_MS, SAY, StreamLine } from '../wire/line.js';
import { type OpenedProcess, openProcess } from '../worker/place.js';
import type { AllowList } from './allow-list.js';

export interface GuestSettings {
  readonly allowList: AllowList;
  readonly maxFrameBytes: number;
  /** Milliseconds that a target may take to stop when its client is gone, or its server ends. */
  readonly grace: number;
}

/** Relays between the client and the process: what they say to each other is theirs, but for where it begins and ends. */
export class Guest {
  readonly #line: StreamLine;
  readonly #settings: GuestSettings;
  #process: OpenedProcess | undefined;
  #isGone = false;
  #end: Promise<void> | undefined;
  /** Resolves when neither the client nor the process is there any more. */
  readonly gone: Promise<void>;

  constructor(socket: Socket, settings: GuestSettings) {
    this.#settings = settings;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    this.#line = new StreamLine(socket, { isForeign: true, maxFrameBytes: settings.maxFrameBytes });
    let start: (message: StartMessage | undefined) => void;
    const started = new Promise<StartMessage | undefined>((resolve) => {
      start = resolve;
    });
    const early: [number, unknown][] = [];
    this.#line.onMessage = (type, value) => {
      if (type === SAY.START) {
        // Nothing more before there is somebody to hear it.
        this.#line.pause();
        start((value ?? {}) as StartMessage);
      } else if (this.#process === undefined) early.push([type, value]);
      else this.#tell(type, value);
    };
    // The listener leaves connections half open.
    socket.once('end', () => socket.destroy());
    this.#line.onEnd = () => {
      this.#isGone = true;
      start(undefined);
      void this.stop();
    };
    this.gone = started.then((message) => this.#serve(message, early));
  }

  /** Asks the target to stop, and makes it. */
  stop(): Promise<void> {
    this.#end ??= this.#stop();
    return this.#end;
  }

  async #stop(): Promise<void> {
    const opened = this.#process;
    if (opened === undefined) {
      this.#line.destroy();
      return;
    }
    await opened.life.stop(() => this.#tell(SAY.STOP, undefined), { grace: this.#settings.grace });
  }

  async #serve(message: StartMessage | undefined, early: readonly [number, unknown][]): Promise<void> {
    if (message === undefined || this.#isGone) return;
    try {
      const target = await this.#settings.allowList.resolve(message.target);
      if (this.#isGone || this.#end !== undefined) throw new NotPortableError('the server ends');
      await this.#run({ ...message, target }, early);
    } catch (error) {
      this.#refuse(error);
    }
    await this.#line.end();
    this.#line.destroy();
  }

  async #run(message: StartMessage, early: readonly [number, unknown][]): Promise<void> {
    const opened = openProcess({ isForeign: true });
    const { life, socket } = opened;
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
    this.#process = opened;
    this.#tell(SAY.START, message);
    for (const [type, value] of early) this.#tell(type, value);
    this.#line.resume();
    const exit = await life.exited;
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, READ_AFTER_EXIT_MS))]);
    socket.destroy();
    this.#line.send(SAY.EXIT, exit);
  }

  /** To the client, as it came; the process goes at the client's pace. */
  #relay(type: number, payload: Uint8Array, from: Socket): void {
    if (this.#line.sendEncoded(type, payload)) return;
    from.pause();
    void this.#line.drained().then(() => from.resume());
  }

  /** To the process. */
  #tell(type: number, value: unknown): void {
    const opened = this.#process;
    if (opened === undefined) return;
    if (type === SAY.KILL) {
      void opened.life.stop(() => {}, { grace: 0 });
      return;
    }
    if (type === SAY.STOP) opened.raiseFlag();
    const { socket } = opened;
    if (socket.destroyed) return;
    socket.write(encodeFrame(type, value === undefined ? undefined : encodeForeign(value)));
    // Who is not read from is not seen to go away, so a slow target is no reason before there is much for it.
    if (socket.writableLength <= this.#settings.maxFrameBytes) return;
    this.#line.pause();
    socket.once('drain', () => this.#line.resume());
  }

  #refuse(error: unknown): void {
    const end: EndMessage = {
      result: undefined,
      error: this.#line.encodeError(error),
      terminated: false,
      sequence: undefined,
      state: undefined,
    };
    this.#line.send(SAY.END, end);
    this.#line.send(SAY.EXIT, { exitCode: 1, exitSignal: null });
  }
}

const READ_AFTER_EXIT_MS = 200;
