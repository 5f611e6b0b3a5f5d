// The connection of a hand, for those who start its process.

import { closeDescriptors, type NativeDispatcher } from '../native.js';
import type { HandLife, HandProcess } from './hand-life.js';
import type { ChildEnds } from './local-start.js';
import type { Member } from './member.js';

/** What the process of a hand is started with, and how it comes and goes. */
export interface Seat {
  /** Its number among the manager's workers. */
  readonly worker: number;
  /** For the process to inherit: its end of the socket, and its page. */
  readonly descriptors: readonly [socket: number, page: number];
  /** The process runs, and has copies of the descriptors: ours are closed. */
  started(process: HandProcess): void;
  /** No process could be started: as if it had never been opened. */
  drop(): void;
  /**
   * It gets nothing more, and its connection ends behind what runs there; with `abort`, what runs is asked to stop, as by
   * CANCEL. The process goes on.
   */
  leave(abort: boolean): void;
  /** Resolves when the connection has ended and its losses are settled. */
  readonly gone: Promise<void>;
}

export interface SeatParts {
  readonly member: Member;
  readonly life: HandLife;
  readonly ends: ChildEnds;
  readonly dispatcher: NativeDispatcher;
  readonly gone: Promise<void>;
  /** What was said to the dispatcher is to be sent. */
  turn(): void;
}

export class HandSeat implements Seat {
  readonly worker: number;
  readonly descriptors: readonly [socket: number, page: number];
  readonly gone: Promise<void>;
  readonly #parts: SeatParts;
  #isOpen = true;

  constructor(parts: SeatParts) {
    const [socket, page, lifeline] = parts.ends;
    this.worker = parts.member.worker;
    this.descriptors = [socket, page];
    this.gone = parts.gone;
    this.#parts = parts;
    // Who starts the process sees to it that it does not outlive this one.
    closeDescriptors([lifeline]);
  }

  started(process: HandProcess): void {
    this.#closeOurs();
    this.#parts.life.started(process);
  }

  drop(): void {
    const { member, life, turn } = this.#parts;
    this.#closeOurs();
    life.leave();
    member.destroy();
    turn();
  }

  leave(abort: boolean): void {
    const { member, life, dispatcher, turn } = this.#parts;
    if (life.state === 'dead') return;
    life.leave();
    dispatcher.sendClose(member.connection, abort);
    turn();
  }

  #closeOurs(): void {
    if (this.#isOpen) closeDescriptors(this.descriptors);
    this.#isOpen = false;
  }
}
