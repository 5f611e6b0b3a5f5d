// The options of a Boss, checked.

import { isAbsolute } from 'node:path';
import { InvalidArgumentError, MultiError } from '../errors.js';
import type { CrewManagerOptions } from '../manager/crew-office.js';
import { checkKnown, delay, flag, integer, oneOf, ownOptions } from '../own-options.js';
import { CrewLoad, type CrewLoadOptions, RESTARTS, type Restart } from './crew-load.js';
import type { MultiDoerOptions } from './multi-doer.js';
import { seconds } from './seconds.js';
import { STRATEGIES, type Strategy } from './supervisor.js';

export interface BossOptions extends MultiDoerOptions {
  /** The hands, in the order in which they are started; they end the other way round. */
  readonly loads?: readonly (CrewLoad | CrewLoadOptions)[];
  /** When a hand that has ended is started again, unless its load says; `on-failure` unless given. */
  readonly restart?: Restart;
  /** Who is started again with it: `one-for-one`, nobody else, unless given. */
  readonly strategy?: Strategy;
  /** More than `max` (5) ends of one hand `within` (30 000) milliseconds end the crew. */
  readonly intensity?: { readonly max?: number; readonly within?: number };
  /** Milliseconds that a hand may take to end, behind END or SIGTERM; 5 000 unless given. */
  readonly grace?: number;
  /** A hand whose event loop does not go round for so many seconds is ended, which is a failure; 0, never, unless given. */
  readonly heartbeat?: number;
  /** Whether SIGINT and SIGTERM end the crew, and its Doist behind it; a second one does not wait. True unless given. */
  readonly signals?: boolean;
  /** Where the sockets are: absolute, of mode 700. A new one, which goes with the crew, unless given. */
  readonly directory?: string;
  /** What a hand prints and logs goes into `<name>.log` there. */
  readonly logDirectory?: string;
  /** Of the hands. */
  readonly env?: NodeJS.ProcessEnv;
  readonly execArgv?: readonly string[];
  /** Of `boss.manager`. */
  readonly manager?: CrewManagerOptions;
}

/** The same, complete. */
export interface BossSettings {
  readonly loads: readonly CrewLoad[];
  readonly restart: Restart;
  readonly strategy: Strategy;
  readonly max: number;
  readonly within: number;
  readonly grace: number;
  readonly heartbeat: number;
  readonly signals: boolean;
  readonly directory: string | undefined;
  readonly logDirectory: string | undefined;
  readonly env: NodeJS.ProcessEnv | undefined;
  readonly execArgv: readonly string[] | undefined;
  readonly manager: CrewManagerOptions;
}

const KNOWN = [
  'loads',
  'restart',
  'strategy',
  'intensity',
  'grace',
  'heartbeat',
  'signals',
  'directory',
  'logDirectory',
  'env',
  'execArgv',
  'manager',
];
const BASE = ['name', 'reopen', 'bc', 'tymth', 'tock', 'opts', 'temp'];

/** @throws MultiError (ERR_BOSUN_MULTI) for two of one name, InvalidArgumentError, OutOfRangeError */
export function checkBossOptions(options: BossOptions, name: string): BossSettings {
  const given = ownOptions(options, 'the options of a Boss');
  checkKnown(given, [...KNOWN, ...BASE], 'a Boss');
  const { loads = [], intensity, signals = true, directory, logDirectory } = given;
  if (!Array.isArray(loads)) throw new InvalidArgumentError('loads are a list of CrewLoads');
  const all = loads.map((load) => (load instanceof CrewLoad ? load : new CrewLoad(load)));
  const names = new Set([name]);
  for (const load of all) {
    if (names.has(load.name)) throw new MultiError(`two of a crew have the name '${load.name}': each has its own`);
    names.add(load.name);
  }
  const limits = ownOptions(intensity, 'intensity');
  checkKnown(limits, ['max', 'within'], 'intensity');
  const { max = 5, within = 30_000 } = limits;
  const heartbeat = seconds('heartbeat', given.heartbeat ?? 0);
  if (directory !== undefined && (typeof directory !== 'string' || !isAbsolute(directory))) {
    throw new InvalidArgumentError('the directory of a crew is an absolute path');
  }
  if (logDirectory !== undefined && typeof logDirectory !== 'string') {
    throw new InvalidArgumentError('logDirectory is a path');
  }
  return {
    loads: all,
    restart: oneOf('restart', given.restart ?? 'on-failure', RESTARTS),
    strategy: oneOf('strategy', given.strategy ?? 'one-for-one', STRATEGIES),
    max: integer('max', max, 0, 1_000_000),
    within: delay('within', within),
    grace: delay('grace', given.grace ?? 5_000),
    heartbeat: Math.abs(heartbeat),
    signals: flag('signals', signals),
    directory,
    logDirectory,
    env: given.env,
    execArgv: given.execArgv,
    manager: ownOptions(given.manager, 'the options of the manager of a crew'),
  };
}

/** Those of the doer that a Boss is. */
export function baseOptions(options: BossOptions): MultiDoerOptions {
  return Object.fromEntries(Object.entries(options).filter(([key]) => BASE.includes(key)));
}
