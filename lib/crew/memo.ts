// What somebody has sent, whole.

import type { GramSource } from './peer.js';

export class Memo {
  readonly bytes: Buffer;
  readonly source: GramSource;
  #text: string | undefined;

  constructor(bytes: Buffer, source: GramSource) {
    this.bytes = bytes;
    this.source = source;
  }

  /** The bytes as UTF-8; what is none is U+FFFD. Read when it is asked for. */
  get text(): string {
    this.#text ??= this.bytes.toString();
    return this.#text;
  }
}
