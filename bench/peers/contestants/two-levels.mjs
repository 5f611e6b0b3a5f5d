// Two levels of urgency as a task queue of piscina and tinypool, which have none of their own. `urgent` says which task
// goes first. Each level is an array with a head, so that the queue costs its pool no more than the pool's own.

export class TwoLevels {
  #levels = [new Level(), new Level()];
  #urgent;

  constructor(urgent) {
    this.#urgent = urgent;
  }

  get size() {
    return this.#levels[0].size + this.#levels[1].size;
  }

  push(task) {
    this.#levels[this.#urgent(task) ? 0 : 1].push(task);
  }

  shift() {
    return this.#levels[0].shift() ?? this.#levels[1].shift() ?? null;
  }

  remove() {
    throw new Error('no task is cancelled here');
  }
}

class Level {
  #items = [];
  #head = 0;

  get size() {
    return this.#items.length - this.#head;
  }

  push(item) {
    this.#items.push(item);
  }

  shift() {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    }
    return item;
  }
}

/** What piscina and its child tinypool have in common: how they are called, and how urgently. */
export function callsOf(pool, queueOptionsSymbol) {
  const urgent = { [queueOptionsSymbol]: { urgent: true } };
  return {
    call: (name, input) => pool.run(input, { name }),
    callUrgent: (name, input) => pool.run(Object.assign(input, urgent), { name }),
    end: () => pool.destroy(),
  };
}
