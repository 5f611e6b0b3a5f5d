// Runs the tasks that arrive at a worker, one after the other, until it is to close.

import { describe } from '../describe.js';
import { FrameTooLargeError, ResultCloneError } from '../errors.js';
import { runInContext } from '../task/context.js';
import { revive, specName, type TaskBody, type TaskSpec } from '../task/spec.js';
import { encodeFailure } from '../wire/failure.js';
import { checkFrameSize, DONE_FIELDS } from '../wire/frame.js';
import { decodePayload, encodePayload } from '../wire/payload.js';
import { DONE_STATUS, type Job, type Link } from './link.js';
import { RunContext, type RunEnvironment } from './run-context.js';

/**
 * What is finished waits for company only while the next tasks are as short as this by experience. Whatever else begins,
 * a long task or one that was never seen, begins with nothing held back: it may not return.
 */
const BATCHED_RUN_US = 100;

/** Of an error that is too long to be sent; maxFrameBytes is at least 1024. */
const MAX_CUT_CHARS = 100;

const NOTHING = new Uint8Array(0);

/** The right to run a task, see native/process/claim_word.h. */
type Claim = (sequence: number) => boolean;

export class TaskLoop {
  readonly #link: Link;
  readonly #environment: RunEnvironment;
  readonly #claim: Claim;
  /** Tasks that were cancelled before they began here. */
  readonly #cancelled = new Set<number>();
  /** How long the tasks of a function or class take, a moving average in microseconds. */
  readonly #experience = new WeakMap<object, number>();
  #last = 0;
  #refused = false;
  #running: { readonly sequence: number; readonly context: RunContext } | undefined;

  constructor(link: Link, environment: RunEnvironment, claim: Claim) {
    this.#link = link;
    this.#environment = environment;
    this.#claim = claim;
    link.onCancel = (sequence) => {
      if (this.#running?.sequence === sequence) this.#running.context.stop();
      // The difference wraps as the numbers do. One that is over needs no answer: its own was on the way.
      else if (((sequence - this.#last) | 0) > 0) this.#cancelled.add(sequence);
    };
    link.onClose = (request) => {
      if (request.abort) this.#running?.context.stop();
    };
  }

  /** Ends when the manager asks the worker to close, behind the task that runs then. */
  async run(): Promise<void> {
    for (;;) {
      const job = this.#link.shift();
      if (job === undefined) {
        if (this.#link.closing !== undefined) return;
        if (this.#refused) this.#link.idle();
        this.#refused = false;
        this.#link.flush();
        await this.#link.arrival();
      } else if (this.#claim(job.sequence)) {
        this.#last = job.sequence;
        if (this.#cancelled.delete(job.sequence)) {
          this.#link.done(job.sequence, DONE_STATUS.CANCELLED, 0, NOTHING);
        } else {
          const running = this.#start(job);
          // A task that finished without waiting for anything costs no turn of the loop.
          if (running !== undefined) await running;
        }
      } else {
        // The manager took it back; another worker has it by now.
        this.#refused = true;
        this.#cancelled.delete(job.sequence);
      }
    }
  }

  /** Runs one task; undefined when it is over already. */
  #start(job: Job): Promise<void> | undefined {
    const context = new RunContext(this.#environment, job.sequence, job.id, job.attempt);
    this.#running = { sequence: job.sequence, context };
    let started = 0;
    let name = '';
    let exported: object | undefined;
    const begin = (body: TaskBody): unknown => {
      exported = body.exported;
      if (this.#link.pending > 0 && !this.#isShort(exported)) this.#link.flush();
      started = performance.now();
      return runInContext(context, () => body.run(context));
    };
    try {
      const spec = decodePayload(job.bytes, job.start, job.end) as TaskSpec;
      name = specName(spec);
      const body = revive(spec);
      const outcome = body instanceof Promise ? body.then(begin) : begin(body);
      if (!isThenable(outcome)) {
        this.#learn(exported, started);
        this.#succeed(job, name, outcome, started);
        return undefined;
      }
      // The event loop turns now: what is finished must not wait for this task.
      this.#link.flush();
      return Promise.resolve(outcome).then(
        (value) => this.#succeed(job, name, value, started),
        (error: unknown) => this.#fail(job, name, context, error, started),
      );
    } catch (error) {
      this.#fail(job, name, context, error, started);
      return undefined;
    }
  }

  #isShort(exported: object | undefined): boolean {
    return exported !== undefined && (this.#experience.get(exported) ?? Number.POSITIVE_INFINITY) < BATCHED_RUN_US;
  }

  #learn(exported: object | undefined, started: number): void {
    if (exported === undefined) return;
    const runUs = (performance.now() - started) * 1000;
    const average = this.#experience.get(exported) ?? runUs;
    this.#experience.set(exported, average + (runUs - average) / 8);
  }

  #succeed(job: Job, name: string, value: unknown, started: number): void {
    let payload: Uint8Array;
    try {
      payload = encodePayload(value, 'result');
      checkFrameSize('the result', DONE_FIELDS + payload.byteLength, this.#link.maxFrameBytes);
    } catch (error) {
      const failure =
        error instanceof FrameTooLargeError ? error : new ResultCloneError((error as Error).message, { cause: error });
      this.#end(job, DONE_STATUS.ERROR, encodeFailure(name, failure), started);
      return;
    }
    this.#end(job, DONE_STATUS.VALUE, payload, started);
  }

  #fail(job: Job, name: string, context: RunContext, error: unknown, started: number): void {
    if (context.stopped) {
      this.#end(job, DONE_STATUS.CANCELLED, NOTHING, started);
      return;
    }
    const { maxFrameBytes } = this.#link;
    let failure = encodeFailure(name, error);
    if (DONE_FIELDS + failure.byteLength > maxFrameBytes) {
      const text = describe(error).slice(0, MAX_CUT_CHARS);
      failure = encodeFailure(name, new FrameTooLargeError(`an error above maxFrameBytes, cut short: ${text}`));
    }
    this.#end(job, DONE_STATUS.ERROR, failure, started);
  }

  #end(job: Job, status: number, payload: Uint8Array, started: number): void {
    this.#running = undefined;
    const runUs = started === 0 ? 0 : (performance.now() - started) * 1000;
    this.#link.done(job.sequence, status, Math.round(runUs), payload);
    if (runUs > BATCHED_RUN_US) this.#link.flush();
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
    typeof (value as PromiseLike<unknown>).then === 'function'
  );
}
