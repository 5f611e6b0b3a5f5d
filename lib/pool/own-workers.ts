// The workers that a pool makes by itself: more while inputs wait, fewer when there is nothing to do.

import type { Seat } from './post.js';

export interface OwnWorkersOptions {
  readonly min: number;
  readonly max: number;
  /** Milliseconds without an input after which a worker ends; undefined for never. */
  readonly idleTimeout: number | undefined;
  /** Starts one. */
  make(): Seat;
  /** Lets one end. False when it is needed after all. */
  dismiss(seat: Seat): boolean;
}

export class OwnWorkers {
  readonly #options: OwnWorkersOptions;
  readonly #seats = new Set<Seat>();
  /** Those with nothing to do, and since when. */
  readonly #idle = new Map<Seat, number>();
  readonly #working = new Set<Seat>();
  /** One for all of them: it is set for who has been idle for longest. */
  #timer: NodeJS.Timeout | undefined;
  #isEnded = false;

  /** Starts the fewest that there are to be. */
  constructor(options: OwnWorkersOptions) {
    this.#options = options;
    for (let i = 0; i < options.min; i++) this.#add();
  }

  get canGrow(): boolean {
    return !this.#isEnded && this.#seats.size < this.#options.max;
  }

  /** Starts as many again as there are, but no more than inputs wait. */
  grow(waiting: number): Seat[] {
    const { max } = this.#options;
    const count = Math.min(max - this.#seats.size, Math.max(1, this.#seats.size), waiting);
    return this.canGrow ? Array.from({ length: count }, () => this.#add()) : [];
  }

  atWork(seat: Seat, isAtWork: boolean): void {
    if (!this.#seats.has(seat)) return;
    if (isAtWork) {
      this.#working.add(seat);
      this.#idle.delete(seat);
      return;
    }
    this.#working.delete(seat);
    if (!this.#idle.has(seat)) this.#idle.set(seat, performance.now());
    this.#arm();
  }

  /** None ends by itself any more, and none is started. */
  end(): void {
    this.#isEnded = true;
    clearTimeout(this.#timer);
  }

  #add(): Seat {
    const seat = this.#options.make();
    this.#seats.add(seat);
    // Its start is not idleness.
    void seat.worker.started
      .catch(() => {})
      .then(() => {
        if (!this.#working.has(seat)) this.atWork(seat, false);
      });
    return seat;
  }

  #arm(): void {
    const { min, idleTimeout } = this.#options;
    if (idleTimeout === undefined || this.#timer !== undefined || this.#isEnded) return;
    if (this.#idle.size === 0 || this.#seats.size <= min) return;
    const since = Math.min(...this.#idle.values());
    const delay = Math.max(0, since + idleTimeout - performance.now());
    this.#timer = setTimeout(() => this.#onTime(idleTimeout), Math.ceil(delay)).unref();
  }

  #onTime(idleTimeout: number): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const [seat, since] of [...this.#idle].sort(([, a], [, b]) => a - b)) {
      if (this.#seats.size <= this.#options.min || now - since < idleTimeout) break;
      if (this.#options.dismiss(seat)) {
        this.#seats.delete(seat);
        this.#idle.delete(seat);
      } else {
        this.#idle.set(seat, now);
      }
    }
    this.#arm();
  }
}
