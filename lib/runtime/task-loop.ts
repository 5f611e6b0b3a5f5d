// Runs the tasks that arrive at a worker, one after the other, until it is to close.

import { DataCloneError, ResultCloneError } from '../errors.js';
import { runInContext } from '../task/context.js';
import { revive, specName, type TaskBody, type TaskSpec } from '../task/spec.js';
import { encodeFailure } from '../wire/failure.js';
import { decodePayload, encodePayload } from '../wire/payload.js';
import { DONE_STATUS, type Job, type Link } from './link.js';
import { RunContext, type RunEnvironment } from './run-context.js';

/** Runs of at most this long may keep their results for company; longer ones send them before the next task begins. */
const BATCHED_RUN_US = 100;

const NOTHING = new Uint8Array(0);

/** The right to run a task, see native/process/claim_word.h. */
type Claim = (sequence: number) => boolean;

export class TaskLoop {
  readonly #link: Link;
  readonly #environment: RunEnvironment;
  readonly #claim: Claim;
  /** Tasks that were cancelled before they began here. */
  readonly #cancelled = new Set<number>();
  #last = 0;
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
    const begin = (body: TaskBody): unknown => {
      started = performance.now();
      return runInContext(context, () => body(context));
    };
    try {
      const spec = decodePayload(job.bytes, job.start, job.end) as TaskSpec;
      name = specName(spec);
      const body = revive(spec);
      const outcome = body instanceof Promise ? body.then(begin) : begin(body);
      if (!isThenable(outcome)) {
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

  #succeed(job: Job, name: string, value: unknown, started: number): void {
    let payload: Uint8Array;
    try {
      payload = encodePayload(value, 'result');
    } catch (error) {
      const message = error instanceof DataCloneError ? error.message : 'the result cannot be sent to the manager';
      const failure = encodeFailure(name, new ResultCloneError(message, { cause: error }));
      this.#end(job, DONE_STATUS.ERROR, failure, started);
      return;
    }
    this.#end(job, DONE_STATUS.VALUE, payload, started);
  }

  #fail(job: Job, name: string, context: RunContext, error: unknown, started: number): void {
    if (context.stopped) this.#end(job, DONE_STATUS.CANCELLED, NOTHING, started);
    else this.#end(job, DONE_STATUS.ERROR, encodeFailure(name, error), started);
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
