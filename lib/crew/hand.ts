// A hand of a crew, as its boss knows it.

import type { Deaths } from '../manager/backoff.js';
import type { Pause } from '../pause.js';
import type { CrewLoad } from './crew-load.js';
import type { HandWorker } from './hand-worker.js';

/**
 * `starting` until the boss knows it, then `registered`; `ending` from the first request to end it; `waiting` to be started
 * again; `over` when it is not.
 */
export type HandState = 'idle' | 'starting' | 'registered' | 'ending' | 'waiting' | 'over';

/** How a hand has ended. */
export interface HandExit {
  readonly name: string;
  readonly pid: number | undefined;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What one of its doers has thrown, or why it could not be started. */
  readonly error: Error | undefined;
  /** Why its boss has ended it, if it had to. */
  readonly reason: string | undefined;
  /** It was told to end. */
  readonly exiting: boolean;
  /** It is started again. */
  readonly restarting: boolean;
}

export class Hand {
  readonly name: string;
  readonly load: CrewLoad;
  /** Where its socket is. */
  readonly path: string;
  /** Its process now, or the last one; undefined before the first. */
  worker: HandWorker | undefined;
  /** It was told to end, for good. */
  exiting = false;
  /** It can be sent memos. */
  registered = false;
  /** How often it was started again. */
  restarts = 0;
  /** How it has ended last. */
  lastExit: HandExit | undefined;
  /** What it has sent to the boss last, and when (milliseconds, as of Date). */
  lastMemo: { readonly text: string; readonly at: number } | undefined;

  /** @internal */
  isOver = false;
  /** @internal Told to end, to be started again with others. */
  isCycled = false;
  /** @internal It has the addresses of all. */
  hasBook = false;
  /** @internal Why its boss ends it. */
  reason: string | undefined;
  /** @internal Before it is started again. */
  pause: Pause | undefined;
  /** @internal */
  readonly deaths: Deaths;

  constructor(load: CrewLoad, path: string, deaths: Deaths) {
    this.name = load.name;
    this.load = load;
    this.path = path;
    this.deaths = deaths;
  }

  /** Of its process. */
  get pid(): number | undefined {
    return this.worker?.pid;
  }

  get isAlive(): boolean {
    return this.worker?.isAlive() ?? false;
  }

  get state(): HandState {
    if (this.isAlive) return this.exiting || this.isCycled ? 'ending' : this.registered ? 'registered' : 'starting';
    if (this.isOver) return 'over';
    return this.worker === undefined ? 'idle' : 'waiting';
  }
}
