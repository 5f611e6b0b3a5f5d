// A doer at work: its generator, when it is due, and what it waits for.

import { CancellationError, InvalidArgumentError } from '../errors.js';
import { warnThrown } from '../task/warn.js';
import { isThenable } from '../thenable.js';
import { within } from '../within.js';
import type { Deeds, Doer } from './doer.js';
import { type Place, places, Until } from './place.js';
import { toRest } from './seconds.js';
import type { Steps } from './steps.js';
import { hasCome, Ticks } from './ticks.js';
import type { Tymth } from './tymist.js';

/** Who runs deeds. */
export interface Host extends Place {
  readonly tymth: Tymth;
}

type Answer = { readonly value: unknown } | { readonly error: unknown };

export class Deed implements Place {
  readonly doer: Doer;
  readonly #host: Host;
  readonly #work: Deeds;
  readonly #controller = new AbortController();
  #retyme: Ticks;
  #isEntered = false;
  #isWoken = false;
  #isRunning = false;
  /** Told to end. */
  #isClosing = false;
  /** Being ended. */
  #isEnding = false;
  #isOver = false;
  #pending: Promise<void> | undefined;
  #answer: Answer | undefined;

  constructor(doer: Doer, host: Host, temp: boolean | undefined) {
    this.doer = doer;
    this.#host = host;
    this.#retyme = new Ticks(host.tymth());
    this.#work = doer.do(host.tymth, { ...doer.opts, tock: doer.tock, temp, signal: this.#controller.signal });
    if (typeof this.#work?.next !== 'function' || !(Symbol.iterator in this.#work)) {
      throw new InvalidArgumentError('do() of a doer has to return a generator; an async one is for recur, or doify');
    }
  }

  get isReal(): boolean {
    return this.#host.isReal;
  }

  get pace(): number {
    return this.#host.pace;
  }

  get grace(): number {
    return this.doer.endsWithin ?? this.#host.grace;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** It was told to end by itself, in the midst of its own step. */
  get isToBeClosed(): boolean {
    return this.#isClosing && !this.#isEnding && !this.#isOver;
  }

  /** What it waits for; never rejects. */
  get pending(): Promise<void> | undefined {
    return this.#pending;
  }

  /** Those behind it have to wait for it. */
  get isHoldingUp(): boolean {
    return this.#pending !== undefined && !(this.isReal && this.#isEntered);
  }

  /** The tyme at which it runs next, in seconds; Infinity when it waits for something else. */
  get retyme(): number {
    if (!this.#isEntered || this.#isClosing || this.#pending !== undefined) return Number.POSITIVE_INFINITY;
    return this.#isWoken || this.#answer !== undefined ? this.#host.tymth() : this.#retyme.now;
  }

  get isDue(): boolean {
    const { retyme } = this;
    return retyme !== Number.POSITIVE_INFINITY && hasCome(retyme, this.#host.tymth());
  }

  wake(): void {
    this.#isWoken = true;
    this.#host.wake();
  }

  quit(): void {
    this.#host.quit();
  }

  /** To its first rest. */
  *enter(): Steps {
    places.set(this.doer, this);
    this.doer.done = false;
    this.#resume(() => this.#work.next());
    while (this.#pending !== undefined) {
      yield this.#pending;
      if (this.#isClosing) return;
      this.#goOn();
    }
  }

  /** To its next rest, or to what it waits for. */
  step(): void {
    if (this.#isOver || this.#isClosing) return;
    if (this.#answer !== undefined) {
      this.#goOn();
      return;
    }
    const tyme = this.#host.tymth();
    // Woken before its time: from now on it counts from here.
    if (!hasCome(this.#retyme.now, tyme)) this.#retyme = new Ticks(tyme);
    this.#isWoken = false;
    this.#resume(() => this.#work.next(tyme));
  }

  /** Tells it to end. */
  tell(): void {
    this.#isClosing = true;
    if (!this.#controller.signal.aborted) this.#controller.abort(new CancellationError('the doer was told to end'));
  }

  /** Tells it to end, and sees to it that it does, or leaves it behind in the end. */
  *close(): Steps {
    if (this.#isOver || this.#isEnding) return;
    this.tell();
    // It has told itself: who runs it calls this again, behind its step.
    if (this.#isRunning) return;
    this.#isEnding = true;
    if (this.#pending !== undefined && !(yield* this.#isInTime(this.#pending))) this.#warnLate();
    if (this.#answer !== undefined && 'error' in this.#answer && !this.#isReason(this.#answer.error)) this.#goOn();
    else this.#return();
    while (this.#pending !== undefined) {
      if (!(yield* this.#isInTime(this.#pending))) {
        this.#warnLate();
        this.#end();
        return;
      }
      this.#goOn();
    }
  }

  #return(): void {
    this.#answer = undefined;
    this.#pending = undefined;
    this.#resume(() => this.#work.return(false));
  }

  #goOn(): void {
    const answer = this.#answer;
    this.#answer = undefined;
    if (answer === undefined) return;
    this.#resume(() => ('error' in answer ? this.#work.throw(answer.error) : this.#work.next(answer.value)));
  }

  #resume(how: () => IteratorResult<unknown, unknown>): void {
    this.#isRunning = true;
    let result: IteratorResult<unknown, unknown>;
    try {
      result = how();
    } catch (error) {
      this.#end();
      throw error;
    } finally {
      this.#isRunning = false;
    }
    if (result.done === true) this.#end(!this.#isEnding && result.value !== false);
    else if (isThenable(result.value)) this.#await(result.value);
    else if (this.#isEnding) this.#refuseRest();
    else this.#rest(result.value);
  }

  #await(promise: PromiseLike<unknown>): void {
    const settle = (answer: Answer): void => {
      // Left behind, or another promise has taken its place.
      if (this.#pending !== pending) {
        if ('error' in answer && !this.#isReason(answer.error)) warnThrown('a doer that was left behind', answer.error);
        return;
      }
      this.#answer = answer;
      this.#pending = undefined;
      this.#host.wake();
    };
    const pending = Promise.resolve(promise).then(
      (value) => settle({ value }),
      (error: unknown) => settle({ error }),
    );
    this.#pending = pending;
  }

  #rest(rest: unknown): void {
    if (!this.#isEntered) {
      // How long it rests first is for no one to say: all begin together.
      this.#isEntered = true;
      this.#retyme = new Ticks(this.#host.tymth());
      return;
    }
    if (rest instanceof Until) {
      this.#retyme = new Ticks(rest.tyme);
      return;
    }
    let tock: number;
    try {
      tock = toRest('what a doer yields', rest);
    } catch (error) {
      this.#resume(() => this.#work.throw(error));
      return;
    }
    // What it has missed is not made up for.
    this.#retyme.add(tock === 0 ? this.#host.pace : tock, this.#host.tymth());
  }

  #refuseRest(): never {
    this.#end();
    throw new InvalidArgumentError('a doer that was told to end has yielded a rest, instead of ending');
  }

  #end(done = false): void {
    this.doer.done = done;
    this.#isOver = true;
    this.#pending = undefined;
    places.delete(this.doer);
  }

  *#isInTime(pending: Promise<void>): Steps<boolean> {
    return (yield within(this.grace, pending)) as boolean;
  }

  /** It ends because it was told to. */
  #isReason(error: unknown): boolean {
    const { aborted, reason } = this.#controller.signal;
    return aborted && (error === reason || (error instanceof Error && error.name === 'AbortError'));
  }

  #warnLate(): void {
    const name = this.doer.constructor.name;
    process.emitWarning(`a doer (${name}) did not end within ${this.grace} ms, and is not waited for`, {
      code: 'BOSUN_W009',
    });
  }
}
