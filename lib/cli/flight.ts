// Many calls under way at a time, their outcomes in the order of the inputs or as they come.
//
//   inputs ──> [ at most `window`: waiting, running, done but not their turn ] ──> batches of outcomes
//
// Nothing is read while the window is full, and it empties only as fast as the consumer takes: memory stays constant
// however long the input is, whether the calls or the consumer are slow.

export interface Success {
  /** From 0. */
  readonly index: number;
  readonly input: string;
  readonly value: unknown;
}

export interface Failure {
  readonly index: number;
  readonly input: string;
  readonly error: unknown;
}

/** How one input ended. */
export type Outcome = Success | Failure;

export interface FlightOptions {
  readonly inputs: AsyncIterable<readonly string[]> | Iterable<readonly string[]>;
  readonly call: (input: string) => Promise<unknown>;
  /** Inputs under way at a time, those included that wait for their turn. */
  readonly window: number;
  readonly ordered: boolean;
  /** Nothing is read after a call has failed. */
  readonly stopAtFailure: boolean;
}

/** Iterated once; batches hold what was ready, at least one outcome. */
export class Flight implements AsyncIterable<readonly Outcome[]> {
  readonly #options: FlightOptions;
  /** Ended, by index; of the ordered ones those below the first gap are ready. */
  readonly #ended = new Map<number, Outcome>();
  #launched = 0;
  #taken = 0;
  #failed = false;
  #exhausted = false;
  #fault: { readonly error: unknown } | undefined;
  #wakeReader: (() => void) | undefined;
  #wakeConsumer: (() => void) | undefined;

  constructor(options: FlightOptions) {
    this.#options = options;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly Outcome[]> {
    void this.#read();
    for (;;) {
      const batch = this.#take();
      if (batch.length > 0) {
        yield batch;
        this.#wakeReader?.();
      } else if (this.#fault !== undefined) {
        throw this.#fault.error;
      } else if (this.#exhausted && this.#taken === this.#launched) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wakeConsumer = resolve;
        });
      }
    }
  }

  async #read(): Promise<void> {
    const { inputs, window, stopAtFailure } = this.#options;
    try {
      for await (const batch of inputs) {
        for (const input of batch) {
          while (this.#launched - this.#taken >= window) await this.#room();
          if (this.#failed && stopAtFailure) return;
          this.#launch(input);
        }
      }
    } catch (error) {
      this.#fault = { error };
    } finally {
      this.#exhausted = true;
      this.#wakeConsumer?.();
    }
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#wakeReader = resolve;
    });
  }

  #launch(input: string): void {
    const index = this.#launched++;
    this.#options.call(input).then(
      (value) => this.#end({ index, input, value }),
      (error: unknown) => {
        this.#failed = true;
        this.#end({ index, input, error });
      },
    );
  }

  #end(outcome: Outcome): void {
    this.#ended.set(outcome.index, outcome);
    if (!this.#options.ordered || outcome.index === this.#taken) this.#wakeConsumer?.();
  }

  #take(): Outcome[] {
    if (!this.#options.ordered) {
      const batch = [...this.#ended.values()];
      this.#ended.clear();
      this.#taken += batch.length;
      return batch;
    }
    const batch: Outcome[] = [];
    for (let next = this.#ended.get(this.#taken); next !== undefined; next = this.#ended.get(this.#taken)) {
      this.#ended.delete(this.#taken);
      this.#taken += 1;
      batch.push(next);
    }
    return batch;
  }
}
