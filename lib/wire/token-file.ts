// The token of a server on loopback, for clients of the same user on the same host: who can read the file may use it.

import { closeSync, fstatSync, lstatSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { InvalidArgumentError } from '../errors.js';

function directory(): string {
  const { uid, username } = userInfo();
  return join(process.env['XDG_RUNTIME_DIR'] ?? tmpdir(), `bosun-servers-${uid < 0 ? username : uid}`);
}

function fileOf(port: number): string {
  return join(directory(), `${port}.token`);
}

/** Nobody else may have put it there, or be able to read it. */
function isOwn({ uid, mode }: { readonly uid: number; readonly mode: number }): boolean {
  return process.getuid === undefined || (uid === process.getuid() && (mode & 0o077) === 0);
}

/** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) when the folder is somebody else's; the system's errors. */
export function writeToken(port: number, token: string): void {
  const folder = directory();
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const found = lstatSync(folder);
  if (!found.isDirectory() || !isOwn(found)) {
    throw new InvalidArgumentError(`others can enter ${folder}, so no token can be left there: give one`);
  }
  removeToken(port);
  writeFileSync(fileOf(port), token, { mode: 0o600, flag: 'wx' });
}

export function removeToken(port: number): void {
  rmSync(fileOf(port), { force: true });
}

/** Undefined when no server of this user has left one for the port. */
export function readToken(port: number): string | undefined {
  try {
    if (!isOwn(lstatSync(directory()))) return undefined;
    const descriptor = openSync(fileOf(port), 'r');
    try {
      return isOwn(fstatSync(descriptor)) ? readFileSync(descriptor, 'utf8') : undefined;
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return undefined;
  }
}
