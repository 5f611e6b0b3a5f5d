// What a Worker runs inside: its target, once or for each input, and what it tells its owner.

import { hostname } from 'node:os';
import { setImmediate as turn } from 'node:timers/promises';
import { getHeapStatistics } from 'node:v8';
import { describe } from '../describe.js';
import { InvalidArgumentError, ResultCloneError, WorkerTerminatedError } from '../errors.js';
import { runInContext } from '../task/context.js';
import { createLogger } from '../task/log.js';
import { NullManager } from '../task/null-manager.js';
import { RunContext, STOP_REASON } from '../task/run-context.js';
import { createSession } from '../task/session.js';
import { iteratorOf } from '../task/stream-out.js';
import { exportOf, functionOf, importModule, type TargetReference } from '../task/target.js';
import { type Line, SAY } from '../wire/line.js';
import { type Defaults, overlay } from './overlay.js';

/** An exported function, or the text of one (`allowInline`). */
export type TravellingTarget = TargetReference | { readonly source: string };

/** For a server: in a context, whose target it runs unless it has its own. */
export type ContextTarget = Partial<TargetReference> & { readonly context: string };

/** What the owner says first: a pair, for a server decodes the first part alone. */
export type StartMessage = readonly [target: TravellingTarget, details: StartDetails];

/** What lies under the arguments of a worker in a context; its server sends them ahead of START. */
export type DefaultsMessage = readonly [unused: null, defaults: Defaults];

export interface StartDetails {
  readonly args: readonly unknown[];
  /** The last of `args`, and of those of each input, is an object of named ones. */
  readonly hasKwargs: boolean;
  readonly state: unknown;
  readonly persistent: boolean;
  /** Of a persistent one: what its target throws ends it. */
  readonly diesOnError: boolean;
  /** For the list of processes. */
  readonly title: string | undefined;
}

/** What the worker says first. */
export interface StartedMessage {
  readonly host: string;
  readonly pid: number;
  readonly tid: number;
}

export type InputMessage = readonly [sequence: number, args: readonly unknown[]];

/** Bytes (resident ones of a process, those on the heap of a thread) and milliseconds of life; 0 for no limit. */
export type LimitsMessage = readonly [memory: number, age: number];

/** `value` or, encoded, `error`; how long it took; and whether the worker ends behind it, being over a limit. */
export type DoneMessage = readonly [
  sequence: number,
  micros: number,
  isLast: boolean,
  value: unknown,
  error?: Uint8Array,
];

/** What the worker says last. */
export interface EndMessage {
  readonly result: unknown;
  /** Encoded; undefined when it has ended well. */
  readonly error: Uint8Array | undefined;
  /** That error is the one which the target was told to stop with. */
  readonly terminated: boolean;
  /** The input whose error it is. */
  readonly sequence: number | undefined;
  readonly state: unknown;
}

/** Instead of the name of an export: each input begins with one. */
export const ALL_EXPORTS = '*';

type Target = (...args: readonly unknown[]) => unknown;

type Ending = { readonly result: unknown } | { readonly error: unknown; readonly sequence?: number };

/** Between two of its turns the event loop lets messages in. */
const VALUES_A_TURN = 64;

/** Values that a generator may yield before its owner has taken any. */
export const FIRST_ROOM = 16;

export class TargetLoop {
  readonly #line: Line;
  /** Not 0 when the target is to stop, also while this thread cannot be told. */
  readonly #flag: Int32Array;
  readonly #tid: number;
  readonly #state: { value: unknown } = { value: undefined };
  readonly #inputs: InputMessage[] = [];
  /** That came while nothing ran. */
  readonly #letters: unknown[] = [];
  #context: RunContext | undefined;
  #defaults: Defaults | undefined;
  #isStopped = false;
  #isClosed = false;
  #room = FIRST_ROOM;
  #limits: LimitsMessage = [0, 0];
  #wake: () => void = () => {};
  #start: (message: StartMessage) => void = () => {};
  #fail: (error: unknown) => void = () => {};

  /** @param flag shared with the owner. */
  constructor(line: Line, flag: Int32Array, tid: number) {
    this.#line = line;
    this.#flag = flag;
    this.#tid = tid;
    line.onMessage = (type, value) => this.#onMessage(type, value);
    line.onEnd = () => this.#stop();
  }

  /** Ends when the owner has been told how the target did; true when that was well. */
  async run(): Promise<boolean> {
    const started: StartedMessage = { host: hostname(), pid: process.pid, tid: this.#tid };
    const message = new Promise<StartMessage>((resolve) => {
      this.#start = resolve;
    });
    const failed = new Promise<Ending>((resolve) => {
      this.#fail = (error) => resolve({ error });
    });
    this.#line.send(SAY.STARTED, started);
    const ending = await Promise.race([message.then((start) => this.#runTarget(start)), failed]);
    this.#sendEnd(ending);
    return 'result' in ending;
  }

  /** Something that nobody waited for has failed. */
  fail(error: unknown): void {
    this.#fail(error);
  }

  #onMessage(type: number, value: unknown): void {
    switch (type) {
      case SAY.START:
        this.#start(value as StartMessage);
        break;
      case SAY.CONTEXT:
        this.#defaults = (value as DefaultsMessage)[1];
        break;
      case SAY.INPUT:
        this.#inputs.push(value as InputMessage);
        break;
      case SAY.LIMITS:
        this.#limits = value as LimitsMessage;
        break;
      case SAY.CLOSE:
        this.#isClosed = true;
        break;
      case SAY.ROOM:
        this.#room += value as number;
        break;
      case SAY.LETTER:
        this.#deliver(value as readonly [unknown]);
        break;
      case SAY.STOP:
        this.#stop();
        break;
    }
    this.#wake();
  }

  #deliver([letter]: readonly [unknown]): void {
    if (this.#context === undefined) this.#letters.push(letter);
    else this.#context.deliver(letter);
  }

  #stop(): void {
    this.#isStopped = true;
    this.#context?.stop(STOP_REASON.TERMINATED);
    this.#wake();
  }

  async #runTarget([given, start]: StartMessage): Promise<Ending> {
    this.#state.value = start.state;
    if (start.title !== undefined) setTitle(start.title, this.#tid);
    try {
      const target = await load(given);
      if (this.#isStopped) return { error: new WorkerTerminatedError() };
      const owned = await createSession(undefined);
      const manager = new NullManager();
      const environment = {
        managerOf: () => manager,
        progress: (_: number, value: unknown) => this.#line.send(SAY.PROGRESS, [value]),
        suspend: () => {},
        session: owned.session,
        log: createLogger(false),
        worker: 0,
        state: this.#state,
        stopReason: () => (Atomics.load(this.#flag, 0) === 0 ? 0 : STOP_REASON.TERMINATED),
      };
      const call = (sequence: number, args: readonly unknown[]): Promise<unknown> => {
        const context = new RunContext(environment, sequence, 0, sequence, 1);
        this.#context = context;
        for (const letter of this.#letters.splice(0)) context.deliver(letter);
        if (this.#isStopped) context.stop(STOP_REASON.TERMINATED);
        const defaults = this.#defaults;
        const all = defaults === undefined ? args : overlay(args, defaults, start.hasKwargs);
        const run = async () => {
          try {
            // A generator runs in here too, whenever its next value is asked for.
            return await (start.persistent ? target(...all) : this.#stream(target(...all)));
          } finally {
            context.end();
            this.#context = undefined;
          }
        };
        return runInContext(context, run);
      };
      const ending = start.persistent
        ? await this.#workOff(call, start.diesOnError)
        : { result: await call(1, start.args) };
      await owned.close();
      return ending;
    } catch (error) {
      return { error };
    }
  }

  /** The result of a persistent worker is how many inputs it has worked off. */
  async #workOff(
    call: (sequence: number, args: readonly unknown[]) => Promise<unknown>,
    diesOnError: boolean,
  ): Promise<Ending> {
    let count = 0;
    for (;;) {
      while (this.#inputs.length === 0 && !this.#isClosed && !this.#isStopped) await this.#change();
      // While inputs follow each other no message may be let in; the flag is seen all the same.
      if (this.#isStopped || Atomics.load(this.#flag, 0) !== 0) return { error: new WorkerTerminatedError() };
      const input = this.#inputs.shift();
      if (input === undefined) return { result: count };
      const [sequence, args] = input;
      const begun = performance.now();
      const micros = (): number => Math.ceil((performance.now() - begun) * 1_000);
      let error: unknown;
      let isLast = false;
      try {
        const value = await call(sequence, args);
        count += 1;
        const took = micros();
        isLast = this.#isSpent();
        // At once: it must not be lost with the worker if the next input costs that its life.
        if (this.#send(SAY.DONE, [sequence, took, isLast, value] satisfies DoneMessage)) {
          if (isLast) return { result: count };
          continue;
        }
        error = new ResultCloneError(`the result of an input cannot be sent: ${this.#refusal}`);
      } catch (thrown) {
        error = thrown;
        isLast = this.#isSpent();
      }
      if (diesOnError || this.#isStopped) return { error, sequence };
      const bytes = this.#line.encodeError(error);
      this.#line.send(SAY.DONE, [sequence, micros(), isLast, undefined, bytes] satisfies DoneMessage);
      if (isLast) return { result: count };
    }
  }

  /** Over a limit. */
  #isSpent(): boolean {
    const [memory, age] = this.#limits;
    // Counted from the beginning of this process or thread.
    if (age > 0 && performance.now() >= age) return true;
    if (memory === 0) return false;
    const used = this.#tid === 0 ? process.memoryUsage.rss() : getHeapStatistics().used_heap_size;
    return used > memory;
  }

  /** The values of a generator leave one by one, as many as the owner has room for; its result is what it returned. */
  async #stream(given: unknown): Promise<unknown> {
    const outcome = await given;
    const iterator = iteratorOf(outcome);
    if (iterator === undefined) return outcome;
    for (let count = 1; ; count++) {
      const step = await iterator.next();
      if (step.done === true) return step.value;
      // With room for all of them no message would be let in otherwise.
      if (count % VALUES_A_TURN === 0) await turn();
      while (this.#room === 0 && !this.#isStopped) await this.#change();
      try {
        if (this.#isStopped) throw new WorkerTerminatedError();
        this.#line.send(SAY.VALUE, step.value);
      } catch (error) {
        await iterator.return?.();
        throw error;
      }
      this.#room -= 1;
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #refusal = '';

  /** False when the value cannot be sent. */
  #send(type: number, value: unknown): boolean {
    try {
      this.#line.send(type, value);
      return true;
    } catch (error) {
      this.#refusal = (error as Error).message;
      return false;
    }
  }

  #sendEnd(ending: Ending): void {
    const state = this.#state.value;
    const failed = (error: unknown, sequence: number | undefined, kept: unknown): EndMessage => {
      const terminated = error instanceof WorkerTerminatedError;
      return { result: undefined, error: this.#line.encodeError(error), terminated, sequence, state: kept };
    };
    const message: EndMessage =
      'result' in ending
        ? { result: ending.result, error: undefined, terminated: false, sequence: undefined, state }
        : failed(ending.error, ending.sequence, state);
    if (this.#send(SAY.END, message)) return;
    const what = this.#refusal;
    const error =
      'result' in ending ? new ResultCloneError(`the result or the state cannot be sent: ${what}`) : ending.error;
    // The state may be what cannot travel.
    if (!this.#send(SAY.END, failed(error, undefined, state))) this.#send(SAY.END, failed(error, undefined, undefined));
  }
}

async function load(target: TravellingTarget): Promise<Target> {
  if (!('source' in target)) {
    const { module, exportName } = target;
    const namespace = await importModule(module);
    if (exportName !== ALL_EXPORTS) return functionOf(namespace, module, exportName);
    return (name, ...args) => functionOf(namespace, module, exportOf(name))(...args);
  }
  // Only with `allowInline`, which the owner has asked for; a server refuses it.
  const made: unknown = new Function(`return (${target.source}\n)`)();
  if (typeof made !== 'function')
    throw new InvalidArgumentError(`not the text of a function: ${describe(target.source)}`);
  return made as Target;
}

/** A process has a title; the name of a thread is given when it is started. */
function setTitle(title: string, tid: number): void {
  if (tid === 0) process.title = title;
}
