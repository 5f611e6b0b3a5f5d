// What a doer that runs knows of whoever runs it.

/** How doers are run: by a Doist, by a DoDoer, and by each deed for its own doer. */
export interface Place {
  /** By the clock, or as fast as it goes. */
  readonly isReal: boolean;
  /** Seconds from a cycle to the next one, for those who rest no longer than that. */
  readonly pace: number;
  /** Milliseconds that a doer may take to end. */
  readonly grace: number;
  /** Looks again now. */
  wake(): void;
  /** Ends the Doist. */
  quit(): void;
}

/** Of the doers that run now. */
export const places = new WeakMap<object, Place>();

/** Rests until a tyme, instead of for so many seconds: what a DoDoer yields. */
export class Until {
  readonly tyme: number;

  constructor(tyme: number) {
    this.tyme = tyme;
  }
}
