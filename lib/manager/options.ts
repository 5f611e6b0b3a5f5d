// The options of a ProcessManager: checked once, at the call.

import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import type { ResourceLimits } from 'node:worker_threads';
import { InvalidArgumentError } from '../errors.js';
import { checkKnown, checkSignal, integer, MAX_DELAY_MS, oneOf, ownOptions } from '../own-options.js';
import { checkPolicy, NO_POLICY, type RetryPolicy, type TaskPolicy } from '../task/policy.js';
import { RunTargets } from '../task/run-targets.js';
import type { RunTarget, TargetReference } from '../task/target.js';
import { isLoopback } from '../wire/address.js';
import { DEFAULT_MAX_FRAME_BYTES } from '../wire/frame.js';
import { parseHost, type RemoteHost, type RemotePoint } from '../worker/remote-place.js';
import { checkListen, type ListenOptions, type ListenSettings } from './listen-options.js';

/** Options of a ProcessManager. Times are milliseconds, sizes are bytes. */
export interface ProcessManagerOptions {
  /** The most workers at a time; twice the available cores unless given. */
  readonly workers?: number;
  /** How many are started at once; the rest start when work waits. The available cores unless given. */
  readonly minWorkers?: number;
  /** 1 to 128 levels, 0 the most urgent; 2 unless given. */
  readonly priorityLevels?: number;
  /**
   * `'process'` (the default), or `'thread'`: workers are threads of this process, which start sooner and share its memory,
   * and what ends the process ends all of them.
   */
  readonly kind?: 'process' | 'thread';
  /** Of threads. */
  readonly resourceLimits?: ResourceLimits;
  /**
   * Tasks sent ahead to a worker, the running one included. `'auto'` (the default) sends so many that they are about a
   * millisecond of work, one when a task takes longer; 1 is strictly one at a time.
   */
  readonly prefetch?: number | 'auto';
  /**
   * `'auto'` (the default): a worker that has just answered polls for its next task for 120 microseconds before it sleeps,
   * while fewer workers are busy than there are cores. It halves the time of one task after the other. `'off'`: never.
   */
  readonly spin?: 'auto' | 'off';
  /** Messages above which `await sendMessage()` waits for the reader; 10 000 unless given. */
  readonly inboxHighWaterMark?: number;
  /** `'discard'`: nobody will read messages; they are counted and dropped. `'keep'` unless given. */
  readonly messages?: 'keep' | 'discard';
  /** `messages()` throws the first failure of a scheduled task and ends, instead of yielding it. */
  readonly throwOnError?: boolean;
  /** The longest body of a frame, and so of a task, a result or a message; 256 MiB unless given. */
  readonly maxFrameBytes?: number;
  /** One log file per worker, `worker-<n>.log`: `ctx.log`, its console and its stderr. No files unless given. */
  readonly logDirectory?: string;
  /** Called in each worker before its first task; what it returns is laid onto `ctx.session`. */
  readonly setup?: RunTarget;
  /** Where the workers' standard output goes, for programs whose own has a format. `'inherit'` unless given. */
  readonly stdout?: 'inherit' | 'stderr';
  /** Node.js options of the workers; this process's own, but for those of debuggers and test runners, unless given. */
  readonly execArgv?: readonly string[];
  /** The whole environment of the workers; this process's own unless given. */
  readonly env?: NodeJS.ProcessEnv;
  /** How long a worker, or a task, that was asked to stop may take before SIGTERM; 5 000 unless given. */
  readonly grace?: number;
  /**
   * Tasks that a worker runs at once; 1 unless given, at most 1 024. For tasks that wait for something: a worker has one
   * thread, and what one of them loses, as its process, all of them lose.
   */
  readonly concurrency?: number;
  /**
   * True unless given: a task that waits for one that it has scheduled lends its place at the worker to that, and to others
   * that are waited for. False: a worker keeps to `concurrency` tasks, and a wait that would leave no place at all is a
   * WouldDeadlockError.
   */
  readonly yieldWhileWaiting?: boolean;
  /** Milliseconds that a run may take, for tasks that say nothing themselves; no limit unless given. */
  readonly timeout?: number;
  /** Milliseconds by which a task must have begun, likewise. */
  readonly deadline?: number;
  /** When tasks are run again, likewise; never unless given. */
  readonly retry?: RetryPolicy;
  /** Waiting tasks that the owner may have in the queue; no limit unless given. Tasks that tasks schedule always fit. */
  readonly maxQueue?: number;
  /** `'throw'`: a QueueFullError. `'wait'`: tasks wait outside for room, in order; see `room()`. `'throw'` unless given. */
  readonly whenFull?: 'throw' | 'wait';
  /** Workers that may die within so many milliseconds without having ended a task; `{ max: 5, within: 10_000 }`. */
  readonly restart?: { readonly max?: number; readonly within?: number };
  /** Closes the manager with CANCEL when it is aborted. */
  readonly signal?: AbortSignal;
  /**
   * Where peers may connect: `true` for a Unix socket in a new directory that is closed to others, a path for one there,
   * `{ host, port }` for TCP, which takes `tls` off loopback. Nothing listens unless given.
   */
  readonly listen?: true | string | ListenOptions;
  /** Workers on other hosts that are dialled at once, as by `addWorker('remote', options)`. */
  readonly remotes?: readonly RemoteWorkerOptions[];
  /**
   * The folder with the modules of tasks. Workers on other hosts look for what is inside of it in their own `root`, and for
   * anything else at the same path. The current directory unless given.
   */
  readonly root?: string;
}

/** A worker on another host, where `bosun serve` or a RemoteServer runs. */
export interface RemoteWorkerOptions {
  /** `{ host, port }`, `[host, port]` or `'host:port'`; 127.0.0.1 and 60006 unless given. */
  readonly host?: RemoteHost;
  /** If `host` does not say it. */
  readonly port?: number;
  /** The server's; on loopback the one that it has left for this user, unless given. */
  readonly token?: string;
  /** Options of `tls.connect`, for a server that has TLS; needed off loopback. */
  readonly tls?: ConnectionOptions;
}

/** The same, checked. */
export interface RemoteSettings {
  readonly at: RemotePoint;
  readonly token: string | undefined;
  readonly tls: ConnectionOptions | undefined;
}

/**
 * Who moves the bytes of local workers: natively, by the manager's own thread as long as no task waits; natively, by the
 * I/O thread always; or Node's own sockets.
 */
export type DriverKind = 'direct' | 'thread' | 'net';

/** The same, complete and checked. */
export interface ManagerSettings {
  readonly workers: number;
  readonly minWorkers: number;
  readonly levels: number;
  /** 0 is auto. */
  readonly prefetch: number;
  /** Workers spin while fewer of them are busy. */
  readonly spinBelow: number;
  readonly driver: DriverKind;
  readonly inboxMark: number;
  readonly discardMessages: boolean;
  readonly throwOnError: boolean;
  readonly maxFrameBytes: number;
  readonly logDirectory: string | undefined;
  readonly setup: TargetReference | undefined;
  readonly stdoutToStderr: boolean;
  readonly execArgv: readonly string[] | undefined;
  readonly env: NodeJS.ProcessEnv | undefined;
  readonly kind: 'process' | 'thread';
  readonly resourceLimits: ResourceLimits | undefined;
  readonly grace: number;
  readonly concurrency: number;
  /** For tasks, when one that waits for another keeps its own; 0 when it does not. */
  readonly places: number;
  readonly policy: TaskPolicy;
  readonly maxQueue: number;
  readonly waitsWhenFull: boolean;
  readonly restart: { readonly max: number; readonly within: number };
  readonly signal: AbortSignal | undefined;
  readonly listen: ListenSettings | undefined;
  readonly remotes: readonly RemoteSettings[];
  readonly root: string;
}

const KNOWN = new Set<string>([
  'workers',
  'minWorkers',
  'priorityLevels',
  'kind',
  'resourceLimits',
  'prefetch',
  'spin',
  'inboxHighWaterMark',
  'messages',
  'throwOnError',
  'maxFrameBytes',
  'logDirectory',
  'setup',
  'stdout',
  'execArgv',
  'env',
  'grace',
  'concurrency',
  'yieldWhileWaiting',
  'timeout',
  'deadline',
  'retry',
  'maxQueue',
  'whenFull',
  'restart',
  'signal',
  'listen',
  'remotes',
  'root',
] satisfies (keyof ProcessManagerOptions)[]);

/**
 * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for an unknown option or a wrong kind of value.
 * @throws OutOfRangeError (ERR_BOSUN_OUT_OF_RANGE) for a number outside its range.
 */
export function checkManagerOptions(given: ProcessManagerOptions): ManagerSettings {
  const options = ownOptions(given, 'the options of a ProcessManager');
  for (const name of Object.keys(options)) {
    if (!KNOWN.has(name)) {
      throw new InvalidArgumentError(`'${name}' is no option of a ProcessManager; it takes ${[...KNOWN].join(', ')}`);
    }
  }
  const cores = availableParallelism();
  const listen = options.listen === undefined ? undefined : checkListen(options.listen);
  const kind = oneOf('kind', options.kind ?? 'process', ['process', 'thread']);
  checkKind(kind, options);
  if (options.remotes !== undefined && !Array.isArray(options.remotes)) {
    throw new InvalidArgumentError('remotes is a list of options of remote workers');
  }
  const remotes = (options.remotes ?? []).map((remote) => checkRemoteWorker(remote, 'remotes'));
  // A manager that nobody could connect to must run its tasks itself.
  const least = listen === undefined && remotes.length === 0 ? 1 : 0;
  const workers = integer('workers', options.workers ?? 2 * cores, least, 1024);
  const concurrency = integer('concurrency', options.concurrency ?? 1, 1, 1024);
  return {
    workers,
    minWorkers: integer('minWorkers', options.minWorkers ?? Math.min(workers, cores), 0, workers),
    levels: integer('priorityLevels', options.priorityLevels ?? 2, 1, 128),
    prefetch:
      options.prefetch === undefined || options.prefetch === 'auto'
        ? 0
        : integer('prefetch', options.prefetch, 1, 65_536),
    spinBelow: oneOf('spin', options.spin ?? 'auto', ['auto', 'off']) === 'auto' ? cores : 0,
    driver: driverKind(),
    inboxMark: integer('inboxHighWaterMark', options.inboxHighWaterMark ?? 10_000, 0, 2 ** 31),
    discardMessages: oneOf('messages', options.messages ?? 'keep', ['keep', 'discard']) === 'discard',
    throwOnError: ofType('throwOnError', options.throwOnError ?? false, 'boolean'),
    maxFrameBytes: integer('maxFrameBytes', options.maxFrameBytes ?? DEFAULT_MAX_FRAME_BYTES, 1024, 2 ** 31),
    logDirectory:
      options.logDirectory === undefined ? undefined : resolve(ofType('logDirectory', options.logDirectory, 'string')),
    setup: options.setup === undefined ? undefined : new RunTargets().resolve(options.setup),
    stdoutToStderr: oneOf('stdout', options.stdout ?? 'inherit', ['inherit', 'stderr']) === 'stderr',
    execArgv: strings('execArgv', options.execArgv),
    kind,
    resourceLimits: options.resourceLimits,
    env: options.env === undefined ? undefined : { ...ofType('env', options.env, 'object') },
    grace: integer('grace', options.grace ?? 5_000, 0, MAX_DELAY_MS),
    concurrency,
    places: ofType('yieldWhileWaiting', options.yieldWhileWaiting ?? true, 'boolean') ? 0 : workers * concurrency,
    policy: checkPolicy(options, NO_POLICY),
    maxQueue: orInfinity('maxQueue', options.maxQueue ?? Number.POSITIVE_INFINITY, 1),
    waitsWhenFull: oneOf('whenFull', options.whenFull ?? 'throw', ['throw', 'wait']) === 'wait',
    restart: checkRestart(options.restart),
    signal: checkSignal(options.signal),
    listen,
    remotes,
    root: resolve(ofType('root', options.root === undefined ? '.' : options.root, 'string')),
  };
}

/** The variable is for tests of bosun itself, and for finding out whose fault something is. */
function driverKind(): DriverKind {
  const given = process.env['BOSUN_DRIVER'];
  const kinds: readonly DriverKind[] = process.platform === 'win32' ? ['thread'] : ['direct', 'thread', 'net'];
  if (given !== undefined) return oneOf('BOSUN_DRIVER', given as DriverKind, kinds);
  return process.platform === 'linux' ? 'direct' : 'thread';
}

/** Options of `addWorker`; the manager's unless given. */
export type AddWorkerOptions = Pick<ProcessManagerOptions, 'execArgv' | 'env' | 'resourceLimits'>;

const KNOWN_OF_ADDED = ['execArgv', 'env', 'resourceLimits'];

/** The settings of a worker that is added. @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) */
export function checkAddedWorker(
  kind: 'process' | 'thread',
  given: AddWorkerOptions,
  settings: ManagerSettings,
): ManagerSettings {
  oneOf<string>('kind', kind, ['process', 'thread', 'remote']);
  const options = ownOptions(given, 'the options of addWorker');
  checkKnown(options, KNOWN_OF_ADDED, 'addWorker');
  checkKind(kind, options);
  return {
    ...settings,
    kind,
    execArgv: strings('execArgv', options.execArgv) ?? settings.execArgv,
    env: options.env === undefined ? settings.env : { ...ofType('env', options.env, 'object') },
    resourceLimits: options.resourceLimits,
  };
}

const KNOWN_OF_REMOTE = ['host', 'port', 'token', 'tls'];

/** @throws InvalidArgumentError, OutOfRangeError for what cannot be dialled, or must not be. */
export function checkRemoteWorker(given: RemoteWorkerOptions, what = 'addWorker'): RemoteSettings {
  const options = ownOptions(given, `the options of a worker in ${what}`);
  checkKnown(options, KNOWN_OF_REMOTE, what);
  const { token, tls } = options;
  if (token !== undefined) ofType(`the token in ${what}`, token, 'string');
  if (tls !== undefined) ofType(`tls in ${what}`, tls, 'object');
  const at = parseHost(options.host);
  if ('path' in at) return { at, token, tls };
  if (tls === undefined && !isLoopback(at.host)) {
    throw new InvalidArgumentError(`${what}: the token would travel to ${at.host} for all to read: give tls`);
  }
  const port = options.port === undefined ? at.port : integer('port', options.port, 1, 65_535);
  return { at: { ...at, port }, token, tls };
}

/** What the other kind has no use for would be missed. */
function checkKind(kind: 'process' | 'thread', options: ProcessManagerOptions): void {
  const misplaced = (kind === 'thread' ? (['logDirectory', 'stdout'] as const) : (['resourceLimits'] as const)).find(
    (name) => options[name] !== undefined,
  );
  if (misplaced !== undefined) throw new InvalidArgumentError(`workers of kind '${kind}' have no '${misplaced}'`);
}

function checkRestart(given: ProcessManagerOptions['restart']): ManagerSettings['restart'] {
  const { max = 5, within = 10_000 } = ownOptions(given, 'the options of restart');
  return { max: orInfinity('restart.max', max, 0), within: integer('restart.within', within, 1, MAX_DELAY_MS) };
}

function orInfinity(name: string, value: number, least: number): number {
  return value === Number.POSITIVE_INFINITY ? value : integer(name, value, least, Number.MAX_SAFE_INTEGER);
}

function ofType<T>(name: string, value: T, type: 'boolean' | 'string' | 'object'): T {
  if (typeof value !== type || value === null)
    throw new InvalidArgumentError(`${name} is a ${type}, not ${String(value)}`);
  return value;
}

function strings(name: string, value: readonly string[] | undefined): readonly string[] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) {
    throw new InvalidArgumentError(`${name} is an array of strings`);
  }
  return [...(value as readonly string[])];
}
