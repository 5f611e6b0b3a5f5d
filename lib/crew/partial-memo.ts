// A memo of which some grams are still missing.

import type { GramHeader } from './gram.js';
import type { GramSource } from './peer.js';

/** What a gram takes besides its bytes. */
const GRAM_COST = 512;

export class PartialMemo {
  readonly source: GramSource;
  /** When something new of it came, as the Memoer counts the time. */
  heard = 0;
  bytes = 0;
  /** By number; how many a header promises allocates nothing. */
  readonly #bodies = new Map<number, Buffer>();
  #count: number | undefined;
  #highest = 0;

  constructor(source: GramSource) {
    this.source = source;
  }

  /** The memory that it takes, in bytes. */
  get cost(): number {
    return this.bytes + this.#bodies.size * GRAM_COST;
  }

  get isComplete(): boolean {
    return this.#bodies.size === this.#count;
  }

  has({ isFirst, number }: GramHeader): boolean {
    return this.#bodies.has(isFirst ? 0 : number);
  }

  /** Whether such a gram can be one of it. */
  fits({ isFirst, number }: GramHeader): boolean {
    return isFirst ? number > this.#highest : number < (this.#count ?? Number.POSITIVE_INFINITY);
  }

  add({ isFirst, number }: GramHeader, body: Buffer): void {
    if (isFirst) this.#count = number;
    else this.#highest = Math.max(this.#highest, number);
    this.#bodies.set(isFirst ? 0 : number, body);
    this.bytes += body.length;
  }

  /** All of it, in order. */
  join(): Buffer {
    const bodies: Buffer[] = [];
    for (let i = 0; i < this.#bodies.size; i++) bodies.push(this.#bodies.get(i) as Buffer);
    return Buffer.concat(bodies, this.bytes);
  }
}
