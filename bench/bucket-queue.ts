// The plain rival of the native priority queue: one array per level, the first non-empty one by a scan.

export class BucketQueue {
  readonly #levels: { items: number[]; head: number }[];
  #first = 0;

  constructor(levels: number) {
    this.#levels = Array.from({ length: levels }, () => ({ items: [], head: 0 }));
  }

  push(level: number, value: number): void {
    this.#levels[level]?.items.push(value);
    if (level < this.#first) this.#first = level;
  }

  pop(): number | undefined {
    for (; this.#first < this.#levels.length; this.#first++) {
      const level = this.#levels[this.#first] as { items: number[]; head: number };
      if (level.head < level.items.length) return level.items[level.head++];
      level.items = [];
      level.head = 0;
    }
    this.#first = 0;
    return undefined;
  }
}
