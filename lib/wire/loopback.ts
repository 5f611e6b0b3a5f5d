// Addresses that nobody else can reach, or listen at.

import { isIP } from 'node:net';

/** A name other than localhost may be anybody's. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
