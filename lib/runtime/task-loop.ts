// Runs the tasks that arrive at a worker, as many at once as it may, until it is to close.

import { describe } from '../describe.js';
import { FrameTooLargeError, ResultCloneError } from '../errors.js';
import type { NativeStatusPage } from '../native.js';
import { runInContext } from '../task/context.js';
import { checkSpec, revive, specName, type TaskBody, type TaskSpec } from '../task/spec.js';
import { encodeFailure } from '../wire/failure.js';
import { decodeForeign } from '../wire/foreign.js';
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

/** The status page remembers the ends of a thousand tasks; what it forgets must have been sent. */
const MAX_HELD_BACK = 512;

const NOTHING = new Uint8Array(0);

/** The worker's side of the status page. */
type Page = Pick<NativeStatusPage, 'begin' | 'end'>;

interface Run {
  readonly job: Job;
  readonly lane: number;
  readonly context: RunContext;
  name: string;
  /** 0 until the task's own code is called. */
  started: number;
}

export class TaskLoop {
  readonly #link: Link;
  readonly #environment: RunEnvironment;
  readonly #page: Page;
  /** How long the tasks of a function or class take, a moving average in microseconds. */
  readonly #experience = new WeakMap<object, number>();
  /** Places for tasks to run in. */
  readonly #freeLanes: number[];
  readonly #running = new Map<number, Run>();
  /** Results that were not sent at once. */
  #heldBack = 0;
  #refused = false;
  /** Nothing will be begun that could take results along, before something arrives. */
  #isParked = false;
  /** Called when a lane becomes free. */
  #wake: (() => void) | undefined;

  /** @param concurrency how many tasks may run at once. */
  constructor(link: Link, environment: RunEnvironment, page: Page, concurrency: number) {
    this.#link = link;
    this.#environment = environment;
    this.#page = page;
    this.#freeLanes = Array.from({ length: concurrency }, (_, i) => concurrency - 1 - i);
    // The manager asks for those that were begun here, or takes them back; the answer of one that is over was on its way.
    link.onCancel = (sequence, reason) => this.#running.get(sequence)?.context.stop(reason);
    link.onClose = (request) => {
      if (!request.abort) return;
      for (const { context } of this.#running.values()) context.close();
    };
  }

  /** Ends when the manager asks the worker to close, behind the tasks that run then. */
  async run(): Promise<void> {
    for (;;) {
      const lane = this.#freeLanes.at(-1);
      if (lane === undefined) {
        await this.#freeLane();
        continue;
      }
      const job = this.#link.shift();
      if (job === undefined) {
        if (this.#link.closing !== undefined) break;
        if (this.#refused) this.#link.idle();
        this.#refused = false;
        this.#flush();
        this.#isParked = true;
        await this.#link.arrival();
        this.#isParked = false;
      } else if (this.#page.begin(job.sequence, lane)) {
        this.#freeLanes.pop();
        this.#start(job, lane);
      } else {
        // The manager took it back; another worker has it by now.
        this.#refused = true;
      }
    }
    while (this.#running.size > 0) await this.#freeLane();
  }

  #freeLane(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Runs one task. It is over already when it did not wait for anything: that costs no turn of the loop. */
  #start(job: Job, lane: number): void {
    const context = new RunContext(this.#environment, job.sequence, lane, job.id, job.attempt);
    const run: Run = { job, lane, context, name: '', started: 0 };
    this.#running.set(job.sequence, run);
    let exported: object | undefined;
    const begin = (body: TaskBody): unknown => {
      exported = body.exported;
      if (this.#link.pending > 0 && !this.#isShort(exported)) this.#flush();
      run.started = performance.now();
      return runInContext(context, () => body.run(context));
    };
    try {
      const { foreign, bytes, start, end } = job;
      const spec = foreign
        ? checkSpec(decodeForeign(bytes, start, end))
        : (decodePayload(bytes, start, end) as TaskSpec);
      run.name = specName(spec);
      const body = revive(spec);
      const outcome = body instanceof Promise ? body.then(begin) : begin(body);
      if (!isThenable(outcome)) {
        this.#learn(exported, run.started);
        this.#succeed(run, outcome);
        return;
      }
      // The event loop turns now: what is finished must not wait for this task.
      this.#flush();
      void Promise.resolve(outcome).then(
        (value) => this.#succeed(run, value),
        (error: unknown) => this.#fail(run, error),
      );
    } catch (error) {
      this.#fail(run, error);
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

  #succeed(run: Run, value: unknown): void {
    let payload: Uint8Array;
    try {
      payload = encodePayload(value, 'result');
      checkFrameSize('the result', DONE_FIELDS + payload.byteLength, this.#link.maxFrameBytes);
    } catch (error) {
      const failure =
        error instanceof FrameTooLargeError ? error : new ResultCloneError((error as Error).message, { cause: error });
      this.#end(run, DONE_STATUS.ERROR, encodeFailure(run.name, failure));
      return;
    }
    this.#end(run, DONE_STATUS.VALUE, payload);
  }

  #fail(run: Run, error: unknown): void {
    if (run.context.stopped !== undefined) {
      this.#end(run, DONE_STATUS.CANCELLED, NOTHING);
      return;
    }
    const { maxFrameBytes } = this.#link;
    let failure = encodeFailure(run.name, error);
    if (DONE_FIELDS + failure.byteLength > maxFrameBytes) {
      const text = describe(error).slice(0, MAX_CUT_CHARS);
      failure = encodeFailure(run.name, new FrameTooLargeError(`an error above maxFrameBytes, cut short: ${text}`));
    }
    this.#end(run, DONE_STATUS.ERROR, failure);
  }

  #end({ job, lane, started }: Run, status: number, payload: Uint8Array): void {
    this.#running.delete(job.sequence);
    this.#freeLanes.push(lane);
    const runUs = started === 0 ? 0 : (performance.now() - started) * 1000;
    this.#page.end(job.sequence, lane);
    this.#link.done(job.sequence, status, Math.round(runUs), payload);
    this.#heldBack += 1;
    if (this.#isParked || runUs > BATCHED_RUN_US || this.#heldBack >= MAX_HELD_BACK) this.#flush();
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #flush(): void {
    this.#heldBack = 0;
    this.#link.flush();
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
    typeof (value as PromiseLike<unknown>).then === 'function'
  );
}
