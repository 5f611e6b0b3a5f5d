// What a Worker is made with, and what it must not be made with.

import type { ConnectionOptions } from 'node:tls';
import type { ResourceLimits, TransferListItem } from 'node:worker_threads';
import { InvalidArgumentError, NotPortableError } from '../errors.js';
import { checkKnown } from '../own-options.js';
import { isLoopback } from '../wire/address.js';
import { parseHost, type RemoteHost, type RemoteOptions } from './remote-place.js';
import type { WorkerTarget } from './target.js';

/** Where a Worker runs. */
export const WorkerType = { THREAD: 'thread', PROCESS: 'process', REMOTE: 'remote' } as const;
export type WorkerType = (typeof WorkerType)[keyof typeof WorkerType];

/** What a worker has to know of a RemoteContext. */
export interface WorkerContext {
  readonly id: string;
  readonly remote: RemoteOptions;
  readonly started: Promise<unknown>;
}

/** Options of a Worker. */
export interface WorkerOptions {
  /** What it runs: `fn(...args)`, and `kwargs` as one object behind them when there are any. */
  readonly target?: WorkerTarget;
  readonly args?: readonly unknown[];
  readonly kwargs?: Readonly<Record<string, unknown>>;
  /** For people; a number unless given. */
  readonly name?: string;
  /** Whatever its owner likes to find it by. */
  readonly userId?: unknown;
  /** False: it is never started. True with a target, unless given. */
  readonly run?: boolean;
  /** Give its name to the process, or the thread; true unless given. */
  readonly setNames?: boolean;
  /** `ctx.userState` in the beginning. */
  readonly initialState?: unknown;
  /** Terminates it. */
  readonly signal?: AbortSignal;
  readonly env?: NodeJS.ProcessEnv;
  readonly execArgv?: readonly string[];
  /** Of a thread. */
  readonly resourceLimits?: ResourceLimits;
  /** Moved instead of copied with `args`; to a thread only. */
  readonly transferList?: readonly TransferListItem[];
  /** Of a remote worker, see RemoteOptions. */
  readonly host?: RemoteHost;
  /** Its server's, see RemoteServer; on loopback the one that it has left for this user, unless given. */
  readonly token?: string;
  /** Options of `tls.connect`, for a server that has TLS. */
  readonly tls?: ConnectionOptions;
  /** Of a remote worker: a RemoteContext, or the id of one on its server; it has that one's target unless given its own. */
  readonly context?: WorkerContext | string;
  /**
   * A target that is a function need not be exported: its text is sent. It sees nothing of what is around it here, no
   * imports and no variables.
   */
  readonly allowInline?: boolean;
}

/** Of every worker. */
export const WORKER_OPTIONS: readonly string[] = [
  'target',
  'args',
  'kwargs',
  'name',
  'userId',
  'run',
  'setNames',
  'initialState',
  'signal',
  'env',
  'execArgv',
  'resourceLimits',
  'allowInline',
  'host',
  'token',
  'tls',
  'context',
];

/** @throws InvalidArgumentError, NotPortableError; nothing has been started then. */
export function checkOptions(
  options: WorkerOptions,
  known: readonly string[],
  workerType: WorkerType,
  isPersistent: boolean,
): void {
  checkKnown(options, known, 'a worker');
  const { args, kwargs, name, signal, run, transferList } = options;
  if (args !== undefined && !Array.isArray(args)) throw new InvalidArgumentError("a worker's args are an array");
  if (kwargs !== undefined && (typeof kwargs !== 'object' || kwargs === null || Array.isArray(kwargs))) {
    throw new InvalidArgumentError("a worker's kwargs are an object");
  }
  if (name !== undefined && typeof name !== 'string') throw new InvalidArgumentError("a worker's name is a string");
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw new InvalidArgumentError('signal is an AbortSignal');
  if (run === true && !isToRun(options)) throw new InvalidArgumentError('a worker needs a target to run');
  checkPlace(options, workerType);
  if (transferList !== undefined && (workerType !== 'thread' || isPersistent)) {
    throw new NotPortableError('only what starts a thread can be transferred to it: leave transferList away');
  }
}

/** A worker without anything to run is never started. */
export function isToRun({ target, context, run = true }: WorkerOptions): boolean {
  return run && (target !== undefined || context !== undefined);
}

/** Where the server of a remote worker is. */
export function remoteOf({ host, token, tls, context }: WorkerOptions): RemoteOptions {
  return typeof context === 'object' ? context.remote : { host, token, tls };
}

const ADDRESS = ['host', 'token', 'tls'] as const;
const REMOTE_ONLY = [...ADDRESS, 'context'] as const;
const LOCAL_ONLY = ['env', 'execArgv', 'resourceLimits', 'allowInline'] as const;

/** What is of no use there would be missed. */
function checkPlace(options: WorkerOptions, workerType: WorkerType): void {
  const isRemote = workerType === 'remote';
  const misplaced = (isRemote ? LOCAL_ONLY : REMOTE_ONLY).find((name) => options[name] !== undefined);
  if (misplaced !== undefined) throw new InvalidArgumentError(`a ${workerType} worker has no option '${misplaced}'`);
  if (!isRemote) return;
  const { context } = options;
  if (typeof context === 'object') {
    checkContext(context);
    const twice = ADDRESS.find((name) => options[name] !== undefined);
    if (twice !== undefined) throw new InvalidArgumentError(`the context of the worker has its own '${twice}'`);
    return;
  }
  if (context !== undefined) checkContextId(context);
  checkRemote(options);
}

function checkContext(context: WorkerContext | null): void {
  if (context?.started instanceof Promise && typeof context.id === 'string') return;
  throw new InvalidArgumentError('context is a RemoteContext, or the id of one');
}

/** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) */
export function checkContextId(id: unknown): string {
  if (typeof id !== 'string' || id === '' || id.length > MAX_CONTEXT_ID) {
    throw new InvalidArgumentError(`the id of a context is a string of 1 to ${MAX_CONTEXT_ID} characters`);
  }
  return id;
}

const MAX_CONTEXT_ID = 256;

/** @throws InvalidArgumentError, OutOfRangeError */
export function checkRemote(options: RemoteOptions): void {
  const at = parseHost(options.host);
  if (options.tls === undefined && 'host' in at && !isLoopback(at.host)) {
    throw new InvalidArgumentError(`the token would travel to ${at.host} for all to read: give tls`);
  }
  if (options.token !== undefined && typeof options.token !== 'string') {
    throw new InvalidArgumentError('the token of a server is a string');
  }
}
