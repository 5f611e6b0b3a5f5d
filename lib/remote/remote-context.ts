// What workers on one server share: where it is, a target and the arguments under theirs, sent once.

import { builtin } from '../builtin.js';
import { InvalidArgumentError, WorkerStartError } from '../errors.js';
import { checkKnown, delay, ownOptions } from '../own-options.js';
import type { EndMessage } from '../runtime/target-loop.js';
import { type Line, SAY } from '../wire/line.js';
import { within } from '../within.js';
import { PersistentRemoteWorker, type PersistentWorkerOptions } from '../worker/persistent-worker.js';
import { dialServer, type RemoteOptions } from '../worker/remote-place.js';
import { remoteReference, type WorkerTarget } from '../worker/target.js';
import { RemoteWorker } from '../worker/worker.js';
import { checkContextId, checkRemote, type WorkerContext, type WorkerOptions } from '../worker/worker-options.js';

/** Options of a RemoteContext. */
export interface RemoteContextOptions extends RemoteOptions {
  /** What workers of other programs find it by, once at a time on a server; random unless given. */
  readonly id?: string;
  /** What its workers run, unless they have their own; `{ module, export }`, a URL or a path, as the server has it. */
  readonly target?: WorkerTarget;
  /** What lies under the workers' own arguments, see PersistentWorker. */
  readonly args?: readonly unknown[];
  readonly kwargs?: Readonly<Record<string, unknown>>;
}

/** Options of a worker that a context makes. */
export type ContextWorkerOptions<T extends WorkerOptions> = Omit<T, 'context' | 'host' | 'token' | 'tls'>;

const KNOWN = ['id', 'host', 'token', 'tls', 'target', 'args', 'kwargs'];

/** What a server that does not answer may take to stop what has not ended; it is hung up on then. */
const ANSWER_MS = 10_000;

/**
 * A place on a server for workers with one target and one set of arguments, which travel once. It lives until it is
 * closed, or this process ends; its workers do not outlive it. It keeps no process up.
 *
 * @example
 * await using context = new RemoteContext({ host: 'gpu-1:60006', tls: {}, token, target: 'jobs/fit.js#fit', args: [table] });
 * const worker = context.persistentWorker();
 */
export class RemoteContext implements WorkerContext, AsyncDisposable {
  readonly id: string;
  /** @internal */
  readonly remote: RemoteOptions;
  readonly #line: Line;
  readonly #started: Promise<this>;
  readonly #gone: Promise<void>;
  #isClosed = false;
  readonly #ref: () => void;

  /** @throws InvalidArgumentError, OutOfRangeError, NotPortableError, DataCloneError; nothing has been started then. */
  constructor(given: RemoteContextOptions = {}) {
    const options = ownOptions(given, 'the options of a RemoteContext');
    checkKnown(options, KNOWN, 'a RemoteContext');
    const { id = builtin('node:crypto').randomUUID(), host, token, tls, target, args = [], kwargs } = options;
    if (!Array.isArray(args)) throw new InvalidArgumentError("a context's args are an array");
    if (kwargs !== undefined && (typeof kwargs !== 'object' || kwargs === null || Array.isArray(kwargs))) {
      throw new InvalidArgumentError("a context's kwargs are an object");
    }
    this.id = checkContextId(id);
    this.remote = { host, token, tls };
    checkRemote(this.remote);
    // Of a pair a server keeps the second part as it is.
    const message = [
      { id, ...(target !== undefined && remoteReference(target)) },
      { args, kwargs },
    ];
    const { socket, line } = dialServer(this.remote);
    this.#line = line;
    this.#ref = () => socket.ref();
    let lineError: Error | undefined;
    this.#gone = new Promise((resolve) => {
      line.onEnd = (error) => {
        lineError = error;
        resolve();
      };
    });
    this.#started = new Promise((resolve, reject) => {
      line.onMessage = (type, value) => {
        if (type === SAY.STARTED) resolve(this);
        else if (type === SAY.END) reject(line.decodeError((value as EndMessage).error as Uint8Array));
      };
      const why = 'the server could not be reached, or did not let it in: look at `cause`, and at the token';
      void this.#gone.then(() => reject(new WorkerStartError(`${this.id}: ${why}`, { cause: lineError })));
    });
    this.#started.then(
      () => socket.unref(),
      () => line.destroy(),
    );
    try {
      line.send(SAY.CONTEXT, message);
    } catch (error) {
      line.destroy();
      throw error;
    }
  }

  /**
   * Resolves when the server has it. Rejects with an InvalidArgumentError when it has another one of this id, with a
   * NotPortableError when it does not load the target, with a WorkerStartError when it cannot be reached; that is no
   * unhandled rejection by itself.
   */
  get started(): Promise<this> {
    return this.#started;
  }

  /** A worker in this context. */
  worker<R = unknown>(options: ContextWorkerOptions<WorkerOptions> = {}): RemoteWorker<R> {
    return new RemoteWorker<R>({ ...ownOptions(options, 'the options of a worker'), context: this });
  }

  /** A persistent worker in this context. */
  persistentWorker<V = unknown>(
    options: ContextWorkerOptions<PersistentWorkerOptions> = {},
  ): PersistentRemoteWorker<V> {
    return new PersistentRemoteWorker<V>({ ...ownOptions(options, 'the options of a worker'), context: this });
  }

  /**
   * Lets no worker in any more, waits for those that are there, and terminates what is left: by force if need be.
   *
   * @param options.timeout milliseconds that they may take; 5 000 unless given.
   */
  async close(options: { readonly timeout?: number } = {}): Promise<void> {
    const { timeout = 5_000 } = ownOptions(options, 'the options of close');
    delay('timeout', timeout);
    const hasStarted = await this.#started.then(
      () => true,
      () => false,
    );
    if (hasStarted && !this.#isClosed) {
      this.#isClosed = true;
      this.#ref();
      this.#line.send(SAY.CLOSE, timeout);
    }
    if (await within(timeout + ANSWER_MS, this.#gone)) return;
    this.#line.destroy();
    await this.#gone;
  }

  /** As `close()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
