// Hosts and ports.

import { isIP } from 'node:net';

/** Where `bosun serve` listens, and clients look for it, unless they are told otherwise. */
export const SERVER_PORT = 60_006;

/** That nobody else can reach, or listen at. A name other than localhost may be anybody's. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
