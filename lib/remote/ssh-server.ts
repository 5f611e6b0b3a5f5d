// A server on another host, started over ssh: it listens on a socket there that only ssh reaches, and ends with us.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { builtin } from '../builtin.js';
import { InvalidArgumentError, WorkerStartError } from '../errors.js';
import { newToken } from '../manager/listen-options.js';
import {
  assertSocketPaths,
  keepAtExit,
  makeSocketDirectory,
  removeAtExit,
  SOCKET_NAME,
} from '../manager/socket-path.js';
import { checkKnown, delay, integer, ownOptions } from '../own-options.js';
import { within } from '../within.js';
import { PipeLife } from '../worker/pipe-life.js';
import { RemoteServerProcess } from './spawn-server.js';

/** Options of `sshServer`. What they do not say, ssh's own configuration says. */
export interface SshServerOptions {
  /** A host name, or a name from ssh's configuration. */
  readonly host: string;
  readonly user?: string;
  readonly port?: number;
  /** A private key. */
  readonly identityFile?: string;
  /** A configuration of ssh instead of the user's. */
  readonly configFile?: string;
  /** Words that start bosun over there; `['bosun']` unless given. */
  readonly command?: readonly string[];
  /** Folders and files of that host that modules are loaded from; everything unless given. */
  readonly allowModules?: readonly string[];
  /** What relative paths of clients are relative to; the home directory over there unless given. */
  readonly root?: string;
  readonly maxWorkers?: number;
  /** Milliseconds until the server must listen; 30 000 unless given. */
  readonly connectTimeout?: number;
  /** The program; `'ssh'` unless given. */
  readonly sshCommand?: string;
}

/** Where a server is that is reached through a tunnel: a socket of this host. */
export interface TunnelAddress {
  readonly path: string;
}

const TEXTS = ['user', 'identityFile', 'configFile', 'root', 'sshCommand'] as const;
const KNOWN = ['host', ...TEXTS, 'port', 'command', 'allowModules', 'maxWorkers', 'connectTimeout'];

/** Never a question, never a connection that others share or that outlives this one, and no host that is silent for long. */
const ALWAYS = [
  'BatchMode=yes',
  'ExitOnForwardFailure=yes',
  'StreamLocalBindMask=0177',
  'ControlMaster=no',
  'ControlPath=none',
  'RemoteCommand=none',
  'ForwardAgent=no',
  'ForwardX11=no',
  'ServerAliveInterval=5',
  'ServerAliveCountMax=3',
];

/**
 * Starts a server on another host with the `ssh` of this one. Both ends of the tunnel are sockets in directories of their
 * user, and the token goes through standard input. It ends with `terminate()`, with this process, and with the connection.
 *
 * @throws InvalidArgumentError, OutOfRangeError for bad options; UnsupportedError (ERR_BOSUN_UNSUPPORTED) on Windows.
 * @throws WorkerStartError (ERR_BOSUN_WORKER_START) with what ssh has said, when the server does not listen in time.
 * @example
 * await using server = await sshServer({ host: 'gpu-1', allowModules: ['jobs'] });
 * const worker = new RemoteWorker({ host: server.address, token: server.token, target: 'jobs/fit.js#fit' });
 */
export async function sshServer(given: SshServerOptions): Promise<RemoteServerProcess<TunnelAddress>> {
  const options = checked(given);
  assertSocketPaths('the ends of the tunnel are Unix sockets');
  const { host, connectTimeout = 30_000, sshCommand = 'ssh' } = options;
  const directory = removeAtExit(await makeSocketDirectory());
  const path = join(directory, SOCKET_NAME);
  const remotePath = `/tmp/bosun-${builtin('node:crypto').randomBytes(12).toString('hex')}/${SOCKET_NAME}`;
  const token = newToken();
  const life = new PipeLife(sshCommand, sshArguments(options, path, remotePath));
  void life.exited.then(() => {
    rmSync(directory, { recursive: true, force: true });
    keepAtExit(directory);
  });
  life.ref();
  life.stdin.write(`${token}\n`);
  let isReady = false;
  const ready = life.ready(`Listening on ${remotePath}`).then((is) => {
    isReady = is;
  });
  const isInTime = await within(connectTimeout, Promise.race([ready, life.exited]));
  if (isReady) return new RemoteServerProcess(life, () => life.stdin.end(), { address: { path }, token });
  // It may have said why while it was closing.
  life.stdin.end();
  const { exitCode, exitSignal } = isInTime ? await life.stop(() => {}, { grace: 1_000 }) : await life.kill();
  await within(100, ready);
  throw refusal(options, life, isInTime ? (exitSignal ?? `exit code ${exitCode}`) : undefined, host);
}

/** @param end how ssh ended; undefined when it had to be made to. */
function refusal(
  { connectTimeout, command }: SshServerOptions,
  life: PipeLife,
  end: string | undefined,
  host: string,
): WorkerStartError {
  const what = `the server on ${host} could not be started`;
  if (life.spawnError !== undefined) {
    return new WorkerStartError(`${what}: ${life.spawnError.message}`, { cause: life.spawnError });
  }
  const how = end === undefined ? `it did not listen within ${connectTimeout} ms` : `ssh ended with ${end}`;
  const hint = end === 'exit code 127' ? `; 'command' says how bosun is started there, now: ${command?.join(' ')}` : '';
  return new WorkerStartError(`${what}: ${how}${hint}${life.stderr === '' ? '' : `: ${life.stderr}`}`);
}

function sshArguments(options: SshServerOptions, path: string, remotePath: string): string[] {
  const { host, user, port, identityFile, configFile, connectTimeout = 0 } = options;
  const seconds = Math.max(1, Math.ceil(connectTimeout / 1_000));
  return [
    ...(configFile === undefined ? [] : ['-F', configFile]),
    '-T',
    ...[...ALWAYS, `ConnectTimeout=${seconds}`].flatMap((option) => ['-o', option]),
    ...(user === undefined ? [] : ['-l', user]),
    ...(port === undefined ? [] : ['-p', String(port)]),
    ...(identityFile === undefined ? [] : ['-i', identityFile]),
    '-L',
    `${path}:${remotePath}`,
    '--',
    host,
    remoteCommand(options, remotePath),
  ];
}

/** For a POSIX shell over there. */
function remoteCommand({ command = [], allowModules, root, maxWorkers }: SshServerOptions, path: string): string {
  const words = [...command, 'serve', '--tunnel', path];
  if (root !== undefined) words.push('--root', root);
  if (maxWorkers !== undefined) words.push('--max-workers', String(maxWorkers));
  if (allowModules !== undefined) words.push('--allow', ...allowModules);
  // In its place: the shell would live on between the two.
  return `exec ${words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')}`;
}

function checked(given: SshServerOptions): SshServerOptions & Required<Pick<SshServerOptions, 'connectTimeout'>> {
  const options = ownOptions(given, 'the options of sshServer');
  checkKnown(options, KNOWN, 'sshServer');
  const { host, user, port, command = ['bosun'], allowModules, maxWorkers, connectTimeout = 30_000 } = options;
  // ssh takes what begins with a dash for an option of its own, and some of those run programs.
  for (const [name, value] of Object.entries({ host, user })) {
    if (name === 'user' && value === undefined) continue;
    if (typeof value !== 'string' || !/^[^-\s@'"`$;&|<>()\\\p{C}][^\s'"`$;&|<>()\\\p{C}]*$/u.test(value)) {
      throw new InvalidArgumentError(`${name} is a name for ssh, which begins with no dash, not ${String(value)}`);
    }
  }
  for (const name of TEXTS) {
    const value = options[name];
    if (value !== undefined && !isText(value))
      throw new InvalidArgumentError(`${name} is a text without control characters`);
  }
  if (!isTexts(command) || command.length === 0) throw new InvalidArgumentError('command is a list of words');
  if (allowModules !== undefined && (!isTexts(allowModules) || allowModules.some((path) => path.startsWith('-')))) {
    throw new InvalidArgumentError('allowModules is a list of folders and files');
  }
  if (port !== undefined) integer('port', port, 1, 65_535);
  if (maxWorkers !== undefined) integer('maxWorkers', maxWorkers, 1, 1_024);
  return { ...options, command, connectTimeout: delay('connectTimeout', connectTimeout) };
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(isText);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && !/\p{Cc}/u.test(value);
}
