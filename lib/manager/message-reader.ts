// The iterator over an inbox that `messages()` returns.

import { BosunError } from '../errors.js';

/** Where messages come from. */
export interface MessageSource {
  /** The next item, or undefined when none is here now. Throws what the iterator is to throw. */
  take(): { readonly message: unknown } | undefined;
  /** True when no more will come unless somebody schedules: evaluated in the reader's own turn. */
  finished(): boolean;
  /** Called when the reader has gone, by `break` or at the end. */
  release(): void;
}

/** One reader at a time; the source calls `wake` when `take` or `finished` may have changed. */
export class MessageReader implements AsyncIterableIterator<unknown> {
  readonly #source: MessageSource;
  #waiting: { resolve(result: IteratorResult<unknown>): void; reject(reason: unknown): void }[] = [];
  #done = false;
  #error: Error | undefined;

  constructor(source: MessageSource) {
    this.#source = source;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<unknown>> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.wake();
    });
  }

  /** `break` ends up here; the manager stays usable. */
  return(): Promise<IteratorResult<unknown>> {
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Gives waiting calls of `next` what is there. */
  wake(): void {
    while (this.#waiting.length > 0) {
      try {
        const item = this.#done ? undefined : this.#source.take();
        if (item !== undefined) this.#waiting.shift()?.resolve({ done: false, value: item.message });
        else if (this.#done || this.#source.finished()) this.end();
        else return;
      } catch (error) {
        const reader = this.#waiting.shift();
        this.end();
        reader?.reject(error);
      }
    }
  }

  /** Ends the iteration for good; `error` is thrown by the call of `next` that waits, or by the next one. */
  end(error?: Error): void {
    this.#error ??= error;
    if (!this.#done) {
      this.#done = true;
      this.#source.release();
    }
    for (const { resolve, reject } of this.#waiting.splice(0)) {
      const thrown = this.#error;
      this.#error = undefined;
      if (thrown === undefined) resolve({ done: true, value: undefined });
      else reject(thrown);
    }
  }
}

/** @throws BosunError ERR_BOSUN_MANAGER_BUSY */
export function refuseSecondReader(): never {
  throw new BosunError('ERR_BOSUN_MANAGER_BUSY', 'messages() has one reader at a time: leave the first loop before');
}
