// The token that a server on loopback leaves for clients of the same user.

import { lstatSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { InvalidArgumentError } from '../errors.js';
import { keepAtExit, removeAtExit } from '../manager/socket-path.js';
import { isOwn, readToken, type TokenAddress, tokenFile } from '../wire/token-file.js';

/** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) when the folder is somebody else's; the system's errors. */
export function leaveToken(address: TokenAddress, token: string): void {
  const file = tokenFile(address);
  const folder = dirname(file);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const found = lstatSync(folder);
  if (!found.isDirectory() || !isOwn(found)) {
    throw new InvalidArgumentError(`others can enter ${folder}, so no token can be left there: give one`);
  }
  // Of one that was killed.
  rmSync(file, { force: true });
  writeFileSync(file, token, { mode: 0o600, flag: 'wx' });
  removeAtExit(file);
}

/** Unless another server has left its own there. */
export function takeTokenAway(address: TokenAddress, token: string): void {
  const file = tokenFile(address);
  if (readToken(address) === token) rmSync(file, { force: true });
  keepAtExit(file);
}
