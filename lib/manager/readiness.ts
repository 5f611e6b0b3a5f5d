// Who waits for a manager to be ready.

export class Readiness {
  readonly #isReady: () => boolean;
  #waiters: { resolve(): void; reject(reason: Error): void }[] = [];

  constructor(isReady: () => boolean) {
    this.#isReady = isReady;
  }

  get isAwaited(): boolean {
    return this.#waiters.length > 0;
  }

  wait(): Promise<void> {
    if (this.#isReady()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
    });
  }

  /** To be called when it may have become ready. */
  tell(): void {
    if (this.#isReady()) for (const { resolve } of this.#waiters.splice(0)) resolve();
  }

  /** It will not be. */
  fail(error: Error): void {
    for (const { reject } of this.#waiters.splice(0)) reject(error);
  }
}
