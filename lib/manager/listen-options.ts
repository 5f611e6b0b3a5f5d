// Where a manager listens, and who may come in: checked once, at the call.

import { resolve } from 'node:path';
import type { TlsOptions } from 'node:tls';
import { builtin } from '../builtin.js';
import { describe } from '../describe.js';
import { InvalidArgumentError, OutOfRangeError } from '../errors.js';
import { integer, ownOptions } from '../own-options.js';
import { isLoopback } from '../wire/address.js';
import { assertSocketPaths, MAX_PATH_BYTES } from './socket-path.js';

/** A socket for peers. Either a `path` or a `host` and a `port`. */
export interface ListenOptions {
  /** Of a Unix socket, in a directory that only this user can enter; it is made when it is not there. Not on Windows. */
  readonly path?: string;
  /** `'127.0.0.1'` unless given. Anything that is not loopback needs `tls`. */
  readonly host?: string;
  /** 0, a free one, unless given. */
  readonly port?: number;
  /** Options of `tls.createServer`, at least `key` and `cert`. TLS 1.3 unless they say otherwise. */
  readonly tls?: TlsOptions;
  /** What peers must send first, at least 16 characters; 256 random bits, as `manager.token`, unless given. */
  readonly token?: string;
}

/** The same, checked. A `path` of undefined without a host is a new one in a new directory. */
export interface ListenSettings {
  readonly path: string | undefined;
  readonly host: string | undefined;
  readonly port: number;
  readonly tls: TlsOptions | undefined;
  readonly token: string;
}

const KNOWN = ['path', 'host', 'port', 'tls', 'token'];

const MIN_TOKEN_CHARS = 16;

/** Unless `tls` says otherwise. */
export const TLS_DEFAULTS = { minVersion: 'TLSv1.3' } as const;

/** @throws InvalidArgumentError, OutOfRangeError, UnsupportedError for what cannot be listened at, or must not be. */
export function checkListen(given: true | string | ListenOptions): ListenSettings {
  if (given === true) {
    const host = process.platform === 'win32' ? '127.0.0.1' : undefined;
    return { path: undefined, host, port: 0, tls: undefined, token: newToken() };
  }
  const { path, host, port, tls, token, ...others } =
    typeof given === 'string' ? ({ path: given } as ListenOptions) : ownOptions(given, 'the options of listen');
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    throw new InvalidArgumentError(`'${unknown}' is no option of listen; it takes ${KNOWN.join(', ')}`);
  }
  const secret = token === undefined ? newToken() : checkToken(token);
  if (path !== undefined) {
    if (host !== undefined || port !== undefined || tls !== undefined) {
      throw new InvalidArgumentError('listen takes a path, or a host, a port and tls');
    }
    return { path: checkPath(path), host: undefined, port: 0, tls: undefined, token: secret };
  }
  const tlsOptions = tls === undefined ? undefined : checkTls(tls);
  const at = checkHost(host ?? '127.0.0.1');
  if (tls === undefined && !isLoopback(at)) {
    throw new InvalidArgumentError(
      `${at} can be reached from other hosts: give listen.tls { key, cert }, or listen on 127.0.0.1 or a path`,
    );
  }
  return {
    path: undefined,
    host: at,
    port: integer('listen.port', port ?? 0, 0, 65_535),
    tls: tlsOptions,
    token: secret,
  };
}

/** @throws InvalidArgumentError for what no handshake could succeed with. */
function checkTls(tls: TlsOptions): TlsOptions {
  const given = ownOptions(tls, 'the options of listen.tls');
  const { key, cert, pfx, SNICallback } = given;
  if ((key === undefined || cert === undefined) && pfx === undefined && SNICallback === undefined) {
    throw new InvalidArgumentError('listen.tls are the options of tls.createServer, at least { key, cert }');
  }
  try {
    builtin('node:tls').createSecureContext({ ...TLS_DEFAULTS, ...given });
  } catch (cause) {
    throw new InvalidArgumentError(`listen.tls cannot be used: ${describe(cause)}`, { cause });
  }
  return given;
}

export function newToken(): string {
  return builtin('node:crypto').randomBytes(32).toString('hex');
}

function checkToken(token: unknown): string {
  if (typeof token !== 'string' || token.length < MIN_TOKEN_CHARS || Buffer.byteLength(token) > 512) {
    throw new InvalidArgumentError(`listen.token is a string of ${MIN_TOKEN_CHARS} to 512 characters, hard to guess`);
  }
  return token;
}

function checkPath(path: unknown): string {
  assertSocketPaths('listen.path is that of a Unix socket');
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    throw new InvalidArgumentError(`listen.path is the path of a socket, not ${String(path)}`);
  }
  const absolute = resolve(path);
  const length = Buffer.byteLength(absolute);
  if (length > MAX_PATH_BYTES) {
    throw new OutOfRangeError(`listen.path has at most ${MAX_PATH_BYTES} bytes, ${absolute} has ${length}`);
  }
  return absolute;
}

function checkHost(host: unknown): string {
  if (typeof host !== 'string' || host === '') throw new InvalidArgumentError('listen.host is a name or an address');
  return host;
}
