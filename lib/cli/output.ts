// Lines on standard output, at the reader's pace.

import type { Writable } from 'node:stream';

/** Lines are written together up to so many characters; more wait for the reader. */
const BATCH = 64 * 1024;

/**
 * Collects the lines of one turn of the event loop. `lost` is aborted when nobody reads any more: the pipe was closed
 * (EPIPE), or the disk is full; its reason is the error.
 */
export class Output {
  readonly #stream: Writable;
  readonly #lost = new AbortController();
  #text = '';
  #queued = false;
  /** There while the stream takes no more, and what ends it. */
  #blocked: Promise<void> | undefined;
  #unblock: () => void = () => {};

  constructor(stream: Writable = process.stdout) {
    this.#stream = stream;
    stream.on('error', (error) => {
      this.#lost.abort(error);
      this.#unblock();
    });
    stream.on('drain', () => {
      this.#blocked = undefined;
      this.#unblock();
      this.#send();
    });
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Appends whole lines. Await what it returns, if anything, to keep to the reader's pace. */
  write(lines: string): Promise<void> | undefined {
    if (this.lost.aborted) return undefined;
    this.#text += lines;
    if (this.#text.length >= BATCH) this.#send();
    else if (!this.#queued) {
      this.#queued = true;
      setImmediate(() => {
        this.#queued = false;
        this.#send();
      });
    }
    return this.#blocked;
  }

  /** Resolves when the system has taken everything, the reader is lost, or `limit` is aborted. */
  async flush(limit: AbortSignal): Promise<void> {
    const given = Promise.race([aborted(this.lost), aborted(limit)]);
    this.#send();
    while (this.#text !== '' && !this.lost.aborted && !limit.aborted) await Promise.race([this.#blocked, given]);
    const taken = new Promise<void>((resolve) => this.#stream.write('', () => resolve()));
    await Promise.race([taken, given]);
  }

  #send(): void {
    const text = this.#text;
    if (text === '' || this.#blocked !== undefined || this.lost.aborted) return;
    this.#text = '';
    if (this.#stream.write(text)) return;
    this.#blocked = new Promise((resolve) => {
      this.#unblock = resolve;
    });
  }
}

/** Resolves when a signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
