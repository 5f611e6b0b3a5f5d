// What the dispatcher knows of one connection, read into memory that is used again.

import type { NativeDispatcher } from '../native.js';

export interface Figures {
  /** Tasks that it runs or that were sent ahead. */
  readonly inFlight: number;
  /** How many may be. */
  readonly window: number;
  readonly tasksEnded: number;
  /** A moving average. */
  readonly averageRunMs: number;
}

const NONE: Figures = { inFlight: 0, window: 0, tasksEnded: 0, averageRunMs: 0 };

export class ConnectionFigures {
  readonly #dispatcher: NativeDispatcher;
  readonly #memory = new Float64Array(4);

  constructor(dispatcher: NativeDispatcher) {
    this.#dispatcher = dispatcher;
  }

  /** All of them 0 when the connection has ended. */
  of(connection: number): Figures {
    if (!this.#dispatcher.worker(connection, this.#memory)) return NONE;
    const [inFlight, window, tasksEnded, averageUs] = this.#memory as unknown as [number, number, number, number];
    return { inFlight, window, tasksEnded, averageRunMs: averageUs / 1000 };
  }
}
