// bosun serve

import { type RemoteServerOptions, runServer } from '../remote/remote-server.js';
import { EXIT, type ExitCode, UsageError } from './exit-code.js';
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
}

/** Runs workers for clients until a signal comes. @throws UsageError */
export async function serve(options: ServeOptions): Promise<ExitCode> {
  const given = await read(options);
  // Whoever has read where it listens may hang up.
  process.stdout.on('error', () => {});
  try {
    const signal = await runServer(given, {
      listening({ address }) {
        const host = address?.host.includes(':') ? `[${address.host}]` : address?.host;
        process.stdout.write(`Listening on ${host}:${address?.port}\n`);
      },
      ending() {
        process.stderr.write('bosun: stopping: workers are asked to finish; once more ends them\n');
      },
    });
    return signal === 'SIGINT' ? EXIT.INTERRUPTED : EXIT.TERMINATED;
  } catch (cause) {
    const { code, message, syscall } = cause as NodeJS.ErrnoException;
    if (!code?.startsWith('ERR_BOSUN') && syscall === undefined) throw cause;
    throw new UsageError(message, { cause });
  }
}

async function read({ addr, port, allow, tokenFile, maxWorkers, ...tls }: ServeOptions): Promise<RemoteServerOptions> {
  return {
    port,
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
