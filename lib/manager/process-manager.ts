// Runs tasks on processes, most urgent first.

import { EventEmitter } from 'node:events';
import type { TransferListItem } from 'node:worker_threads';
import { DataCloneError, InvalidArgumentError } from '../errors.js';
import { Mailbox } from '../mailbox.js';
import { checkKnown, checkSignal, delay, oneOf, ownOptions } from '../own-options.js';
import { Proxy } from '../runtime/proxy.js';
import type { WorkerId } from '../task/context.js';
import { friends } from '../task/graph-task.js';
import type { Manager, RunOptions, ScheduleOptions, TaskHandle } from '../task/manager.js';
import { checkPolicy } from '../task/policy.js';
import { checkListener } from '../task/progress.js';
import { assertSchedulable } from '../task/readiness.js';
import { RunTargets } from '../task/run-targets.js';
import { scheduleOptions } from '../task/schedule-options.js';
import { equip, type FunctionSpec, specName, type TaskSpec } from '../task/spec.js';
import { ROOM_STEP } from '../task/stream-out.js';
import type { RunTarget, TargetReference } from '../task/target.js';
import { choosePriority } from '../task/target.js';
import { Task } from '../task/task.js';
import { encodePayload } from '../wire/payload.js';
import { ClosePolicy, type CloseReport, STRICTNESS } from './close.js';
import { Engine } from './engine.js';
import type { ProcessManagerEvents } from './events.js';
import { type HandNames, NO_NAMES } from './hand-names.js';
import { inTaskResource, ScheduledTask } from './handle.js';
import { holdsShared } from './handovers.js';
import type { ListenAddress } from './listener.js';
import {
  type AddWorkerOptions,
  checkAddedWorker,
  checkManagerOptions,
  checkRemoteWorker,
  type ManagerSettings,
  type ProcessManagerOptions,
  type RemoteWorkerOptions,
} from './options.js';
import { Prefixes } from './prefixes.js';
import type { ManagerStats } from './stats.js';
import { FLAG_INBOX_ERRORS, type Submission } from './submissions.js';
import type { WorkerInfo } from './worker-set.js';

// On no prototype, as all options that are read.
const NO_OPTIONS: RunOptions = Object.freeze(Object.create(null));

/**
 * A scheduler over worker processes.
 *
 * Tasks run in order of priority, first in first out inside a level, and may schedule more. `messages()` yields what
 * they send, and ends when nothing is left.
 *
 * @example
 * await using manager = new ProcessManager({ workers: 4 });
 * manager.schedule(new Index('/data'), 0);
 * for await (const message of manager.messages()) console.log(message);
 */
export class ProcessManager extends EventEmitter<ProcessManagerEvents> implements Manager, AsyncDisposable {
  static readonly ClosePolicy = ClosePolicy;
  static readonly Proxy = Proxy;

  readonly #settings: ManagerSettings;
  readonly #engine: Engine;
  readonly #names: Pick<HandNames, 'placeFor'>;
  readonly #prefixes = new Prefixes();
  readonly #targets = new RunTargets();

  /**
   * Starts `minWorkers` workers.
   *
   * @throws InvalidArgumentError, OutOfRangeError for bad options, and the reason of a `signal` that is aborted already;
   * nothing has been started then.
   */
  constructor(options?: ProcessManagerOptions);
  /** @internal Of a crew, see crew-office.ts. */
  constructor(settings: ManagerSettings, names: HandNames, open: (engine: Engine) => void);
  constructor(given: ProcessManagerOptions | ManagerSettings = {}, names?: HandNames, open?: (engine: Engine) => void) {
    super();
    this.#settings =
      names === undefined ? checkManagerOptions(given as ProcessManagerOptions) : (given as ManagerSettings);
    this.#names = names ?? NO_NAMES;
    this.#engine = new Engine(this.#settings, this);
    open?.(this.#engine);
  }

  /** Tasks that have not ended, from the call of `schedule` or `run` on. */
  get tasksLeft(): number {
    return this.#engine.tasksLeft;
  }

  get workers(): readonly WorkerInfo[] {
    return this.#engine.info();
  }

  /** Where peers may connect, once `ready()` has resolved: a path, or a host and a port. Undefined without `listen`. */
  get address(): ListenAddress | undefined {
    return this.#engine.address;
  }

  /** What peers must send first. Who has it may run code in the workers: give it away by a file or a pipe, not in argv. */
  get token(): string | undefined {
    return this.#settings.listen?.token;
  }

  /**
   * Runs a task on some worker. Its failure reaches the handle's result and, as a WorkerException, `messages()`.
   *
   * @param priority 0 is the most urgent; beats the task's own; `min(1, levels - 1)` when neither is given. Or options.
   * @throws OutOfRangeError (ERR_BOSUN_OUT_OF_RANGE) for a level that does not exist.
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for `to`, unless this is the manager of a crew with that name.
   * @throws FSMError (ERR_BOSUN_FSM) unless the task is PENDING: `retry()` or `clone()` it.
   * @throws BlockedError (ERR_BOSUN_BLOCKED) when a task that it requires has not been completed.
   * @throws NotPortableError (ERR_BOSUN_NOT_PORTABLE) when a worker could not rebuild the task.
   * @throws DataCloneError (ERR_BOSUN_DATA_CLONE) when a field or an argument cannot travel.
   * @throws FrameTooLargeError (ERR_BOSUN_FRAME_TOO_LARGE) for a task above `maxFrameBytes`.
   * @throws QueueFullError (ERR_BOSUN_QUEUE_FULL) above `maxQueue`, unless `whenFull` is `'wait'`.
   * @throws ManagerClosedError (ERR_BOSUN_MANAGER_CLOSED)
   * @throws the reason of the task's signal when that is aborted already.
   */
  schedule<R>(task: Task<R>, priority?: number | ScheduleOptions): TaskHandle<R> {
    this.#engine.assertOpen();
    assertSchedulable(task);
    const options = scheduleOptions(priority);
    const spec = equip(task, friends.isFollowed(task));
    const level = choosePriority(options.priority, task.priority, this.#settings.levels);
    const place = this.#names.placeFor(options.to);
    this.#engine.prepare(task.signal);
    const handle = new ScheduledTask<R>(this.#engine.nextId, task, this.#engine);
    const policy = checkPolicy(task.limits, this.#settings.policy);
    const name = specName(spec);
    const prefix = this.#prefixes.of(spec);
    const submission = { level, place, flags: FLAG_INBOX_ERRORS, spec, prefix, policy, waiter: handle, name };
    // From here on: it may end before it is known that it waits.
    friends.hold(task, handle);
    try {
      handle.ticket = this.#submit(submission, task.signal);
    } catch (error) {
      friends.release(task);
      throw error;
    }
    friends.begin(task, handle, 'queue');
    return handle;
  }

  #submit(submission: Submission, signal: AbortSignal | undefined): number {
    try {
      return this.#engine.submit(submission, signal);
    } catch (error) {
      const { spec } = submission;
      const task = spec[0] === 'w' ? spec[2] : spec;
      // Between threads there are more ways than bytes, for memory that they share.
      const isForThread = error instanceof DataCloneError && this.#settings.kind === 'thread' && task[0] === 'f';
      if (!isForThread || !holdsShared(task[4])) throw error;
      return this.#handOver(submission, task, [], signal);
    }
  }

  #handOver(
    submission: Submission,
    [, name, module, exportName, args]: FunctionSpec,
    transferList: readonly TransferListItem[],
    signal: AbortSignal | undefined,
  ): number {
    const { handovers } = this.#engine;
    const handover = handovers.give(args, transferList);
    try {
      const task: TaskSpec = ['h', name, module, exportName, handover];
      const whole = submission.spec;
      const spec: TaskSpec = whole[0] === 'w' ? ['w', '', task, whole[3], whole[4]] : task;
      return this.#engine.submit({ ...submission, spec, prefix: undefined, handover }, signal);
    } catch (error) {
      handovers.drop(handover);
      throw error;
    }
  }

  #checkTransfer(transferList: RunOptions['transferList']): RunOptions['transferList'] {
    if (transferList === undefined) return undefined;
    if (!Array.isArray(transferList)) throw new InvalidArgumentError('transferList is a list of what is to be moved');
    if (this.#settings.kind === 'thread') return transferList;
    throw new InvalidArgumentError("transferList moves things between threads: it is for managers of kind 'thread'");
  }

  /**
   * Calls an exported function in a worker. Its failure reaches only this promise.
   *
   * @throws OutOfRangeError, InvalidArgumentError, ManagerClosedError at the call; all else rejects: a QueueFullError, the
   * reason of an aborted signal, a TimeoutError, a DeadlineError, a WorkerException.
   */
  run<R>(target: RunTarget, args: readonly unknown[] = [], options: RunOptions = NO_OPTIONS): Promise<R> {
    this.#engine.assertOpen();
    const { module, exportName: name } = this.#targets.resolve(target);
    if (!Array.isArray(args)) throw new InvalidArgumentError('args is an array of arguments');
    const given = options === NO_OPTIONS ? options : ownOptions(options, 'the options of run');
    const level = choosePriority(given.priority, undefined, this.#settings.levels);
    const place = this.#names.placeFor(given.to);
    const policy = checkPolicy(given, this.#settings.policy);
    const signal = checkSignal(given.signal);
    const onProgress = checkListener(given.onProgress);
    const transferList = this.#checkTransfer(given.transferList);
    return inTaskResource(() => {
      // What is thrown in here rejects the promise.
      return new Promise<R>((resolve) => {
        this.#engine.prepare(signal);
        const spec: FunctionSpec = ['f', '', module, name, args];
        const waiter = resolve as (outcome: unknown) => void;
        const prefix = transferList === undefined ? this.#prefixes.of(spec) : undefined;
        const submission = { level, place, flags: 0, spec, prefix, policy, waiter, name, onProgress };
        if (transferList === undefined) this.#submit(submission, signal);
        else this.#handOver(submission, spec, transferList, signal);
      });
    });
  }

  /**
   * Calls an exported generator function, async or not, in a worker, and yields its values at the reader's pace: 16 are made
   * ahead. What it returns is what the iterator returns. It begins with the first `next()`, is never run again, and is
   * cancelled when the loop is left. `ctx.progress` in there is another way to yield, which does not wait for the reader.
   *
   * @example
   * for await (const row of manager.stream('./rows.js#read', ['data.csv'])) console.log(row);
   *
   * @throws OutOfRangeError, InvalidArgumentError, ManagerClosedError at the call; the iterator throws what `run` rejects with.
   */
  stream<V = unknown, R = unknown>(
    target: RunTarget,
    args: readonly unknown[] = [],
    options: Omit<RunOptions, 'onProgress' | 'transferList' | 'retry'> = NO_OPTIONS,
  ): AsyncGenerator<V, R, undefined> {
    this.#engine.assertOpen();
    const { module, exportName } = this.#targets.resolve(target);
    const task = Task.from<R>(module, exportName, args);
    const given = ownOptions(options, 'the options of stream');
    checkKnown(given, ['priority', 'to', 'timeout', 'deadline', 'signal'], 'stream');
    const level = choosePriority(given.priority, undefined, this.#settings.levels);
    const place = this.#names.placeFor(given.to);
    const policy = { ...checkPolicy(given, this.#settings.policy), maxRetries: 0 };
    const signal = checkSignal(given.signal);
    return this.#read<V, R>(task, { level, place, policy }, signal);
  }

  async *#read<V, R>(
    task: Task<R>,
    fields: Pick<Submission, 'level' | 'place' | 'policy'>,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<V, R, undefined> {
    this.#engine.assertOpen();
    this.#engine.prepare(signal);
    const { module, exportName: name } = task.target as TargetReference;
    const handle = new ScheduledTask<R>(this.#engine.nextId, task, this.#engine);
    const values = new Mailbox<V>();
    handle.onProgress((value) => values.put(value as V));
    const spec: TaskSpec = ['g', '', module, name, task.args];
    handle.ticket = this.#submit({ ...fields, flags: 0, spec, prefix: undefined, waiter: handle, name }, signal);
    const end = () => values.end();
    handle.result.then(end, end);
    let taken = 0;
    let isOver = false;
    try {
      for (let next = await values.take(); !next.done; next = await values.take()) {
        yield next.value;
        taken += 1;
        if (taken % ROOM_STEP === 0) handle.send(ROOM_STEP);
      }
      isOver = true;
      return await handle.result;
    } finally {
      if (!isOver) handle.cancel('nobody reads what it yields any more');
    }
  }

  /**
   * Starts one worker more beyond `workers`. A process or a thread is not replaced when it dies. `'remote'` dials a host
   * where `bosun serve` or a RemoteServer runs, and dials again when the link is lost, with another number then.
   *
   * @returns its number.
   * @throws ManagerClosedError; InvalidArgumentError for options that the kind does not have; the system's error when there
   * is no room for another one.
   */
  addWorker(kind: 'process' | 'thread', options?: AddWorkerOptions): WorkerId;
  addWorker(kind: 'remote', options?: RemoteWorkerOptions): WorkerId;
  addWorker(kind: 'process' | 'thread' | 'remote', options: AddWorkerOptions | RemoteWorkerOptions = {}): WorkerId {
    this.#engine.assertOpen();
    if (kind === 'remote') return this.#engine.addRemote(checkRemoteWorker(options as RemoteWorkerOptions));
    return this.#engine.addWorker(checkAddedWorker(kind, options as AddWorkerOptions, this.#settings));
  }

  /**
   * Resolves when the queue has room (`maxQueue`), so that a producer goes at the workers' pace.
   *
   * @throws ManagerClosedError (ERR_BOSUN_MANAGER_CLOSED)
   */
  async room(): Promise<void> {
    this.#engine.assertOpen();
    await this.#engine.room();
    this.#engine.assertOpen();
  }

  /** Puts a message into this manager's own inbox. @throws ManagerClosedError, DataCloneError */
  sendMessage(message: unknown): void {
    this.#engine.assertOpen();
    this.#engine.post(encodePayload(message, 'message'));
  }

  /**
   * What tasks send and how scheduled tasks fail (as WorkerException), in order of arrival; each worker's in the order
   * in which it sent them. Ends when the inbox is empty and no task is left; the reader may schedule more. One reader at
   * a time; `break` leaves the manager usable.
   *
   * @throws BosunError (ERR_BOSUN_MANAGER_BUSY) for a second reader.
   * @throws WorkerStartError (ERR_BOSUN_WORKER_START) from the iteration when no worker can be set up.
   */
  messages(): AsyncIterableIterator<unknown> {
    return this.#engine.openInbox();
  }

  /**
   * Resolves when `minWorkers` workers of this host are set up, remote ones that are dialled have been for once, and peers
   * can connect if there is `listen`. Rejects with a WorkerStartError, a ListenError or a ManagerClosedError when that
   * cannot be.
   */
  ready(): Promise<void> {
    return this.#engine.ready();
  }

  /**
   * The counts now, and how long tasks ran and waited.
   *
   * @param options.reset begin the histograms of `run` and `wait` anew.
   */
  stats(options: { readonly reset?: boolean } = {}): ManagerStats {
    return this.#engine.stats(ownOptions(options, 'the options of stats').reset === true);
  }

  /**
   * Ends the manager. Later calls get the same report; a stricter policy, or the timeout of JOIN, makes it stricter.
   *
   * @param policy JOIN waits for everything, CANCEL drops what waits and asks what runs to stop, KILL is SIGKILL.
   * @param options.timeout milliseconds: JOIN becomes KILL then; CANCEL gives running tasks so long instead of `grace`.
   */
  close(policy: ClosePolicy = ClosePolicy.JOIN, options: { readonly timeout?: number } = {}): Promise<CloseReport> {
    oneOf('the close policy', policy, STRICTNESS);
    const { timeout } = ownOptions(options, 'the options of close');
    return this.#engine.close(policy, timeout === undefined ? undefined : delay('timeout', timeout));
  }

  /** CANCEL: an `await using` block cannot see whether it is left by an error. See `withManager` for KILL on errors. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close(ClosePolicy.CANCEL);
  }
}
