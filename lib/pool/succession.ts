// Who follows a worker that takes no more part in a run.

import { PoolError } from '../errors.js';
import type { PersistentWorker } from '../worker/persistent-worker.js';
import type { Post, Seat } from './post.js';

/** Workers that cannot even begin: so many in one seat may follow each other. */
const BARREN_DEATHS = 3;

export interface SuccessionOptions {
  /** Makes a worker end that has had its share. */
  retire(worker: PersistentWorker): Promise<void>;
  /** Resolves when the seat of a worker that has died or retired has another; undefined when it stays empty. */
  replace(seat: Seat): Promise<void> | undefined;
}

export class Succession {
  readonly #options: SuccessionOptions;
  /** For a seat how many have ended in it without having been at an input. */
  readonly #barren = new Map<Seat, number>();
  #failure: PoolError | undefined;

  constructor(options: SuccessionOptions) {
    this.#options = options;
  }

  /** Why a seat is left empty. */
  get failure(): PoolError | undefined {
    return this.#failure;
  }

  /** A worker in this seat has worked off an input. */
  succeeded(seat: Seat): void {
    this.#barren.delete(seat);
  }

  /**
   * The worker has ended, or is made to. Resolves to whether its seat has one again.
   *
   * @param died is called when it has not just had its share; false when nobody is to follow.
   */
  async follow(post: Post, died: () => boolean): Promise<boolean> {
    const { seat, worker } = post;
    if (post.isUsable) {
      await this.#options.retire(worker);
    } else {
      // Whoever closed it may start it again.
      await worker.ended();
      if (worker.isAlive()) return true;
      if (!worker.hasRetired && !died()) return false;
      if (!worker.hasRetired && !post.hasCost && this.#isBarren(seat)) {
        const { error: cause } = worker;
        this.#failure = new PoolError('the workers of the pool end as fast as they are started', { cause });
        return false;
      }
    }
    const replaced = this.#options.replace(seat);
    await replaced;
    return replaced !== undefined;
  }

  #isBarren(seat: Seat): boolean {
    const deaths = (this.#barren.get(seat) ?? 0) + 1;
    this.#barren.set(seat, deaths);
    return deaths > BARREN_DEATHS;
  }
}
