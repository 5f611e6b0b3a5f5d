// What clients have left on a server for several workers: a target, and arguments as they came.

import { InvalidArgumentError, OutOfRangeError } from '../errors.js';
import type { TargetReference } from '../task/target.js';
import { joinPair } from '../wire/foreign.js';
import { within } from '../within.js';

/** A worker in a context. */
export interface Member {
  readonly gone: Promise<void>;
  stop(): Promise<void>;
}

export class Context {
  readonly target: TargetReference | undefined;
  /** The payload of a DefaultsMessage. */
  readonly defaults: Uint8Array;
  readonly #members = new Set<Member>();

  constructor(target: TargetReference | undefined, defaults: Uint8Array) {
    this.target = target;
    this.defaults = defaults;
  }

  add(member: Member): void {
    this.#members.add(member);
    const forget = () => void this.#members.delete(member);
    member.gone.then(forget, forget);
  }

  /** Its workers may take so many milliseconds. */
  async close(timeout: number): Promise<void> {
    const members = [...this.#members];
    const gone = Promise.allSettled(members.map((member) => member.gone));
    if (await within(timeout, gone)) return;
    await Promise.all(members.map((member) => member.stop()));
    await gone;
  }
}

export class Contexts {
  readonly #contexts = new Map<string, Context>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  /** @throws InvalidArgumentError for an id that is taken, OutOfRangeError when there is no room. */
  open(id: string, target: TargetReference | undefined, defaults: Uint8Array): Context {
    if (this.#contexts.has(id)) throw new InvalidArgumentError(`the server has a context '${id}' already`);
    if (this.#contexts.size >= this.#most) throw new OutOfRangeError(`the server has ${this.#most} contexts already`);
    const context = new Context(target, joinPair(null, defaults));
    this.#contexts.set(id, context);
    return context;
  }

  /** @throws InvalidArgumentError when there is none of this id. */
  find(id: unknown): Context {
    const context = this.#contexts.get(id as string);
    if (context === undefined) throw new InvalidArgumentError(`the server has no context '${String(id)}'`);
    return context;
  }

  forget(id: string): void {
    this.#contexts.delete(id);
  }
}
