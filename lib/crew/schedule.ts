// The doers of a Doist or a DoDoer, and their deeds.

import { FSMError, InvalidArgumentError } from '../errors.js';
import { warnThrown } from '../task/warn.js';
import { Deed, type Host } from './deed.js';
import { Doer } from './doer.js';
import { places } from './place.js';
import { drive, type Steps } from './steps.js';

/** A doer that is not over. */
export interface DeedInfo {
  readonly doer: Doer;
  /** The tyme at which it runs next, in seconds; Infinity when something has to wake it. */
  readonly retyme: number;
}

export class Schedule {
  readonly #host: Host;
  readonly #doers = new Set<Doer>();
  readonly #deeds = new Set<Deed>();
  /** What goes on beside the cycles: doers that come, and that go. */
  readonly #asides = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;
  #temp: boolean | undefined;
  #isEntered = false;
  #isExiting = false;

  constructor(host: Host, doers: Iterable<Doer> | undefined) {
    this.#host = host;
    this.doers = doers ?? [];
  }

  get doers(): readonly Doer[] {
    return [...this.#doers];
  }

  set doers(doers: Iterable<Doer>) {
    const all = check(doers);
    this.#doers.clear();
    for (const doer of all) this.#doers.add(doer);
  }

  get deeds(): readonly DeedInfo[] {
    return Array.from(this.#deeds, ({ doer, retyme }) => ({ doer, retyme }));
  }

  get isEntered(): boolean {
    return this.#isEntered;
  }

  get isEmpty(): boolean {
    return this.#deeds.size === 0 && this.#asides.size === 0;
  }

  /** The tyme at which the next one is due; Infinity when something has to wake them. */
  get nextDue(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { retyme } of this.#deeds) if (retyme < next) next = retyme;
    return next;
  }

  /** Enters all doers, one behind the other. */
  enter(temp: boolean | undefined): Steps {
    checkFree(this.#doers);
    this.#temp = temp;
    this.#isEntered = true;
    return this.#enterAll([...this.#doers]);
  }

  /** Runs each that is due, in their order; in simulated time until each of them rests. */
  *run(): Steps {
    for (const deed of [...this.#deeds]) {
      if (this.#isExiting) return;
      if (deed.isDue) yield* this.#step(deed);
    }
    if (!this.#host.isReal) while (this.#asides.size > 0 && !this.#isExiting) yield Promise.all(this.#asides);
    if (this.#failure !== undefined && !this.#isExiting) this.#throwFailure();
  }

  /** Lets no one wait any more for what holds them up: they are about to be ended. */
  release(): void {
    this.#isExiting = true;
    for (const deed of this.#deeds) if (deed.isHoldingUp) deed.tell();
  }

  /** Ends what is not over, the last one first. Throws the first error of them. */
  *exit(): Steps {
    this.#isExiting = true;
    for (const deed of [...this.#deeds].reverse()) {
      try {
        yield* this.#close(deed);
      } catch (error) {
        this.#fail(error);
      }
    }
    while (this.#asides.size > 0) yield Promise.all(this.#asides);
    this.#isExiting = false;
    this.#isEntered = false;
    this.#throwFailure();
  }

  /** Those that are new; entered now, if the others are. */
  extend(doers: Iterable<Doer>): Promise<void> {
    const fresh = check(doers).filter((doer) => !this.#doers.has(doer));
    if (this.#isEntered) checkFree(fresh);
    for (const doer of fresh) this.#doers.add(doer);
    return this.#isEntered ? this.#aside(this.#enterAll(fresh)) : Promise.resolve();
  }

  /** Ends those that are not over, the last one first. */
  remove(doers: Iterable<Doer>): Promise<void> {
    const gone = new Set(check(doers));
    for (const doer of gone) {
      if (!this.#doers.has(doer)) throw new InvalidArgumentError(`${doer.constructor.name} is none of these doers`);
    }
    for (const doer of gone) this.#doers.delete(doer);
    const deeds = [...this.#deeds].filter(({ doer }) => gone.has(doer)).reverse();
    return this.#aside(this.#closeAll(deeds));
  }

  *#enterAll(doers: readonly Doer[]): Steps {
    for (const doer of doers) {
      if (this.#isExiting || !this.#isEntered) return;
      // It may have been taken away, or have come by itself, while another one was entered.
      if (!this.#doers.has(doer) || places.has(doer)) continue;
      const deed = new Deed(doer, this.#host, this.#temp);
      this.#deeds.add(deed);
      yield* this.#watch(deed, deed.enter());
    }
  }

  *#step(deed: Deed): Steps {
    yield* this.#watch(deed, this.#stepOn(deed));
    if (deed.isToBeClosed) void this.#aside(this.#close(deed));
  }

  *#stepOn(deed: Deed): Steps {
    deed.step();
    while (!this.#host.isReal && deed.pending !== undefined && !this.#isExiting) {
      yield deed.pending;
      deed.step();
    }
  }

  *#closeAll(deeds: readonly Deed[]): Steps {
    for (const deed of deeds) yield* this.#close(deed);
  }

  #close(deed: Deed): Steps {
    return this.#watch(deed, deed.close());
  }

  *#watch(deed: Deed, steps: Steps): Steps {
    try {
      yield* steps;
    } finally {
      if (deed.isOver) this.#deeds.delete(deed);
    }
  }

  /** Its failure is that of all of them, whether or not anybody looks at the promise. */
  #aside(steps: Steps): Promise<void> {
    let going: Promise<void> | undefined;
    try {
      going = drive(steps);
    } catch (error) {
      going = Promise.reject(error);
    }
    if (going === undefined) {
      this.#host.wake();
      return Promise.resolve();
    }
    const watched = going
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#asides.delete(watched);
        this.#host.wake();
      });
    this.#asides.add(watched);
    return going;
  }

  #fail(error: unknown): void {
    if (this.#failure === undefined) this.#failure = { error };
    else warnThrown('another doer that was ended', error);
  }

  #throwFailure(): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure.error;
  }
}

/** Each once, in their order. */
function check(doers: Iterable<Doer>): Doer[] {
  if (typeof doers !== 'object' || doers === null || !(Symbol.iterator in doers)) {
    throw new InvalidArgumentError('doers are a list of Doers');
  }
  const all = new Set(doers);
  for (const doer of all) {
    if (!(doer instanceof Doer))
      throw new InvalidArgumentError('a doer is a Doer: give a generator function to doify()');
  }
  return [...all];
}

function checkFree(doers: Iterable<Doer>): void {
  for (const doer of doers) {
    if (!places.has(doer)) continue;
    throw new FSMError(`${doer.constructor.name} runs already: a doer can be run by one Doist or DoDoer at a time`);
  }
}
