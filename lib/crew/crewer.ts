// The first doer of a hand: its link to the boss, and to the other hands.

import { FSMError } from '../errors.js';
import type { Logger } from '../task/context.js';
import type { Memo } from './memo.js';
import { AckDom, BokDom, EndDom, formatMemo, type MemoDom, RegDom } from './memos.js';
import { controlMemo, MultiDoerBase, type MultiDoerEvents, type MultiDoerOptions } from './multi-doer.js';

/** Whom a hand answers to. */
export interface BossAddress {
  readonly name: string;
  readonly path: string;
  /** Of its process: what says that it comes from the boss, and does not, is dropped where the system knows. */
  readonly pid: number;
}

/** What a hand is told when it is started. */
export interface Muster {
  readonly name: string;
  readonly boss: BossAddress;
  /** Where its socket is to be. */
  readonly directory: string;
  readonly logger: Logger;
  /** No more tasks are taken; resolves when none runs here any more. */
  readonly retire: () => Promise<void>;
}

export interface CrewerEvents extends MultiDoerEvents {
  /** The boss knows it. */
  registered: Crewer;
  /** It has the addresses of all others: the first time, and whenever they change. */
  book: Crewer;
}

/**
 * Registers the hand with its boss, has the addresses of all hands in its `book`, and ends the hand when the boss says so. It
 * is never done by itself.
 *
 * @example
 * class Store extends Doer {
 *   constructor(options, crewer) {
 *     super({ tock: Infinity });
 *     crewer.on('memo', ({ name, memo }) => crewer.send(name, `${memo.text}, too`));
 *   }
 * }
 */
export class Crewer extends MultiDoerBase<CrewerEvents> {
  /** Whether the boss has said that it knows it. */
  registered = false;
  /** Whether it has the addresses of the others. */
  crewed = false;
  #muster: Muster | undefined;

  /** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT), OutOfRangeError (ERR_BOSUN_OUT_OF_RANGE) */
  constructor(options: MultiDoerOptions = {}) {
    super(options, 'crew');
  }

  /** Undefined outside of a crew. */
  get boss(): BossAddress | undefined {
    return this.#muster?.boss;
  }

  /** @internal Called in the hand, before anything runs. */
  join(muster: Muster): void {
    this.#muster = muster;
    this.rename(muster.name);
    this.logger = muster.logger;
  }

  override async enter(_options?: { readonly temp: boolean }): Promise<void> {
    const { boss, directory } = this.#assertMustered();
    this.#write({});
    await this.open(directory);
    await this.memoit(formatMemo(new RegDom({ name: this.name })), boss.path);
  }

  override async exit(): Promise<void> {
    await this.shut();
  }

  /** Ends the hand, behind the tasks that run in it. */
  leave(): void {
    if (this.graceful) return;
    this.graceful = true;
    void this.#assertMustered()
      .retire()
      .then(() => this.quit());
  }

  protected override receive(memo: Memo): void {
    const name = this.book.getName(memo.source.path);
    const dom = controlMemo(memo);
    if (dom === undefined) {
      // A stranger has nothing to say here.
      if (name === undefined) this.drop();
      else this.onMemo({ name, memo });
    } else if (dom !== 'none' && this.#isOfBoss(dom, memo)) {
      this.#obey(dom);
    } else {
      this.drop();
    }
  }

  #isOfBoss(dom: MemoDom, { source }: Memo): boolean {
    const { name, path, pid } = this.#assertMustered().boss;
    return dom.name === name && source.path === path && (source.pid === undefined || source.pid === pid);
  }

  #obey(dom: MemoDom): void {
    if (dom instanceof EndDom) this.leave();
    else if (dom instanceof BokDom) {
      this.#write(dom.load);
      this.crewed = true;
      this.emit('book', this);
    } else if (dom instanceof AckDom && dom.load.tag === 'REG' && dom.load.name === this.name) {
      this.registered = true;
      this.emit('registered', this);
    } else this.drop();
  }

  /** The book: the boss, and these but for itself. */
  #write(hands: Readonly<Record<string, string>>): void {
    const { name, path } = this.#assertMustered().boss;
    this.book.clearAllNameAddr();
    this.book.addNameAddr(name, path);
    for (const [hand, address] of Object.entries(hands)) {
      if (hand !== this.name && hand !== name) this.book.addNameAddr(hand, address);
    }
  }

  #assertMustered(): Muster {
    if (this.#muster !== undefined) return this.#muster;
    throw new FSMError('a Crewer runs in a hand, which a Boss has started: give it to a Boss in a load');
  }
}
