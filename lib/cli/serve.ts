// bosun serve

import { readFile } from 'node:fs/promises';
import { BosunError } from '../errors.js';
import { RemoteServer, type RemoteServerOptions } from '../remote/remote-server.js';
import { EXIT, type ExitCode, UsageError } from './exit-code.js';

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
  const server = await make(options);
  const ended = new Promise<ExitCode>((resolve) => {
    const end = (code: ExitCode) => {
      // The second one does not wait for anybody; what they run ends with this process.
      if (isEnding) process.exit(code);
      isEnding = true;
      process.stderr.write('bosun: stopping: workers are asked to finish; once more ends them\n');
      void server.terminate().then(() => resolve(code));
    };
    let isEnding = false;
    process.on('SIGINT', () => end(EXIT.INTERRUPTED));
    process.on('SIGTERM', () => end(EXIT.TERMINATED));
  });
  const { host, port } = await listen(server);
  process.stdout.write(`Listening on ${host}:${port}\n`);
  return ended;
}

async function make({
  addr,
  port,
  allow,
  tokenFile,
  tlsKey,
  tlsCert,
  tlsCa,
  maxWorkers,
}: ServeOptions): Promise<RemoteServer> {
  const read = (path: string): Promise<string> =>
    readFile(path, 'utf8').catch((cause: Error) => {
      throw new UsageError(`${path} cannot be read: ${cause.message}`, { cause });
    });
  const hasTls = tlsKey !== undefined || tlsCert !== undefined;
  const tls = {
    ...(tlsKey !== undefined && { key: await read(tlsKey) }),
    ...(tlsCert !== undefined && { cert: await read(tlsCert) }),
    ...(tlsCa !== undefined && { ca: await read(tlsCa), requestCert: true, rejectUnauthorized: true }),
  };
  const given: RemoteServerOptions = {
    port,
    ...(addr !== undefined && { host: addr }),
    ...(hasTls && { tls }),
    ...(tokenFile !== undefined && { token: (await read(tokenFile)).trim() }),
    ...(allow !== undefined && { allowModules: allow }),
    ...(maxWorkers !== undefined && { maxWorkers }),
  };
  try {
    return new RemoteServer(given);
  } catch (cause) {
    throw new UsageError((cause as Error).message, { cause });
  }
}

async function listen(server: RemoteServer): Promise<{ readonly host: string; readonly port: number }> {
  try {
    return await server.listen();
  } catch (cause) {
    if (cause instanceof BosunError || 'syscall' in (cause as object)) {
      throw new UsageError(`the server cannot listen: ${(cause as Error).message}`, { cause });
    }
    throw cause;
  }
}
