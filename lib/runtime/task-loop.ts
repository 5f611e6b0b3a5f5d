// Runs the tasks that arrive at a worker, as many at once as it may, until it is to close.

import { describe } from '../describe.js';
import { FrameTooLargeError, ResultCloneError, WouldDeadlockError } from '../errors.js';
import { MAX_LANES, WORKER_HEAD, WORKER_LARGE, WORKER_NOTHING } from '../native.js';
import { callInContext, runInContext } from '../task/context.js';
import { RunContext, type RunEnvironment } from '../task/run-context.js';
import { revive, runTask, specName, type TaskBody, type TaskSpec } from '../task/spec.js';
import { iteratorOf } from '../task/stream-out.js';
import { makeTask } from '../task/task.js';
import { isThenable } from '../thenable.js';
import { checkFrameSize, DONE_FIELDS, FRAME, TASK_FIELDS, TASK_FOREIGN } from '../wire/frame.js';
import { type ByteRange, decodePart, decodePayload, isLongBuffer, rangeOf } from '../wire/payload.js';
import { type Experience, KnownTargets } from './known-targets.js';
import { DONE_STATUS, type Link } from './link.js';

/** Of an error that is too long to be sent; maxFrameBytes is at least 1024. */
const MAX_CUT_CHARS = 100;

/** What `#start` returns instead of a status: the task goes on by itself. */
const PENDING = -1;

const NOTHING = rangeOf(new Uint8Array(0));

/** A task that waits for something. */
interface Run {
  readonly sequence: number;
  readonly lane: number;
  readonly context: RunContext;
  readonly name: string;
}

export class TaskLoop {
  readonly #link: Link;
  readonly #environment: RunEnvironment;
  readonly #targets: KnownTargets;
  readonly #concurrency: number;
  /** Of the status page, that were in use and are free. */
  readonly #freeLanes: number[] = [];
  #lanes = 0;
  /** Tasks that have begun and not ended. */
  #begun = 0;
  /** Those of them that wait for others, and so have lent their places to those. */
  #suspended = 0;
  /** By their sequence numbers. Those that never wait for anything are over before anybody could ask for them. */
  readonly #waiting = new Map<number, Run>();
  /** What was sent to tasks that have not begun, by their sequence numbers. */
  readonly #letters = new Map<number, unknown[]>();
  /** The number of the task that was begun last. */
  #lastBegun = 0;
  /** Why tasks are to stop that have yet to begin. */
  readonly #stopped = new Map<number, number>();
  /** Of the task that is being started or has just ended. */
  #name = '';
  #experience: Experience | undefined;
  #result: ByteRange | Buffer = NOTHING;
  /** The result is a Buffer, and not encoded. */
  #isRaw = false;
  #finished: () => void = () => {};

  /** @param concurrency how many tasks may run at once, without those that wait for others. */
  constructor(link: Link, environment: Omit<RunEnvironment, 'suspend'>, concurrency: number) {
    this.#link = link;
    this.#environment = {
      ...environment,
      suspend: (step) => this.#suspend(step),
    };
    this.#targets = new KnownTargets(link);
    this.#concurrency = concurrency;
    // The manager asks for those that were begun here, or takes them back; the answer of one that is over was on its way.
    link.onCancel = (sequence, reason) => this.#stop(sequence, reason);
    link.onLetter = (sequence, letter) => this.#deliver(sequence, letter);
    link.onClose = (request) => {
      if (request.abort) for (const { context } of this.#waiting.values()) context.close();
      this.#beginAll();
    };
  }

  /** Ends when the manager asks the worker to close, behind the tasks that run then. */
  run(): Promise<void> {
    return new Promise((resolve) => {
      this.#finished = resolve;
      this.#link.onTasks = () => this.#beginAll();
      this.#beginAll();
    });
  }

  /** Begins what there is while there are lanes; what never waits for anything costs no turn of the event loop. */
  #beginAll(): void {
    // What is held back is flushed before the event loop sleeps.
    while (this.#begun - this.#suspended < this.#concurrency) {
      const lane = this.#freeLanes.pop() ?? this.#lanes++;
      let length = this.#link.begin(lane, this.#begun >= this.#concurrency);
      this.#begun += 1;
      while (length !== WORKER_NOTHING) {
        const status = this.#start(lane, length);
        if (status === PENDING) break;
        length = this.#endAndBegin(lane, status);
      }
      if (length !== WORKER_NOTHING) continue;
      this.#begun -= 1;
      this.#freeLanes.push(lane);
      this.#rest();
      return;
    }
  }

  #deliver(sequence: number, letter: unknown): void {
    const run = this.#waiting.get(sequence);
    if (run !== undefined) {
      run.context.deliver(letter);
      return;
    }
    const letters = this.#letters.get(sequence);
    if (letters === undefined) this.#letters.set(sequence, [letter]);
    else letters.push(letter);
  }

  /** What was sent to a task before it begins, and to those before it that were taken back, or are over. */
  #deliverEarly(context: RunContext): void {
    for (const [sequence, letters] of this.#letters) {
      // The numbers wrap at 2^32; a difference does not.
      const ahead = (sequence - context.sequence) | 0;
      if (ahead === 0) for (const letter of letters) context.deliver(letter);
      if (ahead <= 0) this.#letters.delete(sequence);
    }
  }

  #suspend(step: 1 | -1): void {
    if (step === 1 && this.#suspended + this.#concurrency >= MAX_LANES) {
      throw new WouldDeadlockError(
        `${this.#suspended} tasks of this worker wait for others, and no more can: schedule less deeply`,
      );
    }
    this.#suspended += step;
  }

  #rest(): void {
    if (this.#link.closing === undefined) {
      this.#link.rest();
      return;
    }
    this.#link.flush();
    if (this.#waiting.size === 0) this.#finished();
  }

  #stop(sequence: number, reason: number): void {
    const run = this.#waiting.get(sequence);
    if (run !== undefined) run.context.stop(reason);
    // A remote manager cannot take back what has not begun, and so asks for that as well.
    else if (((sequence - this.#lastBegun) | 0) > 0) this.#stopped.set(sequence, reason);
  }

  /** Starts one task: the status with which it is over, or PENDING. */
  #start(lane: number, length: number): number {
    const link = this.#link;
    const { head } = link;
    const sequence = head[WORKER_HEAD.SEQUENCE] as number;
    const id = (head[WORKER_HEAD.ID_LOW] as number) + (head[WORKER_HEAD.ID_HIGH] as number) * 2 ** 32;
    const context = new RunContext(this.#environment, sequence, lane, id, head[WORKER_HEAD.ATTEMPT] as number);
    if (this.#letters.size > 0) this.#deliverEarly(context);
    this.#experience = undefined;
    this.#name = '';
    this.#lastBegun = sequence;
    try {
      if (this.#stopped.size > 0 || link.closing?.abort === true) this.#checkStopped(context, sequence);
      const known = head[WORKER_HEAD.FLAGS] === 0 ? this.#targets.at(head[WORKER_HEAD.PREFIX] as number) : undefined;
      let outcome: unknown;
      if (known === undefined) {
        outcome = this.#startUnknown(lane, length, context);
      } else {
        this.#name = known.name;
        const details = decodePart(link.input, head[WORKER_HEAD.PREFIX_BYTES] as number, length);
        this.#prepare(known.experience);
        outcome = known.isClass
          ? runInContext(context, () => {
              return runTask(makeTask(known.exported, { name: known.name }, details as object), context);
            })
          : callInContext(context, known.exported, details as unknown[]);
      }
      if (!isThenable(outcome)) {
        context.end();
        return this.#succeed(outcome);
      }
      this.#await({ sequence, lane, context, name: this.#name }, outcome, this.#experience);
      return PENDING;
    } catch (error) {
      context.end();
      return this.#fail(context, error);
    }
  }

  /** @throws the reason for which it is not to begin. */
  #checkStopped(context: RunContext, sequence: number): void {
    const reason = this.#stopped.get(sequence);
    this.#stopped.delete(sequence);
    if (reason !== undefined) context.stop(reason);
    if (this.#link.closing?.abort === true) context.close();
    context.checkpoint();
  }

  /** What ends before this one begins must not go with it, unless it is a short one by experience. */
  #prepare(experience: Experience | undefined): void {
    this.#experience = experience;
    if ((this.#link.head[WORKER_HEAD.HELD] as number) > 0 && experience?.isShort !== true) this.#link.flush();
  }

  #startUnknown(lane: number, length: number, context: RunContext): unknown {
    const link = this.#link;
    const isForeign = ((link.head[WORKER_HEAD.FLAGS] as number) & TASK_FOREIGN) !== 0;
    const isLarge = length === WORKER_LARGE;
    const bytes = isLarge ? link.takeLarge() : link.input;
    const start = isLarge ? TASK_FIELDS : 0;
    const end = isLarge ? bytes.length : length;
    const spec = isForeign
      ? link.codec.foreignTask(bytes, start, end)
      : (decodePayload(bytes, start, end, isLarge) as TaskSpec);
    this.#name = specName(spec);
    const tellsStart = spec[0] === 'w' && spec[3];
    // Without a value: it has begun.
    if (tellsStart) link.sendNumber(FRAME.PROGRESS, context.sequence);
    const body = revive(spec);
    if (body instanceof Promise) {
      this.#prepare(undefined);
      const begin = (loaded: TaskBody) => {
        link.restart(lane);
        return runInContext(context, () => loaded.run(context));
      };
      return body.then(begin);
    }
    const { exported } = body;
    if (exported !== undefined && !isForeign && !isLarge) {
      this.#targets.remember(bytes.subarray(start, end), spec, exported);
    }
    this.#prepare(exported && this.#targets.experienceOf(exported));
    if (tellsStart && this.#experience?.isShort !== true) link.flush();
    return runInContext(context, () => body.run(context));
  }

  #await(run: Run, outcome: PromiseLike<unknown>, experience: Experience | undefined): void {
    this.#waiting.set(run.sequence, run);
    const settle = (end: () => number): void => {
      this.#waiting.delete(run.sequence);
      run.context.end();
      this.#begun -= 1;
      this.#name = run.name;
      this.#experience = experience;
      this.#end(run.lane, end());
      this.#freeLanes.push(run.lane);
      this.#beginAll();
    };
    void Promise.resolve(outcome).then(
      (value) => settle(() => this.#succeed(value)),
      (error: unknown) => settle(() => this.#fail(run.context, error)),
    );
  }

  /** The status of a task with this result, which is kept for `#end`. */
  #succeed(value: unknown): number {
    try {
      this.#isRaw = isLongBuffer(value);
      this.#result = this.#isRaw ? (value as Buffer) : this.#link.codec.result(value);
      const { maxFrameBytes } = this.#link;
      const bytes = this.#isRaw
        ? 1 + (value as Buffer).length
        : (this.#result as ByteRange).end - (this.#result as ByteRange).start;
      checkFrameSize('the result', DONE_FIELDS + bytes, maxFrameBytes);
      return DONE_STATUS.VALUE;
    } catch (error) {
      const failure =
        error instanceof FrameTooLargeError ? error : new ResultCloneError(refusalOf(value, error), { cause: error });
      return this.#failed(rangeOf(this.#link.codec.failure(this.#name, failure)));
    }
  }

  /** The same for one that threw. */
  #fail(context: RunContext, error: unknown): number {
    if (context.stopped !== undefined) {
      this.#failed(NOTHING);
      return DONE_STATUS.CANCELLED;
    }
    const { maxFrameBytes } = this.#link;
    const failure = this.#link.codec.failure(this.#name, error);
    if (DONE_FIELDS + failure.byteLength <= maxFrameBytes) return this.#failed(rangeOf(failure));
    const text = describe(error).slice(0, MAX_CUT_CHARS);
    const cut = new FrameTooLargeError(`an error above maxFrameBytes, cut short: ${text}`);
    return this.#failed(rangeOf(this.#link.codec.failure(this.#name, cut)));
  }

  #failed(payload: ByteRange): number {
    this.#isRaw = false;
    this.#result = payload;
    return DONE_STATUS.ERROR;
  }

  #end(lane: number, status: number): void {
    if (this.#isRaw) this.#link.doneBuffer(lane, status, this.#result as Buffer);
    else this.#link.done(lane, status, this.#result as ByteRange);
    this.#learn();
  }

  #endAndBegin(lane: number, status: number): number {
    if (this.#isRaw) {
      this.#end(lane, status);
      return this.#link.begin(lane, this.#begun > this.#concurrency);
    }
    // The one that has ended is among them still.
    const length = this.#link.next(lane, status, this.#result as ByteRange, this.#begun > this.#concurrency);
    this.#learn();
    return length;
  }

  #learn(): void {
    this.#experience?.learn(this.#link.head[WORKER_HEAD.RUN_US] as number);
  }
}

function refusalOf(value: unknown, error: unknown): string {
  if (iteratorOf(value) === undefined) return (error as Error).message;
  return 'the result is a generator: stream() of the manager gives what it yields';
}
