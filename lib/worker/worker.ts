// A function in a thread, in a process or on another host, through one interface.

import { EventEmitter, setMaxListeners } from 'node:events';
import { hostname } from 'node:os';
import { builtin } from '../builtin.js';
import { InvalidArgumentError, WorkerLostError, WorkerStartError } from '../errors.js';
import { Mailbox } from '../mailbox.js';
import { delay, oneOf, ownOptions } from '../own-options.js';
import { type EndMessage, FIRST_ROOM, type StartDetails, type StartedMessage } from '../runtime/target-loop.js';
import type { ProgressListener } from '../task/manager.js';
import { tell } from '../task/progress.js';
import { assertNotImporting } from '../task/target.js';
import { SAY } from '../wire/line.js';
import { type Place, processPlace, threadPlace } from './place.js';
import { remotePlace } from './remote-place.js';
import { remoteTarget, type SentTarget, travellingTarget, type WorkerTarget } from './target.js';
import { checkOptions, isToRun, remoteOf, WORKER_OPTIONS, type WorkerOptions, WorkerType } from './worker-options.js';
import { type WorkerEndDetails, WorkerRun } from './worker-run.js';

export interface WorkerEvents {
  /** It runs; the same as `started`. */
  start: [];
  /** What the target gives to `ctx.progress`. */
  progress: [unknown];
  /** It is dead. */
  exit: [WorkerEndDetails];
}

/** How `terminate` goes about it. */
export interface TerminateOptions {
  /** Milliseconds that the target may take to stop when it is asked to; 1 000 unless given. */
  readonly timeout?: number;
  /** Behind that: SIGTERM, a second later SIGKILL; the isolate of a thread is stopped. True unless given. */
  readonly force?: boolean;
}

/** `[host, pid, tid]`. */
export type WorkerIdentity = readonly [host: string | undefined, pid: number | undefined, tid: number];

const KNOWN = [...WORKER_OPTIONS, 'transferList'];

const active = new Set<Worker>();
let made = 0;

/**
 * Runs a function in a thread or a process, from the constructor on. It is dead when the function has ended; `result` or
 * `error` then say how.
 *
 * @example
 * const worker = new ProcessWorker({ target: { module: import.meta.resolve('./square.js'), export: 'square' }, args: [3] });
 * await worker.wait();
 * console.log(worker.result); // 9
 */
export abstract class Worker<R = unknown> extends EventEmitter<WorkerEvents> implements AsyncDisposable {
  /** Both are true of every Worker of the class, and of the class. */
  static readonly isThread: boolean = false;
  static readonly isProcess: boolean = false;
  static readonly isRemote: boolean = false;
  static readonly isPersistent: boolean = false;

  /** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for what is no kind of worker. */
  static create<R = unknown>(type: WorkerType, options: WorkerOptions = {}): Worker<R> {
    oneOf('the type of a worker', type, Object.values(WorkerType));
    if (type === 'remote') return new RemoteWorker<R>(options);
    return type === 'thread' ? new ThreadWorker<R>(options) : new ProcessWorker<R>(options);
  }

  /** Those that are alive, of this thread. */
  static activeChildren(): Worker[] {
    return [...active];
  }

  /** Closes those that are alive, gives each so many milliseconds, then terminates it in as many again. */
  static async autocloseActiveChildren(milliseconds = 100): Promise<void> {
    const end = async (worker: Worker) => {
      if (!(await worker.wait(milliseconds))) await worker.terminate({ timeout: milliseconds });
    };
    await Promise.all(Worker.activeChildren().map(end));
  }

  readonly name: string;
  readonly userId: unknown;
  readonly workerType: WorkerType;
  readonly isPersistent: boolean;
  /** Where its owner is. */
  readonly parentHost = hostname();
  readonly parentPid = process.pid;
  readonly parentTid = builtin('node:worker_threads').threadId;
  /** An owner's Worker is never the one inside. */
  readonly isChild = false;
  protected readonly options: WorkerOptions;
  /** Undefined until it is started. */
  #run: WorkerRun | undefined;
  /** What a generator has yielded and nobody has read. */
  readonly #values = new Mailbox<unknown>();

  /** @internal */
  constructor(workerType: WorkerType, isPersistent: boolean, given: WorkerOptions, known: readonly string[] = KNOWN) {
    super();
    const options = ownOptions(given, 'the options of a worker');
    checkOptions(options, known, workerType, isPersistent);
    assertNotImporting();
    this.options = options;
    this.workerType = workerType;
    this.isPersistent = isPersistent;
    made += 1;
    this.name = options.name ?? `worker ${made}`;
    this.userId = options.userId;
    if (isToRun(options)) this.begin();
    else this.#values.end();
  }

  get isThread(): boolean {
    return this.workerType === 'thread';
  }

  get isProcess(): boolean {
    return this.workerType === 'process';
  }

  get isRemote(): boolean {
    return this.workerType === 'remote';
  }

  /** The name of its host; of a remote worker, from `started` on. */
  get host(): string | undefined {
    return this.isRemote ? this.#run?.where?.host : this.parentHost;
  }

  /** Of the process that it is, or is a thread of; undefined when it was never started. */
  get pid(): number | undefined {
    return this.#run?.place.pid ?? this.#run?.where?.pid;
  }

  /** The number of the thread in its process: 0 is the main one. */
  get tid(): number {
    return this.#run?.place.tid ?? 0;
  }

  get id(): WorkerIdentity {
    return [this.host, this.pid, this.tid];
  }

  get parentId(): WorkerIdentity {
    return [this.parentHost, this.parentPid, this.parentTid];
  }

  /**
   * Resolves when it has said that it is there. Rejects with a WorkerStartError, a NotPortableError or a DataCloneError when
   * it cannot be; that is no unhandled rejection by itself, for it is its `error` too.
   */
  get started(): Promise<this> {
    const started = Promise.resolve(this.#run?.started).then(() => this);
    started.catch(() => {});
    return started;
  }

  /** What the target returned; undefined while it is alive. */
  get result(): R | undefined {
    const run = this.#ended;
    return run?.error === undefined ? (run?.end?.result as R | undefined) : undefined;
  }

  /** What the target threw, with its stack over there; undefined when it was killed and could not say. */
  get error(): Error | undefined {
    return this.#ended?.error;
  }

  /** Undefined while it is alive; true when the target threw, or was killed. */
  get hasError(): boolean | undefined {
    return this.#run === undefined ? false : this.#ended?.hasError;
  }

  /** How its process or thread ended; undefined before. */
  get exit(): WorkerEndDetails | undefined {
    return this.#run?.exit;
  }

  /** What the target left in `ctx.userState`, from its end on; until then, what it began with. */
  get userState(): unknown {
    return this.#run === undefined ? this.options.initialState : this.#run.state;
  }

  set userState(_value: unknown) {
    throw new InvalidArgumentError('userState belongs to the worker: give `initialState`');
  }

  isAlive(): boolean {
    return this.#run !== undefined && !this.#run.isOver;
  }

  /**
   * For the target, which reads it by `ctx.messages()`. One that a persistent worker gets between two inputs is for the next.
   *
   * @throws DataCloneError (ERR_BOSUN_DATA_CLONE), FrameTooLargeError
   */
  postMessage(message: unknown): void {
    this.send(SAY.LETTER, [message]);
  }

  /** No more input. Does nothing to a worker that takes none. */
  close(): void {
    const run = this.#run;
    if (run === undefined || run.isClosed || run.isOver) return;
    run.isClosed = true;
    this.send(SAY.CLOSE);
  }

  /**
   * Closes it and waits for its end. What a generator yields from here on is kept until somebody reads it.
   *
   * @param timeout milliseconds; without one, as long as it takes.
   * @returns whether it is dead.
   */
  async wait(timeout?: number): Promise<boolean> {
    if (timeout !== undefined) delay('timeout', timeout);
    this.close();
    const run = this.#run;
    if (run === undefined) return true;
    if (!run.hasEndlessRoom) {
      run.hasEndlessRoom = true;
      this.send(SAY.ROOM, Number.MAX_SAFE_INTEGER);
    }
    return run.overWithin(timeout);
  }

  /**
   * Asks the target to stop: its signal is aborted with a WorkerTerminatedError, which `checkpoint()` throws too. Then by
   * force. Never takes longer than its rungs, and touches nobody else.
   *
   * @returns whether it is dead now.
   */
  async terminate(options: TerminateOptions = {}): Promise<boolean> {
    const { timeout = 1_000, force = true } = ownOptions(options, 'the options of terminate');
    delay('timeout', timeout);
    const run = this.#run;
    if (run === undefined || run.isOver) return true;
    if (!run.isStopped) {
      run.isStopped = true;
      run.isClosed = true;
      run.place.raiseFlag();
      this.send(SAY.STOP);
    }
    if (await run.overWithin(timeout)) return true;
    if (!force) return false;
    await run.place.life.stop(() => {}, { grace: 0 });
    await run.whenOver;
    return true;
  }

  /** As `terminate()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.terminate();
  }

  /** What a generator yields, as it comes; it goes at the reader's pace. Then throws `error`, if there is one. */
  async *[Symbol.asyncIterator](): AsyncGenerator<unknown> {
    for (let next = await this.#values.take(); !next.done; next = await this.#values.take()) {
      if (this.#run?.hasEndlessRoom === false) this.send(SAY.ROOM, 1);
      yield next.value;
    }
    await this.whenOver;
    if (this.error !== undefined) throw this.error;
    if (this.hasError === true) throw this.lost();
  }

  // ---- for the kinds of workers ---------------------------------------------------

  /** Starts it, or starts it again. */
  protected begin(state: unknown = this.options.initialState): void {
    const { target: given, allowInline, context } = this.options;
    const target = this.isRemote
      ? remoteTarget(given, context)
      : travellingTarget(given as WorkerTarget, allowInline === true);
    const { signal } = this.options;
    signal?.throwIfAborted();
    const run = new WorkerRun(this.openPlace(), state, {
      receive: (type, value) => this.receive(type, value),
      neverStarted: (how, cause) => this.#neverStarted(how, cause),
      over: ({ exit }) => this.#onOver(exit as WorkerEndDetails),
    });
    this.#run = run;
    this.#values.reopen();
    active.add(this);
    // As many workers as one likes may share it.
    if (signal !== undefined) setMaxListeners(0, signal);
    const abort = () => void this.terminate();
    signal?.addEventListener('abort', abort, { once: true });
    void run.whenOver.then(() => signal?.removeEventListener('abort', abort));
    void this.#sendStart(run, target);
  }

  /** Says something to the worker, if it is there. @throws DataCloneError */
  protected send(type: number, value?: unknown): void {
    this.#living?.place.line.send(type, value);
  }

  /** The same for one of many short messages, see Line. @throws DataCloneError */
  protected sendSoon(type: number, value: unknown): void {
    this.#living?.place.line.sendSoon(type, value);
  }

  /** Resolves when the worker has taken most of what was sent. */
  protected async drained(): Promise<void> {
    await this.#run?.place.line.drained();
  }

  protected get isClosed(): boolean {
    return this.#run?.isClosed ?? false;
  }

  protected decodeError(bytes: Uint8Array): unknown {
    return this.#run?.place.line.decodeError(bytes);
  }

  /** Which input it died of, if it did. */
  protected get failedInput(): number | undefined {
    return this.#run?.end?.sequence;
  }

  protected receive(type: number, value: unknown): void {
    switch (type) {
      case SAY.STARTED:
        this.#onStarted(value as StartedMessage);
        break;
      case SAY.VALUE:
        // More than there was room for: a server that does not keep to it could fill the memory.
        if (this.isRemote && this.#run?.hasEndlessRoom === false && this.#values.size >= FIRST_ROOM) {
          this.#run.place.line.destroy();
        } else this.#values.put(value);
        break;
      case SAY.PROGRESS:
        this.#tellProgress(value as readonly [unknown]);
        break;
      case SAY.END:
        this.#run?.onEnd(value as EndMessage);
        break;
    }
  }

  #tellProgress([value]: readonly [unknown]): void {
    tell(this.listeners('progress') as ProgressListener[], value);
  }

  /** It is dead. */
  protected over(): void {}

  /** Resolves when it is. */
  protected get whenOver(): Promise<void> {
    return this.#run?.whenOver ?? Promise.resolve();
  }

  /** It has ended before it could begin with anything: it did not start, or its target could not be loaded. */
  protected get hasDoneNothing(): boolean {
    return this.#run?.hasDoneNothing ?? true;
  }

  /** What a caller is told that waited for a worker which can say nothing any more. */
  protected lost(): WorkerLostError {
    const { code = null, signal = null } = this.exit ?? {};
    const how = signal ?? (code === null ? 'a lost connection' : `exit code ${code}`);
    return new WorkerLostError(`${this.name} ended with ${how} before it could answer`, {
      ...(this.error !== undefined && { cause: this.error }),
      pid: this.pid,
      exitCode: code,
      exitSignal: signal,
    });
  }

  // ---- its life -------------------------------------------------------------------

  /** Starts what it runs in. */
  protected openPlace(): Place {
    const { name, workerType } = this;
    const { env, execArgv, resourceLimits, context } = this.options;
    if (workerType === 'remote') {
      return remotePlace(remoteOf(this.options), typeof context === 'object' ? context.started : undefined);
    }
    return (workerType === 'thread' ? threadPlace : processPlace)({ name, env, execArgv, resourceLimits });
  }

  async #sendStart(run: WorkerRun, target: SentTarget | Promise<SentTarget>): Promise<void> {
    const { args = [], kwargs, setNames = true, transferList = [] } = this.options;
    const { place, state } = run;
    const { lifeline } = place;
    try {
      const message: readonly [SentTarget, StartDetails] = [
        // At once if it can be: nothing may go before it.
        { ...(target instanceof Promise ? await target : target), ...(lifeline !== undefined && { lifeline }) },
        {
          args: kwargs === undefined || this.isPersistent ? args : [...args, kwargs],
          hasKwargs: kwargs !== undefined,
          state,
          persistent: this.isPersistent,
          diesOnError: this.diesOnError,
          title: setNames ? this.name : undefined,
        },
      ];
      place.line.send(SAY.START, message, transferList);
    } catch (error) {
      run.refuse(error as Error);
    }
  }

  protected get diesOnError(): boolean {
    return true;
  }

  #onStarted(message: StartedMessage): void {
    this.#run?.onStarted(message);
    // What a listener throws is no fault of the worker.
    queueMicrotask(() => this.emit('start'));
  }

  #onOver(exit: WorkerEndDetails): void {
    active.delete(this);
    this.#values.end();
    this.over();
    queueMicrotask(() => this.emit('exit', exit));
  }

  #neverStarted(how: string, cause: Error | undefined): Error {
    const why = this.isRemote
      ? 'the server could not be reached, or did not let it in: look at `cause`, and at the token'
      : `it ended with ${how} before it was there`;
    return new WorkerStartError(`${this.name} could not be started: ${why}`, { cause });
  }

  /** The run, if it is over. */
  get #ended(): WorkerRun | undefined {
    return this.#run?.isOver === true ? this.#run : undefined;
  }

  /** And if it is not. */
  get #living(): WorkerRun | undefined {
    return this.#run?.isOver === false ? this.#run : undefined;
  }
}

/** A thread of this process. */
export class ThreadWorker<R = unknown> extends Worker<R> {
  static override readonly isThread = true;

  constructor(options: WorkerOptions = {}) {
    super('thread', false, options);
  }
}

/** A process. */
export class ProcessWorker<R = unknown> extends Worker<R> {
  static override readonly isProcess = true;

  constructor(options: WorkerOptions = {}) {
    super('process', false, options);
  }
}

/** In a process of a RemoteServer. Plain values travel, and its module is one that the server has. */
export class RemoteWorker<R = unknown> extends Worker<R> {
  static override readonly isRemote = true;

  constructor(options: WorkerOptions = {}) {
    super('remote', false, options);
  }
}
