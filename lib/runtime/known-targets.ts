// What a worker remembers of the functions and classes that its tasks name: where they are, and how long they take.

import { specName, type TaskSpec } from '../task/spec.js';
import type { Link } from './link.js';

/**
 * What is finished waits for company only while the next tasks are as short as this by experience. Whatever else begins,
 * a long task or one that was never seen, begins with nothing held back: it may not return.
 */
const BATCHED_RUN_US = 250;

type Exported = (...args: unknown[]) => unknown;

/** How long the tasks of one function or class take, a moving average. */
export class Experience {
  #averageUs = -1;

  get isShort(): boolean {
    return this.#averageUs >= 0 && this.#averageUs < BATCHED_RUN_US;
  }

  learn(runUs: number): void {
    this.#averageUs = this.#averageUs < 0 ? runUs : this.#averageUs + (runUs - this.#averageUs) / 8;
  }
}

/** A function or a class whose tasks are known by what their payloads begin with. */
export interface KnownTarget {
  readonly isClass: boolean;
  readonly exported: Exported;
  /** Of the tasks, for people. */
  readonly name: string;
  readonly experience: Experience;
}

/** `["f", name, module, export, arguments]` in MessagePack, behind the payload's tag; or "c", and fields. */
const SPEC = [0x00, 0x95, 0xa1] as const;
const STRINGS = 3;

/** Where the last part of an encoded spec of five begins; -1 for anything else, and for names of unusual length. */
export function detailsOffset(payload: Uint8Array): number {
  if (SPEC.some((byte, i) => payload[i] !== byte)) return -1;
  let at: number = SPEC.length + 1;
  for (let i = 0; i < STRINGS; i++) {
    const head = payload[at] as number;
    if (head >= 0xa0 && head <= 0xbf) at += 1 + (head & 0x1f);
    else if (head === 0xd9) at += 2 + (payload[at + 1] as number);
    else return -1;
  }
  return at < payload.byteLength ? at : -1;
}

/** As many as native/process/prefixes.h has places for. */
const PLACES = 16;

/** When there are more functions than that, they make way for each other no faster than this. */
const EVERY = 64;

export class KnownTargets {
  readonly #link: Link;
  readonly #experience = new WeakMap<object, Experience>();
  readonly #known: (KnownTarget | undefined)[] = new Array(PLACES).fill(undefined);
  #unknown = 0;

  constructor(link: Link) {
    this.#link = link;
  }

  /** What needs not be looked up. @param prefix as the link's head has it. */
  at(prefix: number): KnownTarget | undefined {
    return prefix < PLACES ? this.#known[prefix] : undefined;
  }

  experienceOf(exported: object): Experience {
    let experience = this.#experience.get(exported);
    if (experience === undefined) {
      experience = new Experience();
      this.#experience.set(exported, experience);
    }
    return experience;
  }

  /** The payload was that of `spec`, which names `exported`: later ones that begin like it find it by `at`. */
  remember(payload: Uint8Array, spec: TaskSpec, exported: object): void {
    this.#unknown += 1;
    if (this.#unknown > PLACES && this.#unknown % EVERY !== 0) return;
    const offset = detailsOffset(payload);
    if (offset < 0) return;
    this.#known[this.#link.remember(payload.subarray(0, offset))] = {
      isClass: spec[0] === 'c',
      exported: exported as Exported,
      name: specName(spec),
      experience: this.experienceOf(exported),
    };
  }
}
