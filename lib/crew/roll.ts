// Who of a crew is there, and what the boss says to them.

import type { AddressBook } from './address-book.js';
import type { Hand } from './hand.js';
import type { Memo } from './memo.js';
import { AckDom, AddrDom, BokDom, EndDom, formatMemo } from './memos.js';

export interface RollOwner {
  readonly name: string;
  readonly book: AddressBook;
  memoit(memo: string, address: string): Promise<void>;
  registered(hand: Hand): void;
  /** All that are wanted are there, which they were not before. */
  crewed(): void;
}

export class Roll {
  readonly #hands: readonly Hand[];
  readonly #owner: RollOwner;
  /** All of the crew were there once, so the book has all addresses. */
  #isBookFull = false;
  isCrewed = false;

  constructor(hands: readonly Hand[], owner: RollOwner) {
    this.#hands = hands;
    this.#owner = owner;
  }

  /** The hand that has sent it, by where it was sent from and, where the system says so, by which process. */
  whose({ source: { path, pid } }: Memo): Hand | undefined {
    const hand = this.#hands.find((one) => one.path === path);
    return pid === undefined || pid === hand?.pid ? hand : undefined;
  }

  register(hand: Hand): void {
    const { name, book } = this.#owner;
    hand.registered = true;
    hand.worker?.life.markAlive();
    book.addNameAddr(hand.name, hand.path);
    const load = new AddrDom({ tag: 'REG', name: hand.name, addr: hand.path });
    this.#say(hand, formatMemo(new AckDom({ name, load })));
    this.#owner.registered(hand);
    this.share();
  }

  /** Each hand gets the book once all are known; one that was started again, at once. To be called when one is over, too. */
  share(): void {
    const { name, book } = this.#owner;
    const wanted = this.#hands.filter(({ isOver, exiting }) => !isOver && !exiting);
    const isFull = wanted.length > 0 && wanted.every(({ registered }) => registered);
    this.#isBookFull ||= isFull;
    if (this.#isBookFull) {
      const memo = formatMemo(new BokDom({ name, load: Object.fromEntries(book.addrByName) }));
      for (const hand of wanted) {
        if (!hand.registered || hand.hasBook) continue;
        hand.hasBook = true;
        this.#say(hand, memo);
      }
    }
    if (!isFull || this.isCrewed) return;
    this.isCrewed = true;
    this.#owner.crewed();
  }

  /** Tells it to end. */
  end(hand: Hand): void {
    const ask = (): void => hand.worker?.askToStop();
    if (hand.registered) this.#say(hand, formatMemo(new EndDom({ name: this.#owner.name })), ask);
    else ask();
  }

  /** One that is gone meanwhile has no need of it. */
  #say(hand: Hand, memo: string, otherwise: () => void = () => {}): void {
    void this.#owner.memoit(memo, hand.path).catch(otherwise);
  }
}
