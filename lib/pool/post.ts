// A worker's part in a run: what it has, and how much it is given at once.

import type { PersistentWorker } from '../worker/persistent-worker.js';

/** A place for a worker; who dies is followed by another. */
export interface Seat {
  readonly number: number;
  worker: PersistentWorker;
  /** Makes who follows it. */
  readonly next: () => Promise<PersistentWorker>;
  /** That the worker was made with. */
  readonly signal: AbortSignal | undefined;
}

/** So much work is worth a message, and not too much to wait for at the end. */
const CHUNK_MICROS = 1_000;

/** However short its inputs are: a long one may be among them, and those behind it wait for it. More gains little. */
const MAX_CHUNK = 64;

/** How fast a run of short inputs is believed behind a long one. */
const BELIEF = 0.25;

export class Post {
  readonly seat: Seat;
  readonly worker: PersistentWorker;
  /** Inputs that it has. */
  held = 0;
  /** It takes no more, and will be dead soon. */
  isEnding = false;
  isIdle = false;
  /** Its worker has died at an input. */
  hasCost = false;
  /** The pool has no more need of it. */
  isLeaving = false;
  /** What an input takes; a long one counts at once. */
  #micros: number | undefined;
  #chunk = 1;

  constructor(seat: Seat) {
    this.seat = seat;
    this.worker = seat.worker;
  }

  /** It may be given something. */
  get isUsable(): boolean {
    return !this.isEnding && !this.isLeaving && this.worker.takesInputs;
  }

  /** An input has taken so long. */
  measured(micros: number): void {
    const before = this.#micros ?? micros;
    this.#micros = Math.max(micros, before + BELIEF * (micros - before));
  }

  /** How many inputs are about a millisecond of work, as far as that is known; no more than twice the last chunk. */
  get fitting(): number {
    if (this.#micros === undefined) return 1;
    const fitting = Math.floor(CHUNK_MICROS / Math.max(this.#micros, 1));
    return Math.max(1, Math.min(fitting, 2 * this.#chunk, MAX_CHUNK));
  }

  /** It is given a chunk of that many, or fewer if there are no more. */
  given(chunk: number): void {
    this.#chunk = chunk;
  }
}
