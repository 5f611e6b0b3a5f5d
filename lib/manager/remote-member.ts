// One worker of a manager on another host: the line to it, and what is known of its process.

import type { Socket } from 'node:net';
import type { LossDetails } from '../errors.js';
import type { NativeDispatcher } from '../native.js';
import type { RemoteConfiguration } from '../runtime/configuration.js';
import type { WorkerId } from '../task/context.js';
import { folderUrl } from '../task/module-map.js';
import { decodeForeign, encodeForeign } from '../wire/foreign.js';
import { encodeFrame, FRAME } from '../wire/frame.js';
import { tend } from '../wire/tend.js';
import { getU32 } from '../wire/u32.js';
import { exitOf } from '../worker/remote-place.js';
import { WorkerLife } from '../worker/worker-life.js';
import type { LostTask, Runner } from './failures.js';
import { NetLine } from './net-line.js';
import type { ManagerSettings } from './options.js';
import type { DispatchRecord } from './records.js';

/** A host that was told to kill its process has so long to say that it is dead; then the link is cut. */
const LAST_WORD_MS = 1_000;

/** As the signals of every system have it. */
const SIGNALS = { SIGTERM: 15, SIGKILL: 9 } as const;

/** The host at the other end delivers the signals; the last rung is to hang up, upon which it kills. */
class RemoteLife extends WorkerLife {
  readonly #socket: Socket;
  readonly #line: NetLine;
  #timer: NodeJS.Timeout | undefined;
  pid: number | undefined;

  constructor(socket: Socket, line: NetLine) {
    super();
    this.#socket = socket;
    this.#line = line;
  }

  end(exit: { exitCode: number | null; exitSignal: NodeJS.Signals | null }): void {
    clearTimeout(this.#timer);
    this.markDead(exit);
  }

  protected override signal(name: NodeJS.Signals): void {
    // Nobody is there yet.
    if (this.#socket.connecting || this.pid === undefined) {
      this.#line.destroy();
      return;
    }
    this.#line.write(encodeFrame(FRAME.SIGNAL, Uint8Array.of(SIGNALS[name as keyof typeof SIGNALS])));
    if (name === 'SIGKILL') this.#timer ??= setTimeout(() => this.#line.destroy(), LAST_WORD_MS);
  }
}

export class RemoteMember implements Runner {
  readonly worker: WorkerId;
  readonly connection: number;
  readonly life: RemoteLife;
  /** Its host and port. */
  readonly host: string;
  readonly startedAt = performance.now();
  readonly #line: NetLine;
  readonly #dispatcher: NativeDispatcher;
  readonly lost: LostTask[] = [];
  /** What its set-up threw. */
  startError: unknown;
  /** Known from the end of its connection on. */
  tasksEnded = 0;
  /** True from its report that it is set up. */
  wasReady = false;
  /** Why the manager made it end, if it did. */
  endReason: string | undefined;
  /** Why the connection failed, if that is known. */
  linkError: Error | undefined;
  /** What its host has said of the end of its process. */
  exit: LossDetails | undefined;
  /** Resolves when its connection has ended, and with it whatever is known of its process. */
  readonly gone: Promise<LossDetails>;

  /**
   * @param socket connected, or about to be; it is taken over.
   * @param turn is called when the dispatcher may have something to say.
   * @throws Error when there are too many connections.
   */
  constructor(
    worker: WorkerId,
    dispatcher: NativeDispatcher,
    settings: ManagerSettings,
    { socket, host }: { readonly socket: Socket; readonly host: string },
    turn: () => void,
  ) {
    this.worker = worker;
    this.host = host;
    this.#dispatcher = dispatcher;
    this.connection = dispatcher.openRemote(worker);
    if (this.connection === 0) {
      socket.destroy();
      throw new Error('there are too many connections already');
    }
    socket.on('error', (error) => {
      this.linkError = error;
    });
    this.#line = new NetLine(dispatcher, this.connection, socket, socket, turn);
    tend(socket);
    socket.once('end', () => socket.destroySoon());
    this.life = new RemoteLife(socket, this.#line);
    this.gone = this.life.exited.then((exit) => {
      const reason = this.endReason ?? this.exit?.reason ?? this.linkError?.message;
      return { ...exit, reason, stderrTail: this.exit?.stderrTail };
    });
    const { levels, maxFrameBytes, concurrency, policy, setup } = settings;
    const { backoff: _, ...plainPolicy } = policy;
    const configuration: RemoteConfiguration = {
      worker,
      levels,
      maxFrameBytes,
      concurrency,
      policy: plainPolicy,
      there: folderUrl(settings.root),
      ...(setup !== undefined && { setup: { module: setup.module, exportName: setup.exportName } }),
    };
    dispatcher.sendHello(this.connection, encodeForeign(configuration));
  }

  get pid(): number | undefined {
    return this.life.pid;
  }

  write(bytes: Buffer): void {
    this.#line.write(bytes);
  }

  /** Bytes that had arrived before this was made. */
  receive(bytes: Buffer): void {
    if (bytes.byteLength > 0) this.#dispatcher.receive(this.connection, bytes);
  }

  /** It is set up; the record has its hello. */
  greeted({ bytes, start, end }: DispatchRecord): void {
    if (end - start >= 8) this.life.pid = getU32(bytes, start + 4);
  }

  /** Its host says how its process has ended. */
  exited({ bytes, start, end }: DispatchRecord): void {
    this.exit = readExit(bytes, start, end);
  }

  /** To be called when the dispatcher says that its connection has ended. */
  closed(tasksEnded: number): void {
    this.tasksEnded = tasksEnded;
    this.#line.destroy();
    const { exitCode = null, exitSignal = null } = this.exit ?? {};
    this.life.end({ exitCode, exitSignal });
  }
}

/** A host may say anything. */
function readExit(bytes: Uint8Array, start: number, end: number): LossDetails {
  try {
    const said = decodeForeign(bytes, start, end) as Record<string, unknown> | null;
    const { reason, stderrTail } = said ?? {};
    return {
      ...exitOf(said),
      ...(typeof reason === 'string' && { reason }),
      ...(typeof stderrTail === 'string' && { stderrTail }),
    };
  } catch {
    return { exitCode: null, exitSignal: null };
  }
}
