// The token of a server on loopback, for clients of the same user on the same host: who can read the file may use it.

import { closeSync, fstatSync, lstatSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { InvalidArgumentError } from '../errors.js';

function directory(): string {
  // A user of a container may have no name.
  const user = process.getuid?.() ?? userInfo().username;
  return join(process.env['XDG_RUNTIME_DIR'] ?? tmpdir(), `bosun-servers-${user}`);
}

interface Address {
  readonly host: string;
  readonly port: number;
}

function fileOf({ host, port }: Address): string {
  const name = host === 'localhost' ? '127.0.0.1' : host.replaceAll(':', '-');
  return join(directory(), `${name}-${port}.token`);
}

/** Nobody else may have put it there, or be able to read it. */
function isOwn({ uid, mode }: { readonly uid: number; readonly mode: number }): boolean {
  return process.getuid === undefined || (uid === process.getuid() && (mode & 0o077) === 0);
}

/** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) when the folder is somebody else's; the system's errors. */
export function writeToken(address: Address, token: string): void {
  const folder = directory();
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const found = lstatSync(folder);
  if (!found.isDirectory() || !isOwn(found)) {
    throw new InvalidArgumentError(`others can enter ${folder}, so no token can be left there: give one`);
  }
  const file = fileOf(address);
  // Of one that was killed.
  rmSync(file, { force: true });
  writeFileSync(file, token, { mode: 0o600, flag: 'wx' });
  left.set(file, token);
  if (left.size === 1) process.on('exit', removeAll);
}

const left = new Map<string, string>();

function removeAll(): void {
  for (const file of left.keys()) rmSync(file, { force: true });
}

/** Unless another server has left its own there. */
export function removeToken(address: Address, token: string): void {
  const file = fileOf(address);
  if (readToken(address) === token) rmSync(file, { force: true });
  left.delete(file);
  if (left.size === 0) process.off('exit', removeAll);
}

/** Undefined when no server of this user has left one for the address. */
export function readToken(address: Address): string | undefined {
  try {
    if (!isOwn(lstatSync(directory()))) return undefined;
    const descriptor = openSync(fileOf(address), 'r');
    try {
      return isOwn(fstatSync(descriptor)) ? readFileSync(descriptor, 'utf8') : undefined;
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return undefined;
  }
}
