// The counts of a manager.

import { COUNTS, type NativeDispatcher, TALLY } from '../native.js';
import type { WorkerInfo } from './worker-set.js';

type Count = (typeof COUNTS)[number];

/** Where tasks are. `accepted = waiting + sent + held + done + failed + cancelled`, at any time. */
export interface TaskTally {
  /** Ever scheduled, by the owner and by tasks. */
  readonly accepted: number;
  /** In the queue. */
  readonly waiting: number;
  /** At a worker: running, or sent ahead to it. */
  readonly sent: number;
  /** Their worker died and its exit code is awaited, or they wait for the time of their next attempt. */
  readonly held: number;
  readonly done: number;
  readonly failed: number;
  /** Dropped, stopped, or too late for their deadline. */
  readonly cancelled: number;
}

/** Durations in milliseconds, to a sixteenth. */
export interface Latency {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

export interface ManagerStats {
  readonly tasks: TaskTally & {
    /** The same by priority, the most urgent first. */
    readonly byPriority: readonly TaskTally[];
    /** Taken back from workers before they had begun; they are in the other counts too. */
    readonly recalled: number;
    /** Attempts after the first. */
    readonly retried: number;
    /** Not accepted yet: they wait for room in the queue (`whenFull: 'wait'`). */
    readonly outside: number;
  };
  /** How long attempts ran, by their workers' clock. */
  readonly run: Latency;
  /** How long tasks waited in the queue. */
  readonly wait: Latency;
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
  readonly #levels: number;
  readonly #figures = new Float64Array(COUNTS.length);

  constructor(dispatcher: NativeDispatcher, levels: number) {
    this.#dispatcher = dispatcher;
    this.#levels = levels;
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
    return this.get('waiting') + this.get('sent') + this.get('held');
  }

  /**
   * @param outside tasks that wait for room.
   * @param discarded messages that were thrown away on this side.
   * @param reset begin the histograms anew.
   */
  stats(outside: number, discarded: number, workers: readonly WorkerInfo[], reset: boolean): ManagerStats {
    const latency = new Float64Array(10);
    this.#dispatcher.readLatency(latency, reset);
    return {
      tasks: {
        ...toTally(this.#figures),
        byPriority: this.#byPriority(),
        recalled: this.get('recalled'),
        retried: this.get('retried'),
        outside,
      },
      run: toLatency(latency.subarray(0, 5)),
      wait: toLatency(latency.subarray(5)),
      inbox: {
        messages: this.get('inbox'),
        bytes: this.get('inboxBytes'),
        received: this.get('messages'),
        discarded: this.get('discarded') + discarded,
      },
      workers,
    };
  }

  #byPriority(): TaskTally[] {
    const figures = new Float64Array(TALLY.length * this.#levels);
    this.#dispatcher.readTallies(figures);
    return Array.from({ length: this.#levels }, (_, level) => toTally(figures.subarray(level * TALLY.length)));
  }
}

function toTally(figures: Float64Array): TaskTally {
  return Object.fromEntries(TALLY.map((name, i) => [name, figures[i]])) as unknown as TaskTally;
}

function toLatency([count, p50, p90, p99, max]: Float64Array): Latency {
  const ms = (us: number | undefined) => (us ?? 0) / 1000;
  return { count: count ?? 0, p50: ms(p50), p90: ms(p90), p99: ms(p99), max: ms(max) };
}
