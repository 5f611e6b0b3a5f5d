// Values for whoever asks for them, in order: they wait for a reader, or a reader waits for them.

/** What a reader gets; nothing more comes behind `done`. */
export type Delivery<T> = { readonly done: false; readonly value: T } | { readonly done: true };

export class Mailbox<T> {
  readonly #values: T[] = [];
  readonly #readers: ((delivery: Delivery<T>) => void)[] = [];
  #isOver = false;

  get size(): number {
    return this.#values.length;
  }

  put(value: T): void {
    const reader = this.#readers.shift();
    if (reader === undefined) this.#values.push(value);
    else reader({ done: false, value });
  }

  /** What is there can still be taken. */
  end(): void {
    this.#isOver = true;
    for (const reader of this.#readers.splice(0)) reader({ done: true });
  }

  /** There will be more, behind what is still there. */
  reopen(): void {
    this.#isOver = false;
  }

  take(): Promise<Delivery<T>> {
    // By its length: a value may be undefined.
    if (this.#values.length > 0) return Promise.resolve({ done: false, value: this.#values.shift() as T });
    if (this.#isOver) return Promise.resolve({ done: true });
    return new Promise((resolve) => this.#readers.push(resolve));
  }

  /** The same; undefined when none comes within so many milliseconds, and then none is lost. */
  takeWithin(milliseconds: number): Promise<Delivery<T> | undefined> {
    const delivery = this.take();
    if (this.#readers.length === 0) return delivery;
    const reader = this.#readers[this.#readers.length - 1] as (delivery: Delivery<T>) => void;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        const index = this.#readers.indexOf(reader);
        if (index === -1) return;
        this.#readers.splice(index, 1);
        resolve(undefined);
      }, milliseconds);
      void delivery.then((value) => {
        clearTimeout(timer);
        resolve(value);
      });
    });
  }
}
