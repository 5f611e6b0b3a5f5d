// The boss of a crew: named processes that live long, know each other, and end in order.

import { rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { builtin } from '../builtin.js';
import { CancellationError, FSMError, InvalidArgumentError, MultiError } from '../errors.js';
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
import { RegDom } from './memos.js';
import { controlMemo, MultiDoerBase, type MultiDoerEvents } from './multi-doer.js';
import { checkPath } from './peer.js';
import { Roll } from './roll.js';
import { Supervisor } from './supervisor.js';

export interface BossEvents extends MultiDoerEvents {
  /** Its hands are known, and about to be started. */
  entered: Boss;
  /** All hands are there, and know each other: the first time, and each time that they are again. */
  crewed: Boss;
  handRegistered: Hand;
  handExit: HandExit;
}

/** From SIGTERM until SIGKILL. */
const TERMINATE_MS = 1_000;

/** Behind the grace of its hands, and that of those who had to wait for others: their exits, and the sockets. */
const CLOSE_MS = TERMINATE_MS + 2_000;

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
  #roll: Roll | undefined;
  #directory: string | undefined;
  /** That has to be removed. */
  #ownDirectory: string | undefined;
  #ending: Promise<void> | undefined;
  /** Resolves when it is entered, or cannot be; undefined before. */
  #entering: Promise<void> | undefined;
  /** The second signal has come. */
  #isHurried = false;

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
    return this.#roll?.isCrewed ?? false;
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
  override enter(_options?: { readonly temp: boolean }): Promise<void> {
    const entering = this.#enter();
    this.#entering = entering.catch(() => {});
    return entering;
  }

  async #enter(): Promise<void> {
    if (this.#isOver) this.#office = undefined;
    this.#isOver = this.#isHurried = this.graceful = false;
    this.#ending = this.#supervisor = this.#roll = undefined;
    this.#hands = new Map();
    this.book.clearAllNameAddr();
    try {
      await Promise.all(this.loads.map(({ name, doers }) => assertCrewer(name, doers)));
      this.#assertGoing();
      const { directory, max, within } = this.#settings;
      if (directory === undefined) this.#ownDirectory = removeAtExit(await makeSocketDirectory(LONGEST));
      const folder = directory ?? (this.#ownDirectory as string);
      this.#directory = folder;
      const hands = this.loads.map((load) => {
        const path = checkPath(join(folder, `${load.name}.uxd`));
        return new Hand(load, path, new Deaths({ max, within }));
      });
      await this.open(folder);
      this.#assertGoing();
      this.#hands = new Map(hands.map((hand) => [hand.name, hand]));
      this.#roll = this.#call(hands);
      this.#supervisor = this.#supervise(hands, this.#roll);
    } catch (error) {
      await this.#clear();
      throw error;
    }
    this.#listen(true);
    this.emit('entered', this);
    this.#supervisor.startAll();
  }

  /** It may have been told to end while it waited. */
  #assertGoing(): void {
    this.signal.throwIfAborted();
    if (this.#isOver) throw new CancellationError('the boss was ended before it could begin');
  }

  #call(hands: readonly Hand[]): Roll {
    return new Roll(hands, {
      name: this.name,
      book: this.book,
      memoit: (memo, address) => this.memoit(memo, address),
      registered: (hand) => this.emit('handRegistered', hand),
      crewed: () => this.emit('crewed', this),
    });
  }

  #supervise(hands: readonly Hand[], roll: Roll): Supervisor {
    const { strategy, restart, grace, heartbeat } = this.#settings;
    const settings = { strategy, restart, grace, terminate: TERMINATE_MS, patience: heartbeat * 1_000 };
    return new Supervisor(hands, settings, this.#open(), {
      open: (hand, seat) => this.#start(hand, seat),
      ask: (hand) => roll.end(hand),
      exited: (exit) => {
        roll.isCrewed = false;
        this.emit('handExit', exit);
      },
      over: (hand) => this.#onOver(hand, roll),
      failed: (error) => this.fail(error),
      changed: () => this.wake(),
    });
  }

  override recur(tyme: number): boolean | Promise<boolean> {
    void super.recur(tyme);
    this.#supervisor?.look();
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
   * @throws FSMError (ERR_BOSUN_FSM) when nobody has begun to run the boss.
   */
  async end(name?: string): Promise<void> {
    if (this.#entering === undefined) throw new FSMError('the boss has not been entered: a Doist runs it');
    await this.#entering;
    const hands = name === undefined ? [...this.#hands.values()] : [this.#handOf(name)];
    const what = name === undefined ? 'the crew' : name;
    await this.#supervisor?.end(hands, new CancellationError(`${what} was told to end`));
  }

  /**
   * Sends SIGTERM to all hands, the last one first, and SIGKILL to those that are left after `grace`. It is over then.
   */
  override async exit(options: { readonly grace?: number } = {}): Promise<void> {
    const { grace = this.#isHurried ? 0 : this.#settings.grace } = ownOptions(options, 'the options of exit');
    delay('grace', grace);
    this.#isOver = true;
    this.#listen(false);
    await this.#supervisor?.stop(grace);
    // Nobody is left who could run what waits.
    await this.#office?.manager.close(ClosePolicy.CANCEL, { timeout: 0 });
    await this.#clear();
  }

  async #clear(): Promise<void> {
    await this.shut();
    const own = this.#ownDirectory;
    this.#ownDirectory = undefined;
    if (own === undefined) return;
    await rm(own, { recursive: true, force: true });
    keepAtExit(own);
  }

  protected override receive(memo: Memo): void {
    const hand = this.#roll?.whose(memo);
    if (hand === undefined) {
      this.drop();
      return;
    }
    hand.lastMemo = { text: memo.text, at: Date.now() };
    const dom = controlMemo(memo);
    if (dom === undefined) this.onMemo({ name: hand.name, memo });
    else if (dom instanceof RegDom && dom.name === hand.name) this.#roll?.register(hand);
    else this.drop();
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
      name: hand.name,
      start: {
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

  /** Those that are left may be all that are wanted now. */
  #onOver({ path }: Hand, roll: Roll): void {
    // It may have been killed, and nobody else uses it.
    rmSync(path, { force: true });
    if (!this.#isOver) roll.share();
    this.wake();
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
    if (this.graceful) {
      this.#isHurried = true;
      this.quit();
    }
    this.graceful = true;
    this.wake();
  };
}
