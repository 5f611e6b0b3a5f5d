// Who runs doers: a clock, and a cycle whenever one of them is due.

import { setImmediate as turn } from 'node:timers/promises';
import { FSMError } from '../errors.js';
import { warnThrown } from '../task/warn.js';
import type { Doer } from './doer.js';
import { checkDoistOptions, checkDoOptions, type DoistDoOptions, type DoistOptions } from './doist-options.js';
import { Nap } from './nap.js';
import { type DeedInfo, Schedule } from './schedule.js';
import { seconds } from './seconds.js';
import { drive } from './steps.js';
import { decimal, hasCome } from './ticks.js';
import { Tymist } from './tymist.js';

/**
 * Runs doers in cycles: in each, all that are due, in their order.
 *
 * In simulated time the tyme goes on by one tock behind each cycle, as fast as the doers run, and stands still while one
 * of them waits: two runs of one program are the same. In real time the tyme goes with the clock, a cycle comes when a doer
 * is due, or woken, or has what it waited for, and until then the Doist sleeps; a doer that waits holds no other one.
 */
export class Doist extends Tymist implements AsyncDisposable {
  readonly name: string;
  readonly real: boolean;
  readonly temp: boolean | undefined;
  /** Milliseconds that a doer may take to end what it is at, and again to exit. */
  readonly grace: number;
  /** Undefined until it was run, false while it runs and when it was ended, true when all doers were over. */
  done: boolean | undefined;
  #limit = 0;
  readonly #schedule: Schedule;
  readonly #nap = new Nap();
  /** The tyme and the time at which it was entered: real time only. */
  #clock: { readonly tyme: number; readonly at: number } | undefined;
  /** In a cycle the tyme is the same for all. */
  #isInCycle = false;
  #isStopping = false;
  #unblock: (() => void) | undefined;
  #end: Promise<void> | undefined;

  /**
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT)
   * @throws OutOfRangeError (ERR_BOSUN_OUT_OF_RANGE) for times that are no finite numbers.
   */
  constructor(options?: DoistOptions) {
    const given = checkDoistOptions(options);
    super({ tyme: given.tyme ?? 0, tock: given.tock ?? 0.03125 });
    this.name = given.name ?? 'doist';
    this.real = given.real ?? false;
    this.temp = given.temp;
    this.grace = given.grace ?? 5_000;
    this.limit = given.limit ?? 0;
    const doist = this;
    const host = {
      tymth: this.tymen(),
      isReal: this.real,
      grace: this.grace,
      get pace() {
        return doist.tock;
      },
      wake: () => this.#nap.cut(),
      quit: () => this.#stop(),
    };
    this.#schedule = new Schedule(host, given.doers);
  }

  /** Seconds; in real time, while it runs, as the clock has it. */
  override get tyme(): number {
    if (this.#clock !== undefined && !this.#isInCycle) this.#look(this.#clock);
    return super.tyme;
  }

  override set tyme(tyme: number) {
    super.tyme = tyme;
    if (this.#clock !== undefined) this.#clock = { tyme, at: performance.now() };
  }

  /** Seconds of tyme after which `do()` ends; 0 is none, and of a negative number the absolute counts. */
  get limit(): number {
    return this.#limit;
  }

  set limit(limit: number) {
    this.#limit = Math.abs(seconds('limit', limit));
  }

  /** A copy; in the order in which they run. */
  get doers(): readonly Doer[] {
    return this.#schedule.doers;
  }

  /** Those of them that are not over. */
  get deeds(): readonly DeedInfo[] {
    return this.#schedule.deeds;
  }

  /**
   * Enters all doers, runs them, and ends those that are left, the last one first: when none is left (`done`), at the limit,
   * when the signal is aborted, by `exit()`, or because one of them has failed.
   *
   * @throws what a doer has thrown, behind the end of all others; what those throw then is a process warning (BOSUN_W003).
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT), OutOfRangeError (ERR_BOSUN_OUT_OF_RANGE)
   * @throws FSMError (ERR_BOSUN_FSM) while it runs, or when somebody else runs one of its doers.
   */
  async do(options?: DoistDoOptions): Promise<void> {
    const given = checkDoOptions(options);
    if (this.#end !== undefined || this.#schedule.isEntered)
      throw new FSMError(`${this.name} runs already: exit() it first`);
    if (given.doers !== undefined) this.#schedule.doers = given.doers;
    if (given.limit !== undefined) this.limit = given.limit;
    if (given.tyme !== undefined) this.tyme = given.tyme;
    const run = this.#run(given.temp ?? this.temp, given.signal);
    this.#end = run.catch(() => {});
    await run.finally(() => {
      this.#end = undefined;
    });
  }

  /** By hand, in place of `do()`: enters all doers, in their order. What needs no wait is done when it returns. */
  async enter(): Promise<void> {
    await this.#enter(this.temp);
  }

  /** By hand: one cycle. In simulated time the tyme goes on behind it. */
  async recur(): Promise<void> {
    if (this.#clock !== undefined) this.#look(this.#clock);
    this.#isInCycle = true;
    try {
      const waiting = drive(this.#schedule.run());
      if (waiting !== undefined) await this.#unlessStopped(waiting);
    } finally {
      this.#isInCycle = false;
    }
    if (!this.real) this.tick();
  }

  /** Ends the doers that are left, the last one first. While `do()` runs, it does so, and this waits for it. */
  async exit(): Promise<void> {
    if (this.#end !== undefined) {
      this.#stop();
      return this.#end;
    }
    try {
      await drive(this.#schedule.exit());
    } finally {
      // The tyme stays as it is.
      void this.tyme;
      this.#clock = undefined;
    }
  }

  /**
   * Adds doers, and enters them if the others are; they run from the next cycle on. Those that are there already stay as
   * they are. What one of them throws ends the Doist.
   *
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for what is no Doer.
   * @throws FSMError (ERR_BOSUN_FSM) when somebody else runs one of them. Then nothing has changed.
   */
  extend(doers: Iterable<Doer>): Promise<void> {
    return this.#schedule.extend(doers);
  }

  /**
   * Takes doers away: those that are not over cease and exit, the last one first. A doer may do so with itself, without
   * waiting for it.
   *
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for one that is not there. Then nothing has changed.
   */
  remove(doers: Iterable<Doer>): Promise<void> {
    return this.#schedule.remove(doers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.exit();
  }

  async #run(temp: boolean | undefined, signal: AbortSignal | undefined): Promise<void> {
    this.done = false;
    this.#isStopping = signal?.aborted ?? false;
    const onAbort = (): void => this.#stop();
    signal?.addEventListener('abort', onAbort);
    let failure: { readonly error: unknown } | undefined;
    try {
      if (!this.#isStopping) this.done = await this.#cycle(temp);
    } catch (error) {
      failure = { error };
    }
    signal?.removeEventListener('abort', onAbort);
    try {
      await drive(this.#schedule.exit());
    } catch (error) {
      if (failure === undefined) failure = { error };
      else warnThrown('a doer that was ended because another one had failed', error);
    }
    void this.tyme;
    this.#clock = undefined;
    if (failure === undefined) return;
    this.done = false;
    throw failure.error;
  }

  /** Whether all doers are over. */
  async #cycle(temp: boolean | undefined): Promise<boolean> {
    const begin = this.tyme;
    await this.#enter(temp);
    const end = this.#limit > 0 ? decimal(begin + this.#limit) : Number.POSITIVE_INFINITY;
    while (!this.#isStopping) {
      await this.recur();
      if (this.#schedule.isEmpty) return !this.#isStopping;
      if (hasCome(end, this.tyme)) return false;
      await this.#rest(Math.min(this.#schedule.nextDue, end));
      if (hasCome(end, this.tyme)) return false;
    }
    return false;
  }

  async #enter(temp: boolean | undefined): Promise<void> {
    const steps = this.#schedule.enter(temp);
    if (this.real) this.#clock = { tyme: this.tyme, at: performance.now() };
    const waiting = drive(steps);
    if (waiting !== undefined) await this.#unlessStopped(waiting);
  }

  /** Until a tyme, or until something is to be done sooner. */
  async #rest(until: number): Promise<void> {
    if (this.real || until === Number.POSITIVE_INFINITY) {
      const ms = (until - this.tyme) * 1_000;
      if (ms > 0 && !this.#isStopping) await this.#nap.take(ms);
    } else if (!hasCome(until, this.tyme)) this.tickUntil(until);
    // The event loop has its turn behind each cycle. So do all promises, which is why simulated time is always the same.
    await turn();
  }

  #stop(): void {
    this.#isStopping = true;
    this.#unblock?.();
    this.#nap.cut();
  }

  #unlessStopped(waiting: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#unblock = resolve;
      waiting.then(resolve, reject);
    });
  }

  #look({ tyme, at }: { readonly tyme: number; readonly at: number }): void {
    super.tyme = decimal(tyme + (performance.now() - at) / 1_000);
  }
}
