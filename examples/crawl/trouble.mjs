// @ts-check
// What becomes of everything that is no readable file: a message with the reason, and the crawl goes on.

import { stat } from 'node:fs/promises';
import { ChangedError } from './measure.mjs';

/** @import { Dirent } from 'node:fs' */
/** @import { Message } from './tasks.mjs' */

/**
 * The message about a path that the system refuses. Anything else is a fault of this program: it is thrown, fails the
 * task, and reaches the reader as a WorkerException.
 *
 * @param {string} path
 * @param {unknown} error
 * @param {string} [prefix]
 * @returns {Message}
 */
export function trouble(path, error, prefix = '') {
  if (!(error instanceof Error) || !('errno' in error || error instanceof ChangedError)) throw error;
  const { code = 'UNKNOWN', message } = /** @type {NodeJS.ErrnoException} */ (error);
  // "ENOENT: no such file or directory, open '/the/path'": the code and the path have their own places.
  const reason = prefix + message.replace(/^[A-Z0-9]+: /, '').replace(/, \w+( '.*)?$/s, '');
  return { kind: 'error', trouble: { path, code, reason } };
}

/**
 * The message about an entry that is neither a directory nor a file. Links are not followed, so there are no cycles.
 *
 * @param {string} path
 * @param {Dirent} entry
 * @returns {Promise<Message>}
 */
export async function leftOut(path, entry) {
  if (entry.isSymbolicLink()) {
    try {
      await stat(path);
    } catch (error) {
      return trouble(path, error, 'broken link: ');
    }
    return { kind: 'skipped', skipped: { path, reason: 'symbolic link' } };
  }
  const reason = entry.isFIFO() ? 'fifo' : entry.isSocket() ? 'socket' : 'device';
  return { kind: 'skipped', skipped: { path, reason } };
}
