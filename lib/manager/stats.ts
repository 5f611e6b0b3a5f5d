// The counts of a manager.

import { COUNTS, type NativeDispatcher } from '../native.js';
import type { WorkerInfo } from './worker-set.js';

type Count = (typeof COUNTS)[number];

/** `accepted = waiting + sent + lost + done + failed + cancelled`, at any time. */
export interface ManagerStats {
  readonly tasks: {
    /** Ever scheduled, by the owner and by tasks. */
    readonly accepted: number;
    /** In the queue. */
    readonly waiting: number;
    /** The same, by priority. */
    readonly waitingByPriority: readonly number[];
    /** At a worker: running, or sent ahead to it. */
    readonly sent: number;
    /** Their worker died and its exit code is awaited. */
    readonly lost: number;
    readonly done: number;
    readonly failed: number;
    readonly cancelled: number;
    /** Taken back from workers before they had begun; they are in the other counts too. */
    readonly recalled: number;
  };
  readonly inbox: {
    /** Unread. */
    readonly messages: number;
    readonly bytes: number;
    /** Ever received. */
    readonly received: number;
    readonly discarded: number;
  };
  readonly workers: readonly WorkerInfo[];
}

/** Reads the dispatcher's counts into memory that is used again. */
export class CountReader {
  readonly #dispatcher: NativeDispatcher;
  readonly #figures: Float64Array;

  constructor(dispatcher: NativeDispatcher, levels: number) {
    this.#dispatcher = dispatcher;
    this.#figures = new Float64Array(COUNTS.length + levels);
  }

  /** Reads them anew; `get` gives them from then on. */
  refresh(): this {
    this.#dispatcher.readCounts(this.#figures);
    return this;
  }

  get(count: Count): number {
    return this.#figures[COUNTS.indexOf(count)] as number;
  }

  /** Tasks that have not ended. */
  get left(): number {
    return this.get('waiting') + this.get('sent') + this.get('lost');
  }

  /**
   * @param pending tasks that the dispatcher has not seen yet.
   * @param discarded messages that were thrown away on this side.
   */
  stats(pending: number, discarded: number, workers: readonly WorkerInfo[]): ManagerStats {
    return {
      tasks: {
        accepted: this.get('accepted') + pending,
        waiting: this.get('waiting') + pending,
        waitingByPriority: [...this.#figures.subarray(COUNTS.length)],
        sent: this.get('sent'),
        lost: this.get('lost'),
        done: this.get('done'),
        failed: this.get('failed'),
        cancelled: this.get('cancelled'),
        recalled: this.get('recalled'),
      },
      inbox: {
        messages: this.get('inbox'),
        bytes: this.get('inboxBytes'),
        received: this.get('messages'),
        discarded: this.get('discarded') + discarded,
      },
      workers,
    };
  }
}
