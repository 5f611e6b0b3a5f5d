// Where a Unix socket lies: in a directory that nobody else can enter, and gone when its process is.

import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { lstat, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { AddressInUseError, InvalidArgumentError, UnsupportedError } from '../errors.js';
import { native } from '../native.js';

/** In a directory that was made for it. */
export const SOCKET_NAME = 'manager.sock';

/** Of `sun_path`, its end left out; the system would cut a longer one. */
export const MAX_PATH_BYTES = process.platform === 'darwin' ? 103 : 107;

/** Nobody listens there any more. All else, as a queue of connections that is full, is somebody. */
const DEAD = new Set(['ECONNREFUSED', 'ENOENT']);

/**
 * For what needs sockets with a path, as Node.js and the addon have them on POSIX.
 *
 * @param what does, at the beginning of a sentence.
 * @throws UnsupportedError (ERR_BOSUN_UNSUPPORTED) on Windows.
 */
export function assertSocketPaths(what: string): void {
  if (process.platform === 'win32') throw new UnsupportedError(`${what}, which there are none of on Windows`);
}

/**
 * A new directory that only this user can enter, for a socket of that name.
 *
 * @throws the system's error when none can be made.
 */
export async function makeSocketDirectory(name = SOCKET_NAME): Promise<string> {
  let failure: unknown = new InvalidArgumentError('TMPDIR is too long for the path of a socket: set a shorter one');
  // The first may be that of a session that has ended, and the second too long.
  for (const base of [process.env['XDG_RUNTIME_DIR'] ?? '', tmpdir(), '/tmp']) {
    const prefix = join(base, 'bosun-');
    if (!isAbsolute(base) || Buffer.byteLength(join(`${prefix}XXXXXX`, name)) > MAX_PATH_BYTES) continue;
    try {
      return await mkdtemp(prefix);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/**
 * Sees to it that a directory is there that nobody else can enter, and no socket in it that was left over.
 *
 * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) when others can enter the directory.
 * @throws AddressInUseError (ERR_BOSUN_ADDRESS_IN_USE) when somebody listens there, or the path is no socket.
 */
export async function prepareSocketPath(path: string): Promise<void> {
  const directory = dirname(path);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const found = await lstat(directory);
  const { mode, uid } = found;
  // Whoever owns the link could lead it elsewhere later.
  if (found.isSymbolicLink()) throw new InvalidArgumentError(`${directory} is a link: give the path that it leads to`);
  if (process.getuid !== undefined && (uid !== process.getuid() || (mode & 0o077) !== 0)) {
    throw new InvalidArgumentError(
      `others can enter ${directory} (mode ${(mode & 0o777).toString(8)}): choose a directory of mode 700 for the socket`,
    );
  }
  const left = await lstat(path).catch(() => undefined);
  if (left === undefined) return;
  if (!left.isSocket()) throw new AddressInUseError(`${path} exists and is no socket`);
  // Somebody else may have found it dead too, and listen there by now.
  const isOther = async () => (await lstat(path).catch(() => undefined))?.ino !== left.ino;
  if ((await isLive(path)) || (await isOther())) throw new AddressInUseError(`somebody listens at ${path} already`);
  await rm(path, { force: true });
}

async function isLive(path: string): Promise<boolean> {
  const probe = connect(path);
  try {
    await once(probe, 'connect');
    return true;
  } catch (error) {
    return !DEAD.has((error as NodeJS.ErrnoException).code ?? '');
  } finally {
    probe.destroy();
  }
}

/** What is to go when this process ends without having closed its manager; an idle one does not keep it up. */
const made = new Set<string>();

function removeMade(): void {
  for (const path of made) rmSync(path, { recursive: true, force: true });
}

export function removeAtExit(path: string): string {
  if (made.size === 0) process.on('exit', removeMade);
  made.add(path);
  // A thread that is terminated has no exit event.
  native.expectPath(path);
  return path;
}

export function keepAtExit(path: string): void {
  if (made.delete(path) && made.size === 0) process.off('exit', removeMade);
  native.forgetPath(path);
}
