// The lines of a stream.

import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { UsageError } from './exit-code.js';

/** A longer line is more likely no text at all, and would have to be held as a whole. */
const LONGEST = 64 * 1024 * 1024;

/**
 * Yields the lines of each chunk together: a promise for every line would cost more than the line. Line ends are \n and
 * \r\n; bytes that are no UTF-8 become U+FFFD.
 */
export class Lines implements AsyncIterable<readonly string[]> {
  readonly #stream: Readable;
  /** Lines so far. */
  count = 0;
  /** Bytes so far. */
  bytes = 0;
  ended = false;

  constructor(stream: Readable) {
    this.#stream = stream;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly string[]> {
    const decoder = new StringDecoder('utf8');
    let rest = '';
    for await (const chunk of this.#chunks()) {
      this.bytes += chunk.byteLength;
      const lines = decoder.write(chunk).split('\n');
      lines[0] = rest + lines[0];
      rest = lines.pop() as string;
      if (rest.length > LONGEST) throw new UsageError(`line ${this.count + lines.length + 1} is longer than 64 MiB`);
      if (lines.length > 0) yield this.#counted(lines);
    }
    rest += decoder.end();
    this.ended = true;
    if (rest !== '') yield this.#counted([rest]);
  }

  async *#chunks(): AsyncGenerator<Buffer> {
    try {
      yield* this.#stream as AsyncIterable<Buffer>;
    } catch (error) {
      // A directory, as in `bosun map ... < .`, or a terminal that went away.
      throw new UsageError(`the input cannot be read: ${(error as Error).message}`);
    }
  }

  #counted(lines: string[]): string[] {
    this.count += lines.length;
    return lines.map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
  }
}
