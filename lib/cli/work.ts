// bosun work

import { realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { integer } from '../own-options.js';
import { Joiner, type JoinSettings } from '../remote/join.js';
import { untilSignal } from '../remote/until-signal.js';
import { isLoopback } from '../wire/address.js';
import { type DialAddress, parseHost } from '../worker/remote-place.js';
import { type ExitCode, exitCodeOf, UsageError } from './exit-code.js';
import { textOf } from './read-text.js';

export interface WorkOptions {
  readonly connect: string;
  readonly tokenFile: string;
  readonly workers: number;
  readonly root: string;
  readonly allow?: readonly string[];
  readonly tls?: boolean;
  readonly tlsCa?: string;
  readonly tlsName?: string;
  readonly grace: number;
}

/** What a manager can be told to allow at most: how long its frames may be is its own decision. */
const MAX_FRAME_BYTES = 2 ** 31;

/** Runs workers for a manager until a signal comes, and what they run then has ended. @throws UsageError */
export async function work(options: WorkOptions): Promise<ExitCode> {
  const settings = await read(options);
  // Whoever has read that may hang up.
  process.stdout.on('error', () => {});
  const joiners = Array.from({ length: options.workers }, (_, i) => {
    const title = options.workers === 1 ? 'the worker' : `worker ${i + 1}`;
    return new Joiner(settings, {
      joined: () => process.stdout.write(`${title} has joined ${options.connect}\n`),
      missed: (reason) =>
        process.stderr.write(`bosun: ${title} has no manager at ${options.connect}: ${reason}; trying again\n`),
    });
  });
  const told = untilSignal();
  const all = Promise.all(joiners.map((joiner) => joiner.run()));
  const { signal, forget } = await told;
  process.stderr.write('bosun: leaving behind what runs; once more ends it\n');
  for (const joiner of joiners) joiner.leave();
  await all;
  forget();
  return exitCodeOf(signal);
}

async function read(options: WorkOptions): Promise<JoinSettings> {
  const { allow, grace } = options;
  try {
    integer('--workers', options.workers, 1, 1024);
    const root = folder(options.root);
    const at = addressIn(options.connect);
    const isNear = !('host' in at) || isLoopback(at.host);
    const token = (await textOf(options.tokenFile)).trim();
    if (token === '') throw new UsageError(`${options.tokenFile} is empty`);
    // Elsewhere whoever has the token may run what is in the folder, and nothing else.
    const allowed = allow?.map((path) => resolve(path)) ?? (isNear ? undefined : [root]);
    const places = { root, allowed };
    return { at, token, tls: await tlsOf(options, isNear), places, grace, maxFrameBytes: MAX_FRAME_BYTES };
  } catch (cause) {
    if (cause instanceof UsageError) throw cause;
    throw new UsageError((cause as Error).message, { cause });
  }
}

/** `host:port`, or the path of a Unix socket. */
function addressIn(text: string): DialAddress {
  if (/^[./]/.test(text)) return { path: resolve(text) };
  if (!/:\d+$/.test(text)) throw new UsageError(`--connect takes host:port, or the path of a socket, not '${text}'`);
  return parseHost(text);
}

async function tlsOf({ tls, tlsCa, tlsName }: WorkOptions, isNear: boolean): Promise<ConnectionOptions | undefined> {
  if (isNear && tls === undefined && tlsCa === undefined && tlsName === undefined) return undefined;
  return {
    minVersion: 'TLSv1.3',
    ...(tlsCa !== undefined && { ca: await textOf(tlsCa) }),
    ...(tlsName !== undefined && { servername: tlsName }),
  };
}

function folder(path: string): string {
  const found = realpathSync(path);
  if (!statSync(found).isDirectory()) throw new UsageError(`--root is a folder, and ${path} is none`);
  return found;
}
