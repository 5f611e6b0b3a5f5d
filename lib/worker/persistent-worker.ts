// A worker that calls its target for one input after the other.

import { TimeoutError, WorkerClosedError, WorkerTerminatedError } from '../errors.js';
import { Mailbox } from '../mailbox.js';
import { delay, integer, oneOf, ownOptions } from '../own-options.js';
import { type Defaults, overlay } from '../runtime/overlay.js';
import type { DoneMessage, InputMessage, LimitsMessage } from '../runtime/target-loop.js';
import { SAY } from '../wire/line.js';
import { type TerminateOptions, Worker } from './worker.js';
import { isToRun, WORKER_OPTIONS, type WorkerOptions, WorkerType } from './worker-options.js';

/** Options of a persistent worker. */
export interface PersistentWorkerOptions extends WorkerOptions {
  /** What the target throws ends the worker, and the inputs behind it are lost; or it is told of in its place. */
  readonly onError?: 'die' | 'report';
}

/** How `restart` waits for the worker to end before it is started again. */
export interface RestartOptions extends TerminateOptions {
  /** Milliseconds that the inputs which are there may take; then it is terminated. As long as it takes unless given. */
  readonly wait?: number;
}

/** What became of an input. */
export type Outcome<V> = { readonly value: V } | { readonly error: unknown };

/** Is told of an input that is settled, and how many microseconds that took the worker; 0 when it did not say. */
export type Settle<V> = (outcome: Outcome<V>, micros: number) => void;

/** An input without a result. */
interface Pending<V> {
  readonly args: readonly unknown[];
  /** Of a `call`; the results of others are for `nextResult` and `results`. */
  readonly settle: Settle<V> | undefined;
}

const KNOWN = [...WORKER_OPTIONS, 'onError'];

/** Without the statics of Worker, of which `create` makes something else. */
const Base = Worker as abstract new <R>(
  workerType: WorkerType,
  isPersistent: boolean,
  options: WorkerOptions,
  known: readonly string[],
) => Worker<R>;

/**
 * Calls its target for each input, in order, until it is closed; `result` is then how many inputs it has worked off.
 *
 * @example
 * await using worker = new PersistentProcessWorker({ target: './square.js#square' });
 * for (const n of [1, 2, 3]) await worker.enqueue(n);
 * worker.close();
 * for await (const square of worker.results()) console.log(square);
 */
export abstract class PersistentWorker<V = unknown> extends Base<number> {
  static readonly isThread: boolean = false;
  static readonly isProcess: boolean = false;
  static readonly isRemote: boolean = false;
  static readonly isPersistent: boolean = true;

  /** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for what is no kind of worker. */
  static create<V = unknown>(type: WorkerType, options: PersistentWorkerOptions = {}): PersistentWorker<V> {
    oneOf('the type of a worker', type, Object.values(WorkerType));
    if (type === 'remote') return new PersistentRemoteWorker<V>(options);
    return type === 'thread' ? new PersistentThreadWorker<V>(options) : new PersistentProcessWorker<V>(options);
  }

  readonly onError: 'die' | 'report';
  readonly #pending = new Map<number, Pending<V>>();
  readonly #defaults: Defaults;
  readonly #results = new Mailbox<Outcome<V>>();
  #restarting: Promise<this> | undefined;
  #staysDead = false;
  #sequence = 0;
  /** The last input before it was started. */
  #firstSequence = 0;
  #begun = performance.now();
  #isRetiring = false;

  /** @internal */
  constructor(workerType: WorkerType, given: PersistentWorkerOptions) {
    const { onError = 'die', ...options } = ownOptions(given, 'the options of a worker');
    oneOf('onError', onError, ['die', 'report']);
    super(workerType, true, { ...options, run: false }, KNOWN);
    this.onError = onError;
    this.#defaults = { args: options.args ?? [], kwargs: options.kwargs };
    if (isToRun(options)) this.begin();
    else this.#results.end();
  }

  /** The inputs that have no result yet, or were lost with the worker, in order. */
  get pendingInputs(): readonly (readonly unknown[])[] {
    return [...this.#pending.values()].map(({ args }) => args);
  }

  /**
   * An input: these arguments over the worker's own ones, from the left. Beyond them a last plain object is laid over
   * `kwargs`, if the worker has some.
   *
   * @returns when the worker has taken most of what it was sent.
   * @throws WorkerClosedError (ERR_BOSUN_WORKER_CLOSED), DataCloneError; nothing was sent then.
   */
  async enqueue(...args: unknown[]): Promise<void> {
    this.#assertOpen();
    this.send(SAY.INPUT, this.#input(args));
    this.#remember(args, undefined);
    await this.drained();
  }

  /** An input, and its own result, which `nextResult` and `results` do not see. Rejects with what the target threw. */
  call(...args: unknown[]): Promise<V> {
    return new Promise((resolve, reject) => {
      this.submit(args, (outcome) => ('error' in outcome ? reject(outcome.error as Error) : resolve(outcome.value)));
    });
  }

  /** @internal As `call`, for who has many. @throws WorkerClosedError, DataCloneError */
  submit(args: readonly unknown[], settle: Settle<V>): void {
    this.#assertOpen();
    this.sendSoon(SAY.INPUT, this.#input(args));
    this.#remember(args, settle);
  }

  /**
   * The next result, in the order of the inputs. Rejects with what the target threw, with `onError: 'report'`.
   *
   * @param options.timeout milliseconds.
   * @throws WorkerClosedError (ERR_BOSUN_WORKER_CLOSED) when no more will come.
   * @throws TimeoutError (ERR_BOSUN_TIMEOUT); the result is not lost, the next call gets it.
   */
  async nextResult(options: { readonly timeout?: number } = {}): Promise<V> {
    const { timeout } = ownOptions(options, 'the options of nextResult');
    const taken = timeout === undefined ? this.#results.take() : this.#results.takeWithin(delay('timeout', timeout));
    const delivery = await taken;
    if (delivery === undefined) throw new TimeoutError(`${this.name} had no result within ${timeout} ms`);
    if (delivery.done) throw new WorkerClosedError(`${this.name} has ended: there are no more results`);
    if ('error' in delivery.value) throw delivery.value.error;
    return delivery.value.value;
  }

  /**
   * The results as they come, until the worker has ended.
   *
   * @param max no more than these.
   */
  async *results(max = Number.MAX_SAFE_INTEGER): AsyncGenerator<V> {
    integer('max', max, 0, Number.MAX_SAFE_INTEGER);
    for (let i = 0; i < max; i++) {
      const delivery = await this.#results.take();
      if (delivery.done) return;
      if ('error' in delivery.value) throw delivery.value.error;
      yield delivery.value.value;
    }
  }

  /** As `results()`. */
  override [Symbol.asyncIterator](): AsyncGenerator<V> {
    return this.results();
  }

  /**
   * Starts it again, with what it was made with and the `userState` that it has left. It is given time to end before; results
   * that nobody has read yet stay.
   *
   * @throws WorkerClosedError (ERR_BOSUN_WORKER_CLOSED) when it does not end: `force: false`.
   */
  restart(options: RestartOptions = {}): Promise<this> {
    this.#restarting ??= this.#restart(options).finally(() => {
      this.#restarting = undefined;
    });
    return this.#restarting;
  }

  /** As of every worker; one that is being restarted stays dead. */
  override terminate(options: TerminateOptions = {}): Promise<boolean> {
    this.#staysDead = true;
    return super.terminate(options);
  }

  /** @internal Behind the input with which it goes over one of these, it ends by itself: `hasRetired`. */
  limit(memory: number | undefined, age: number | undefined): void {
    if (memory === undefined && age === undefined) return;
    this.send(SAY.LIMITS, [memory ?? 0, age ?? 0] satisfies LimitsMessage);
  }

  /** @internal It has had its share: it ends behind the inputs that it has. */
  retire(): void {
    this.#isRetiring = true;
    this.close();
  }

  /** @internal It has had its share, and has ended for that, or is about to. */
  get hasRetired(): boolean {
    return this.#isRetiring;
  }

  /** @internal */
  get takesInputs(): boolean {
    return this.isAlive() && !this.isClosed && !this.#isRetiring;
  }

  /** @internal Since it was started: inputs, and milliseconds. */
  get use(): { readonly inputs: number; readonly age: number } {
    return { inputs: this.#sequence - this.#firstSequence, age: performance.now() - this.#begun };
  }

  /** @internal Resolves when it is dead, or has been started again. */
  async ended(): Promise<void> {
    await this.whenOver;
    await this.#restarting?.catch(() => {});
  }

  async #restart(options: RestartOptions): Promise<this> {
    const { wait, ...ladder } = ownOptions(options, 'the options of restart');
    this.#staysDead = false;
    const isDead = (await this.wait(wait)) || (await super.terminate(ladder));
    if (!isDead) throw new WorkerClosedError(`${this.name} does not end, so it cannot be restarted: allow force`);
    if (this.#staysDead) throw new WorkerClosedError(`${this.name} was terminated while it was to be restarted`);
    this.#pending.clear();
    this.#results.reopen();
    this.#firstSequence = this.#sequence;
    this.#begun = performance.now();
    this.#isRetiring = false;
    this.begin(this.userState);
    return this.started;
  }

  protected override get diesOnError(): boolean {
    return this.onError === 'die';
  }

  protected override receive(type: number, value: unknown): void {
    if (type === SAY.DONE) this.#onDone(value as DoneMessage);
    else super.receive(type, value);
  }

  protected override over(): void {
    // It worked on the first of them, as a rule; the others it had not begun.
    let error = this.#firstError() ?? this.#notBegun();
    for (const { settle } of this.#pending.values()) {
      settle?.({ error }, 0);
      error = this.#notBegun();
    }
    this.#results.end();
  }

  #firstError(): Error | undefined {
    if (this.failedInput !== undefined || this.error instanceof WorkerTerminatedError) return this.error;
    return this.hasDoneNothing ? undefined : this.lost();
  }

  #notBegun(): Error {
    return new WorkerClosedError(`${this.name} ended before it began with this input`, { cause: this.error });
  }

  #assertOpen(): void {
    if (!this.takesInputs) throw new WorkerClosedError(`${this.name} takes no more inputs`);
  }

  #input(args: readonly unknown[]): InputMessage {
    return [this.#sequence + 1, overlay(args, this.#defaults)];
  }

  /** What could not be sent has no place among them. */
  #remember(args: readonly unknown[], settle: Pending<V>['settle']): void {
    this.#sequence += 1;
    this.#pending.set(this.#sequence, { args, settle });
  }

  #onDone([sequence, micros, isLast, value, error]: DoneMessage): void {
    this.#isRetiring ||= isLast === true;
    const pending = this.#pending.get(sequence);
    if (pending === undefined) return;
    this.#pending.delete(sequence);
    const outcome: Outcome<V> = error === undefined ? { value: value as V } : { error: this.decodeError(error) };
    if (pending.settle === undefined) this.#results.put(outcome);
    // A server may say anything.
    else pending.settle(outcome, Number.isFinite(micros) ? micros : 0);
  }
}

/** In a thread of this process. */
export class PersistentThreadWorker<V = unknown> extends PersistentWorker<V> {
  static override readonly isThread = true;

  constructor(options: PersistentWorkerOptions = {}) {
    super('thread', options);
  }
}

/** In a process. */
export class PersistentProcessWorker<V = unknown> extends PersistentWorker<V> {
  static override readonly isProcess = true;

  constructor(options: PersistentWorkerOptions = {}) {
    super('process', options);
  }
}

/** In a process of a RemoteServer. */
export class PersistentRemoteWorker<V = unknown> extends PersistentWorker<V> {
  static override readonly isRemote = true;

  constructor(options: PersistentWorkerOptions = {}) {
    super('remote', options);
  }
}
