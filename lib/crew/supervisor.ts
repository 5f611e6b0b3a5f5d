// Who keeps the hands of a crew alive: starts them, starts them again, ends them in order.
//
// Source of the strategies: Erlang/OTP, supervisor.

import { CancellationError, MultiError } from '../errors.js';
import { retryAfter } from '../manager/backoff.js';
import type { CrewOffice } from '../manager/crew-office.js';
import type { Seat } from '../manager/seat.js';
import { pause } from '../pause.js';
import type { WorkerEndDetails } from '../worker/worker-run.js';
import type { Restart } from './crew-load.js';
import type { Hand, HandExit } from './hand.js';
import { LEAVING } from './hand-start.js';
import { endText } from './hand-text.js';
import type { HandWorker } from './hand-worker.js';

/** Who is started again with a hand that has ended: nobody else, all others, or those behind it. */
export const STRATEGIES = ['one-for-one', 'one-for-all', 'rest-for-one'] as const;
export type Strategy = (typeof STRATEGIES)[number];

export interface SupervisorSettings {
  readonly strategy: Strategy;
  readonly restart: Restart;
  /** Milliseconds from the request to end until SIGTERM, and from there until SIGKILL. */
  readonly grace: number;
  readonly terminate: number;
  /** Milliseconds without a sign of life; 0: none are expected. */
  readonly patience: number;
}

export interface SupervisorOwner {
  /** Starts its process. @throws the system's error when there is no room for one. */
  open(hand: Hand, seat: Seat): HandWorker;
  /** Asks it to end, by a memo. */
  ask(hand: Hand): void;
  exited(exit: HandExit): void;
  /** It will not be started again. */
  over(hand: Hand): void;
  /** Hands do not stay alive; the crew is to end. */
  failed(error: MultiError): void;
  /** Something is different. */
  changed(): void;
}

export class Supervisor {
  readonly #hands: readonly Hand[];
  readonly #settings: SupervisorSettings;
  readonly #office: CrewOffice;
  readonly #owner: SupervisorOwner;
  readonly #seats = new Map<Hand, Seat>();
  /** When it was seen last that its event loop goes round, and what it counted then. */
  readonly #beats = new Map<Hand, { readonly at: number; readonly beats: number }>();
  /** Groups are started again one behind the other. */
  #group: Promise<void> = Promise.resolve();
  #isStopping = false;

  constructor(hands: readonly Hand[], settings: SupervisorSettings, office: CrewOffice, owner: SupervisorOwner) {
    this.#hands = hands;
    this.#settings = settings;
    this.#office = office;
    this.#owner = owner;
  }

  /** No hand runs, and none will. */
  get isOver(): boolean {
    return this.#hands.every(({ isOver }) => isOver);
  }

  startAll(): void {
    for (const hand of this.#hands) void this.#start(hand);
  }

  /** Ends hands for good, the last one first, each behind the end of the one before. */
  async end(hands: readonly Hand[], reason: CancellationError): Promise<void> {
    for (const hand of hands) hand.exiting = true;
    for (const hand of [...hands].reverse()) {
      hand.pause?.end();
      this.#office.cancelTasksOf(hand.name, reason);
      if (hand.isAlive) await this.#endProcess(hand);
      this.#bury(hand, reason);
    }
  }

  /**
   * SIGTERM to all that live, the last one first, each behind the end of the one before. One that takes all the time gets a
   * SIGKILL then, and those that had to wait for it a SIGTERM, and no longer than `terminate`.
   */
  async stop(milliseconds: number): Promise<void> {
    this.#isStopping = true;
    const deadline = performance.now() + milliseconds;
    for (const hand of this.#hands) {
      hand.exiting = true;
      hand.pause?.end();
    }
    const left = this.#hands.filter(({ isAlive }) => isAlive);
    for (let now = performance.now(); left.length > 0 && now < deadline; now = performance.now()) {
      await left.pop()?.worker?.endWithin(Math.ceil(deadline - now));
    }
    const last = Math.min(this.#settings.terminate, milliseconds);
    await Promise.all(left.map(({ worker }) => worker?.endWithin(last)));
    const reason = new CancellationError('the crew has ended');
    for (const hand of this.#hands) this.#bury(hand, reason);
    await this.#group;
  }

  /** Ends what has given no sign of life for too long. */
  look(): void {
    const { patience, terminate } = this.#settings;
    if (patience === 0) return;
    const now = performance.now();
    for (const hand of this.#hands) {
      const { worker } = hand;
      // It begins to count when it is started up.
      const beats = hand.isAlive ? (worker?.beats ?? 0) : 0;
      if (worker === undefined || beats === 0) {
        this.#beats.delete(hand);
        continue;
      }
      const last = this.#beats.get(hand);
      if (last === undefined || last.beats !== beats) this.#beats.set(hand, { at: now, beats });
      else if (now - last.at > patience && hand.reason === undefined) {
        hand.reason = `it has given no sign of life for ${patience} ms`;
        void worker.endWithin(terminate);
      }
    }
  }

  async #start(hand: Hand): Promise<void> {
    if (!hand.isAlive) await this.#seats.get(hand)?.gone;
    if (this.#isStopping || hand.exiting || hand.isAlive) return;
    hand.isCycled = false;
    hand.hasBook = false;
    hand.reason = undefined;
    let seat: Seat | undefined;
    try {
      seat = this.#office.open(hand.name);
      const worker = this.#owner.open(hand, seat);
      const { life } = worker;
      hand.worker = worker;
      this.#seats.set(hand, seat);
      seat.started({
        pid: worker.pid,
        exited: life.exited,
        signal: (name) => void (name === 'SIGKILL' ? life.kill() : worker.endWithin(this.#settings.terminate)),
      });
      worker.on('progress', (said) => {
        if (said === LEAVING) this.#seats.get(hand)?.leave(false);
      });
      worker.once('exit', (end) => this.#onExit(hand, end, worker.error));
      this.#owner.changed();
    } catch (error) {
      seat?.drop();
      this.#onExit(hand, { code: null, signal: null }, error as Error);
    }
  }

  async #endProcess(hand: Hand): Promise<void> {
    const { grace, terminate } = this.#settings;
    // What runs there for anybody may end; what is behind it goes elsewhere.
    this.#seats.get(hand)?.leave(false);
    await hand.worker?.end(() => this.#owner.ask(hand), { grace, terminate });
  }

  #onExit(hand: Hand, { code, signal }: WorkerEndDetails, error: Error | undefined): void {
    hand.registered = false;
    const { name, pid, reason, exiting } = hand;
    const isLast = this.#isStopping || exiting || hand.isCycled;
    const isWanted = !isLast && this.#isWanted(hand, code);
    const restarting = isWanted && !hand.deaths.add();
    const exit: HandExit = { name, pid, code, signal, error, reason, exiting, restarting };
    hand.lastExit = exit;
    if (restarting) hand.restarts += 1;
    this.#owner.exited(exit);
    if (restarting) this.#restart(hand);
    else if (!isLast) this.#giveUp(hand, exit, isWanted);
    this.#owner.changed();
  }

  #restartOf({ load }: Hand): Restart {
    return load.restart ?? this.#settings.restart;
  }

  /** Whether it is to be started again, having ended like this. */
  #isWanted(hand: Hand, code: number | null): boolean {
    const restart = this.#restartOf(hand);
    return restart === 'always' || (restart === 'on-failure' && code !== 0);
  }

  /** It has ended by itself, and that is that. */
  #giveUp(hand: Hand, exit: HandExit, isWanted: boolean): void {
    const text = endText(exit);
    this.#bury(hand, new CancellationError(text, { cause: exit.error }));
    // All others may go on; who owns the crew is told in the end.
    if (!isWanted) return;
    const { count, within } = hand.deaths;
    const message = `${hand.name} has ended ${count} times within ${within} ms, and is not started again; ${text}`;
    this.#owner.failed(new MultiError(message, { cause: exit.error }));
  }

  #bury(hand: Hand, reason: CancellationError): void {
    if (hand.isOver) return;
    hand.isOver = true;
    this.#office.giveUp(hand.name, reason);
    this.#owner.over(hand);
  }

  #restart(hand: Hand): void {
    const { strategy } = this.#settings;
    if (strategy === 'one-for-one') void this.#startLater(hand, []);
    else this.#group = this.#group.then(() => this.#restartGroup(hand, strategy));
  }

  /** The group of another one may have brought it back meanwhile. */
  async #restartGroup(hand: Hand, strategy: Strategy): Promise<void> {
    if (!hand.isAlive && !hand.isOver) await this.#startLater(hand, this.#groupOf(hand, strategy));
  }

  /** Those that are to be left at their end are left alone. */
  #groupOf(hand: Hand, strategy: Strategy): readonly Hand[] {
    const from = strategy === 'one-for-all' ? 0 : this.#hands.indexOf(hand) + 1;
    return this.#hands
      .slice(from)
      .filter((other) => other !== hand && !other.isOver && !other.exiting && this.#restartOf(other) !== 'never');
  }

  async #startLater(hand: Hand, others: readonly Hand[]): Promise<void> {
    for (const other of [...others].reverse()) {
      if (!other.isAlive) continue;
      other.isCycled = true;
      await this.#endProcess(other);
      if (!other.exiting) other.restarts += 1;
    }
    hand.pause = pause(retryAfter(hand.deaths.count));
    await hand.pause.over;
    hand.pause = undefined;
    const all = others.length === 0 ? [hand] : this.#hands.filter((one) => one === hand || others.includes(one));
    for (const one of all) await this.#start(one);
  }
}
