// bosun serve

import { rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { type RemoteServerOptions, runServer, type TunnelledServerOptions } from '../remote/remote-server.js';
import { type ExitCode, exitCodeOf, UsageError } from './exit-code.js';
import { textOf } from './read-text.js';

export interface ServeOptions {
  readonly addr?: string;
  readonly port: number;
  readonly allow?: readonly string[];
  readonly tokenFile?: string;
  readonly tlsKey?: string;
  readonly tlsCert?: string;
  readonly tlsCa?: string;
  readonly maxWorkers?: number;
  readonly root?: string;
  readonly tunnel?: string;
  readonly verbose?: true;
  readonly closeOnNone?: true;
  readonly suppressChildren?: true;
}

/** Runs workers for clients until a signal comes. @throws UsageError */
export async function serve(options: ServeOptions): Promise<ExitCode> {
  const lifeline = options.tunnel === undefined ? undefined : await readLifeline();
  const given = await read(options, lifeline?.token);
  // Whoever has read where it listens may hang up.
  process.stdout.on('error', () => {});
  try {
    const signal = await runServer(given, {
      ...(lifeline !== undefined && { signal: lifeline.signal }),
      listening({ address }) {
        const host = address?.host.includes(':') ? `[${address.host}]` : address?.host;
        process.stdout.write(`Listening on ${options.tunnel ?? `${host}:${address?.port}`}\n`);
      },
      ending() {
        if (lifeline?.signal.aborted === true) return;
        process.stderr.write('bosun: stopping: workers are asked to finish; once more ends them\n');
      },
    });
    // It was made for the socket.
    if (options.tunnel !== undefined) await rmdir(dirname(options.tunnel)).catch(() => {});
    return exitCodeOf(signal);
  } catch (cause) {
    const { code, message, syscall } = cause as NodeJS.ErrnoException;
    if (!code?.startsWith('ERR_BOSUN') && syscall === undefined) throw cause;
    throw new UsageError(message, { cause });
  }
}

/**
 * Standard input is a tunnel's: its first line is the token, and its end that of the server.
 *
 * @throws UsageError when there is no such line.
 */
async function readLifeline(): Promise<{ readonly token: string; readonly signal: AbortSignal }> {
  const ended = new AbortController();
  // With the tunnel all of them may break.
  for (const stream of [process.stdin, process.stderr]) stream.on('error', () => {});
  const lines = createInterface({ input: process.stdin });
  const token = await new Promise<string | undefined>((resolve) => {
    lines.once('line', resolve);
    lines.once('close', () => {
      resolve(undefined);
      ended.abort();
    });
  });
  if (token === undefined) throw new UsageError('--tunnel takes the token as a line of standard input');
  return { token, signal: ended.signal };
}

async function read(options: ServeOptions, token: string | undefined): Promise<TunnelledServerOptions> {
  const { addr, port, allow, tokenFile, maxWorkers, root, tunnel, verbose, closeOnNone, suppressChildren, ...tls } =
    options;
  if (tunnel !== undefined && (addr ?? tokenFile) !== undefined) {
    throw new UsageError('--tunnel is an address, and has its token from standard input');
  }
  return {
    ...(tunnel === undefined ? { port } : { path: tunnel }),
    ...(token !== undefined && { token }),
    ...(root !== undefined && { root }),
    ...(closeOnNone && { closeOnNone }),
    ...(suppressChildren && { suppressChildren }),
    ...(verbose && { log: (line: string) => process.stderr.write(`bosun: ${line}\n`) }),
    ...(addr !== undefined && { host: addr }),
    ...(allow !== undefined && { allowModules: allow }),
    ...(tokenFile !== undefined && { token: (await textOf(tokenFile)).trim() }),
    ...(maxWorkers !== undefined && { maxWorkers }),
    ...(await readTls(tls)),
  };
}

async function readTls({ tlsKey, tlsCert, tlsCa }: Partial<ServeOptions>): Promise<Pick<RemoteServerOptions, 'tls'>> {
  if (tlsKey === undefined && tlsCert === undefined && tlsCa === undefined) return {};
  const tls = {
    ...(tlsKey !== undefined && { key: await textOf(tlsKey) }),
    ...(tlsCert !== undefined && { cert: await textOf(tlsCert) }),
    ...(tlsCa !== undefined && { ca: await textOf(tlsCa), requestCert: true, rejectUnauthorized: true }),
  };
  return { tls };
}
