// The token of a server on loopback, for clients of the same user on the same host: who can read the file may use it.

import { closeSync, fstatSync, lstatSync, openSync, readFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';

/** Of the server. */
export interface TokenAddress {
  readonly host: string;
  readonly port: number;
}

export function tokenFile({ host, port }: TokenAddress): string {
  // A user of a container may have no name.
  const user = process.getuid?.() ?? userInfo().username;
  const name = host === 'localhost' ? '127.0.0.1' : host.replaceAll(':', '-');
  return join(process.env['XDG_RUNTIME_DIR'] ?? tmpdir(), `bosun-servers-${user}`, `${name}-${port}.token`);
}

/** Nobody else may have put it there, or be able to read it. */
export function isOwn({ uid, mode }: { readonly uid: number; readonly mode: number }): boolean {
  return process.getuid === undefined || (uid === process.getuid() && (mode & 0o077) === 0);
}

/** Undefined when no server of this user has left one for the address. */
export function readToken(address: TokenAddress): string | undefined {
  try {
    const file = tokenFile(address);
    if (!isOwn(lstatSync(dirname(file)))) return undefined;
    const descriptor = openSync(file, 'r');
    try {
      return isOwn(fstatSync(descriptor)) ? readFileSync(descriptor, 'utf8') : undefined;
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return undefined;
  }
}
