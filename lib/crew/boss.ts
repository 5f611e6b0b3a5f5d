// The boss of a crew: named processes that live long, know each other, and end in order.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { builtin } from '../builtin.js';
import { CancellationError, InvalidArgumentError, MultiError } from '../errors.js';
import { Deaths } from '../manager/backoff.js';
import { ClosePolicy } from '../manager/close.js';
import { type CrewOffice, openCrewOffice } from '../manager/crew-office.js';
import type { ProcessManager } from '../manager/process-manager.js';
import type { Seat } from '../manager/seat.js';
import { keepAtExit, makeSocketDirectory, removeAtExit } from '../manager/socket-path.js';
import { delay, ownOptions } from '../own-options.js';
import { type BossOptions, type BossSettings, baseOptions, checkBossOptions } from './boss-options.js';
import type { CrewLoad } from './crew-load.js';
import { Hand, type HandExit } from './hand.js';
import type { HandStart } from './hand-start.js';
import { endText } from './hand-text.js';
import { HandWorker } from './hand-worker.js';
import { assertCrewer } from './make-doers.js';
import type { Memo } from './memo.js';
import { AckDom, AddrDom, BokDom, EndDom, formatMemo, RegDom } from './memos.js';
import { type CrewMemo, controlMemo, MultiDoerBase } from './multi-doer.js';
import { checkPath } from './peer.js';
import { Supervisor } from './supervisor.js';

export interface BossEvents {
  /** Its hands are known, and about to be started. */
  entered: Boss;
  /** All hands are there, and know each other: the first time, and each time that they are again. */
  crewed: Boss;
  handRegistered: Hand;
  handExit: HandExit;
  /** Of a hand. */
  memo: CrewMemo;
}

/** Behind the grace of its hands: their exits, and the sockets. */
const CLOSE_MS = 2_000;

/** A hand's name, as long as it may be: sockets have short paths. */
const LONGEST = `${'x'.repeat(64)}.uxd`;

/**
 * Starts a process for each load, in which a Doist runs the doers of that load, and keeps them alive. It is complete when no
 * hand is left that is to be started again; then it throws if one has ended badly. When it is told to end, the hands get a
 * SIGTERM, the last one first.
 *
 * @example
 * const store = { module: import.meta.resolve('./store.js'), export: 'Store' };
 * const boss = new Boss({ loads: [{ name: 'store', doers: [{ module: 'bosun', export: 'Crewer' }, store] }] });
 * await new Doist({ real: true, doers: [boss] }).do();
 */
export class Boss extends MultiDoerBase<BossEvents> {
  readonly #settings: BossSettings;
  #hands = new Map<string, Hand>();
  #office: CrewOffice | undefined;
  /** It was entered, and has ended: its manager is closed. */
  #isOver = false;
  #supervisor: Supervisor | undefined;
  #directory: string | undefined;
  /** That has to be removed. */
  #ownDirectory: string | undefined;
  #crewed = false;
  #failure: MultiError | undefined;
  #ending: Promise<void> | undefined;

  /**
   * @throws MultiError (ERR_BOSUN_MULTI) for two of one name.
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT), OutOfRangeError (ERR_BOSUN_OUT_OF_RANGE)
   */
  constructor(options: BossOptions = {}) {
    super(baseOptions(options), 'boss');
    this.#settings = checkBossOptions(options, this.name);
    const { heartbeat } = this.#settings;
    if (heartbeat > 0) this.tock = Math.min(this.tock, heartbeat / 2);
  }

  get loads(): readonly CrewLoad[] {
    return this.#settings.loads;
  }

  /** By name, in the order of the loads; empty until it is entered. */
  get crew(): ReadonlyMap<string, Hand> {
    return this.#hands;
  }

  /** Whether all hands that are to be there are registered. */
  get crewed(): boolean {
    return this.#crewed;
  }

  /**
   * Runs tasks in the hands: in any that is free, or with `{ to: name }` in that one. They run beside its doers, in the same
   * thread. Its end is that of the boss.
   */
  get manager(): ProcessManager {
    return this.#open().manager;
  }

  override get endsWithin(): number {
    return this.#settings.grace + CLOSE_MS;
  }

  /** What runs in the process of a hand; resolves to whether its Doist was complete. */
  static async start(start: HandStart): Promise<boolean> {
    return (await import('./hand-main.js')).runHand(start);
  }

  /**
   * @throws MultiError (ERR_BOSUN_MULTI) when the first doer of a load is no Crewer, SizeError (ERR_BOSUN_SIZE) when the path
   * of the directory is too long; nothing has been started then.
   */
  override async enter(_options?: { readonly temp: boolean }): Promise<void> {
    await Promise.all(this.loads.map(({ name, doers }) => assertCrewer(name, doers)));
    const { directory, strategy, restart, grace, heartbeat, max, within } = this.#settings;
    if (this.#isOver) this.#office = undefined;
    this.#isOver = false;
    this.#directory = directory ?? removeAtExit(await makeSocketDirectory(LONGEST));
    this.#ownDirectory = directory === undefined ? this.#directory : undefined;
    this.graceful = false;
    this.#failure = this.#ending = undefined;
    this.#crewed = false;
    this.book.clearAllNameAddr();
    const folder = this.#directory;
    const hands = this.loads.map((load) => {
      const path = checkPath(join(folder, `${load.name}.uxd`));
      return new Hand(load, path, new Deaths({ max, within }));
    });
    this.#hands = new Map(hands.map((hand) => [hand.name, hand]));
    await this.open(folder);
    const settings = { strategy, restart, grace, terminate: 1_000, patience: heartbeat * 1_000 };
    this.#supervisor = new Supervisor(hands, settings, this.#open(), {
      open: (hand, seat) => this.#start(hand, seat),
      ask: (hand) => this.#sayEnd(hand),
      exited: (exit) => this.#onExit(exit),
      failed: (error) => {
        this.#failure ??= error;
      },
      changed: () => this.wake(),
    });
    this.#listen(true);
    this.emit('entered', this);
    this.#supervisor.startAll();
  }

  override recur(tyme: number): boolean | Promise<boolean> {
    void super.recur(tyme);
    this.#supervisor?.look();
    if (this.#failure !== undefined) throw this.#failure;
    if (this.graceful) void this.#endGracefully();
    if (this.#supervisor?.isOver !== true) return false;
    this.#assertWell();
    return true;
  }

  /**
   * Ends a hand, or all of them, the last one first, for good: a memo asks it to, its tasks that were scheduled to it by name
   * are cancelled, and others that run there may end. After `grace` it gets a SIGTERM, a second later a SIGKILL.
   *
   * @returns when it is gone.
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for a name that no hand has.
   */
  async end(name?: string): Promise<void> {
    const hands = name === undefined ? [...this.#hands.values()] : [this.#handOf(name)];
    const what = name === undefined ? 'the crew' : name;
    await this.#supervisor?.end(hands, new CancellationError(`${what} was told to end`));
  }

  /** Sends SIGTERM to all hands, the last one first, and SIGKILL to those that are left after `grace`. It is over then. */
  override async exit(options: { readonly grace?: number } = {}): Promise<void> {
    const { grace = this.#settings.grace } = ownOptions(options, 'the options of exit');
    delay('grace', grace);
    this.#listen(false);
    await this.#supervisor?.stop(grace);
    this.#isOver = true;
    // Nobody is left who could run what waits.
    await this.#office?.manager.close(ClosePolicy.CANCEL, { timeout: 0 });
    await this.shut();
    const own = this.#ownDirectory;
    this.#ownDirectory = undefined;
    if (own === undefined) return;
    await rm(own, { recursive: true, force: true });
    keepAtExit(own);
  }

  protected override receive(memo: Memo): void {
    const hand = this.#whose(memo);
    if (hand === undefined) {
      this.drop();
      return;
    }
    hand.lastMemo = { text: memo.text, at: Date.now() };
    const dom = controlMemo(memo);
    if (dom === undefined) this.onMemo({ name: hand.name, memo });
    else if (dom instanceof RegDom && dom.name === hand.name) this.#register(hand);
    else this.drop();
  }

  /** A memo of a hand that is no control memo: emits `memo`. */
  protected onMemo(memo: CrewMemo): void {
    this.emit('memo', memo);
  }

  // ---- hands ----------------------------------------------------------------------

  #open(): CrewOffice {
    this.#office ??= openCrewOffice(
      this.loads.map(({ name }) => name),
      this.#settings.manager,
    );
    return this.#office;
  }

  #start(hand: Hand, { descriptors }: Seat): HandWorker {
    const { logDirectory, heartbeat, env, execArgv } = this.#settings;
    const directory = this.#directory as string;
    const isTemp = hand.load.temp === true || this.temp;
    const logs = logDirectory ?? (isTemp ? join(directory, 'logs') : undefined);
    return new HandWorker({
      start: {
        name: hand.name,
        load: hand.load.toJSON(),
        boss: { name: this.name, path: this.path as string, pid: process.pid },
        directory,
        hasLogFile: logs !== undefined,
        beatEvery: heartbeat / 4,
      },
      descriptors,
      logFile: logs === undefined ? undefined : join(logs, `${hand.name}.log`),
      env,
      execArgv,
    });
  }

  /** The hand that has sent it, by where it was sent from and, where the system says so, by which process. */
  #whose({ source: { path, pid } }: Memo): Hand | undefined {
    for (const hand of this.#hands.values()) {
      if (hand.path === path) return pid === undefined || pid === hand.pid ? hand : undefined;
    }
    return undefined;
  }

  #register(hand: Hand): void {
    hand.registered = true;
    hand.worker?.life.markAlive();
    const { name, path } = hand;
    this.book.addNameAddr(name, path);
    this.#say(hand, formatMemo(new AckDom({ name: this.name, load: new AddrDom({ tag: 'REG', name, addr: path }) })));
    this.emit('handRegistered', hand);
    this.#shareBook();
  }

  /** Each hand gets it once all are known; one that was started again, at once. */
  #shareBook(): void {
    const wanted = [...this.#hands.values()].filter(({ isOver }) => !isOver);
    const isFull = wanted.length > 0 && wanted.every(({ registered }) => registered);
    if (this.book.countNameAddr === this.#hands.size || isFull) {
      const memo = formatMemo(new BokDom({ name: this.name, load: Object.fromEntries(this.book.addrByName) }));
      for (const hand of wanted) {
        if (!hand.registered || hand.hasBook) continue;
        hand.hasBook = true;
        this.#say(hand, memo);
      }
    }
    if (!isFull || this.#crewed) return;
    this.#crewed = true;
    this.emit('crewed', this);
  }

  #sayEnd(hand: Hand): void {
    if (!hand.registered) {
      hand.worker?.askToStop();
      return;
    }
    this.#say(hand, formatMemo(new EndDom({ name: this.name })), () => hand.worker?.askToStop());
  }

  /** One that is gone meanwhile has no need of it. */
  #say(hand: Hand, memo: string, otherwise: () => void = () => {}): void {
    void this.memoit(memo, hand.path).catch(otherwise);
  }

  #onExit(exit: HandExit): void {
    this.#crewed = false;
    this.emit('handExit', exit);
  }

  #handOf(name: string): Hand {
    const hand = this.#hands.get(name);
    if (hand !== undefined) return hand;
    const known = [...this.#hands.keys()].slice(0, 10).join(', ');
    throw new InvalidArgumentError(`no hand has the name '${name}'${known === '' ? '' : `: there are ${known}`}`);
  }

  /** @throws MultiError when a hand has ended badly, and was to be left at that. */
  #assertWell(): void {
    const ends = [...this.#hands.values()].flatMap(({ lastExit }) => (lastExit === undefined ? [] : [lastExit]));
    const bad = ends.filter(({ exiting, code }) => !exiting && code !== 0);
    if (bad.length > 0) throw new MultiError(bad.map(endText).join('; '), { cause: bad[0]?.error });
  }

  // ---- its end --------------------------------------------------------------------

  #endGracefully(): Promise<void> {
    this.#ending ??= this.end().then(() => this.quit());
    return this.#ending;
  }

  /** Of the signals that would end this process, which a thread has none of. */
  #listen(isOn: boolean): void {
    if (!this.#settings.signals || !builtin('node:worker_threads').isMainThread) return;
    for (const name of ['SIGINT', 'SIGTERM']) {
      process.off(name, this.#onSignal);
      if (isOn) process.on(name, this.#onSignal);
    }
  }

  readonly #onSignal = (): void => {
    if (this.graceful) this.quit();
    this.graceful = true;
    this.wake();
  };
}
