// What a request costs: a function of milliseconds that listens to nobody.

import { pbkdf2Sync } from 'node:crypto';

/**
 * @param {string} password
 * @param {number} rounds
 */
export function stretch(password, rounds) {
  return pbkdf2Sync(password, 'salt', rounds, 32, 'sha256').toString('hex');
}
