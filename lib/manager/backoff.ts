// When a manager starts a worker again, and when it does not any more.

/** Milliseconds between starts that fail, doubled each time. */
const FIRST_RETRY_MS = 20;
export const MAX_RETRY_MS = 5_000;

/** Milliseconds until the next start, after so many in a row that failed. */
export function retryAfter(failures: number): number {
  return Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), MAX_RETRY_MS);
}

/** The deaths of workers that had not ended a task: more than a few of them mean that no other will either. */
export class Deaths {
  readonly #max: number;
  readonly within: number;
  #times: number[] = [];

  constructor({ max, within }: { readonly max: number; readonly within: number }) {
    this.#max = max;
    this.within = within;
  }

  /** Lately. */
  get count(): number {
    return this.#times.length;
  }

  /** One more. True when there were too many. */
  add(): boolean {
    const now = performance.now();
    this.#times = [...this.#times.filter((time) => time > now - this.within), now];
    return this.#times.length > this.#max;
  }
}
