// A doer that runs other doers.

import { flag, ownOptions } from '../own-options.js';
import type { Host } from './deed.js';
import { type Deeds, Doer, type DoerOptions, type Rest } from './doer.js';
import { places, Until } from './place.js';
import { type DeedInfo, Schedule } from './schedule.js';
import { drive } from './steps.js';
import { Ticks } from './ticks.js';

export interface DoDoerOptions extends DoerOptions {
  readonly doers?: Iterable<Doer>;
  /** Whether it goes on when none of its doers is left; false unless given. */
  readonly always?: boolean;
}

/**
 * Runs doers of its own, by the tyme of whoever runs it. It is due whenever one of them is; with a `tock`, at the next of
 * its own runs behind that. It is complete when none is left.
 */
export class DoDoer extends Doer {
  /** Whether it goes on when none of its doers is left. */
  always: boolean;
  readonly #schedule: Schedule;

  /**
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT)
   * @throws OutOfRangeError (ERR_BOSUN_OUT_OF_RANGE) for a tock that is no number.
   */
  constructor(options?: DoDoerOptions) {
    const { doers, always = false, ...others } = ownOptions(options, 'the options of a DoDoer');
    super(others);
    this.always = flag('always', always);
    this.#schedule = new Schedule(new DoDoerHost(this), doers);
  }

  /** A copy; in the order in which they run. */
  get doers(): readonly Doer[] {
    return this.#schedule.doers;
  }

  /** Those of them that are not over. */
  get deeds(): readonly DeedInfo[] {
    return this.#schedule.deeds;
  }

  /** As long as those of its doers take that say so, one behind the other. */
  override get endsWithin(): number | undefined {
    const all = this.doers.flatMap(({ endsWithin }) => (endsWithin === undefined ? [] : [endsWithin]));
    return all.length === 0 ? undefined : all.reduce((sum, milliseconds) => sum + milliseconds, 0);
  }

  /** As `Doist.extend`. */
  extend(doers: Iterable<Doer>): Promise<void> {
    return this.#schedule.extend(doers);
  }

  /** As `Doist.remove`. */
  remove(doers: Iterable<Doer>): Promise<void> {
    return this.#schedule.remove(doers);
  }

  /** Enters its doers, in their order. */
  override enter({ temp }: { readonly temp: boolean }): Promise<void> | undefined {
    this.signal.addEventListener('abort', () => this.#schedule.release(), { once: true });
    return drive(this.#schedule.enter(temp));
  }

  /** Runs those of its doers that are due. */
  override *recur(tyme: number): Generator<Rest | Until | PromiseLike<unknown>, boolean, number> {
    let ticks = new Ticks(tyme);
    let now = yield this.tock;
    for (;;) {
      // Woken in between: as other doers are, it counts from there.
      if (now < ticks.now) ticks = new Ticks(now);
      yield* this.#schedule.run() as Deeds as Generator<PromiseLike<unknown>, void, number>;
      if (this.#schedule.isEmpty && !this.always) return true;
      const due = this.#schedule.nextDue;
      if (this.tock > 0 && due !== Number.POSITIVE_INFINITY) now = yield new Until(ticks.add(this.tock, due));
      else now = yield new Until(due);
    }
  }

  /** Ends its doers that are not over, the last one first. */
  override exit(): Promise<void> | undefined {
    return drive(this.#schedule.exit());
  }
}

/** Who runs the DoDoer is where its doers have their ways from. */
class DoDoerHost implements Host {
  readonly #doer: DoDoer;
  readonly tymth = (): number => this.#doer.tyme ?? 0;

  constructor(doer: DoDoer) {
    this.#doer = doer;
  }

  get isReal(): boolean {
    return places.get(this.#doer)?.isReal ?? false;
  }

  get pace(): number {
    return this.#doer.tock || (places.get(this.#doer)?.pace ?? 0);
  }

  get grace(): number {
    return places.get(this.#doer)?.grace ?? 0;
  }

  wake(): void {
    this.#doer.wake();
  }

  quit(): void {
    this.#doer.quit();
  }
}
