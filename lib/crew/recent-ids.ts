// The memos that came last, to know a gram of them that comes again.

import type { GramSource } from './peer.js';

/** As many are known, or twice as many. */
const KEPT = 1_024;

export class RecentIds {
  #new = new Map<string, GramSource>();
  #old = new Map<string, GramSource>();

  get(id: string): GramSource | undefined {
    return this.#new.get(id) ?? this.#old.get(id);
  }

  add(id: string, source: GramSource): void {
    if (this.#new.size === KEPT) {
      this.#old = this.#new;
      this.#new = new Map();
    }
    this.#new.set(id, source);
  }
}
