// The tasks that may begin, in the order in which they do.

/** What a queue of tasks is ordered by. */
export interface Ready {
  /** 0 is the most urgent. */
  readonly level: number;
  /** Milliseconds of the longest chain of tasks that begins with it. */
  readonly rank: number;
}

export interface ReadyQueue<T extends Ready> {
  readonly size: number;
  push(item: T): void;
  shift(): T | undefined;
}

/** By levels, first in first out inside of each. */
export class LevelQueue<T extends Ready> implements ReadyQueue<T> {
  readonly #levels: { readonly items: T[]; begin: number }[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(item: T): void {
    while (this.#levels.length <= item.level) this.#levels.push({ items: [], begin: 0 });
    this.#levels[item.level]?.items.push(item);
    this.#size += 1;
  }

  shift(): T | undefined {
    const level = this.#levels.find(({ items, begin }) => begin < items.length);
    if (level === undefined) return undefined;
    const item = level.items[level.begin] as T;
    level.begin += 1;
    // To move all others up for each one would cost the square of their number.
    if (level.begin === level.items.length) {
      level.items.length = 0;
      level.begin = 0;
    }
    this.#size -= 1;
    return item;
  }
}

/** The highest rank first, then as `LevelQueue`. A binary heap. */
export class RankQueue<T extends Ready> implements ReadyQueue<T> {
  readonly #heap: { readonly item: T; readonly number: number }[] = [];
  #count = 0;

  get size(): number {
    return this.#heap.length;
  }

  push(item: T): void {
    const heap = this.#heap;
    const entry = { item, number: this.#count++ };
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const above = (at - 1) >>> 1;
      const parent = heap[above] as typeof entry;
      if (isBefore(parent, entry)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = entry;
  }

  shift(): T | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || first === last) return first?.item;
    let at = 0;
    for (let below = 1; below < heap.length; below = 2 * at + 1) {
      const right = heap[below + 1];
      if (right !== undefined && isBefore(right, heap[below] as typeof last)) below += 1;
      const child = heap[below] as typeof last;
      if (isBefore(last, child)) break;
      heap[at] = child;
      at = below;
    }
    heap[at] = last;
    return first.item;
  }
}

interface Entry {
  readonly item: Ready;
  readonly number: number;
}

function isBefore(a: Entry, b: Entry): boolean {
  if (a.item.rank !== b.item.rank) return a.item.rank > b.item.rank;
  if (a.item.level !== b.item.level) return a.item.level < b.item.level;
  return a.number < b.number;
}
