// Files that are named on the command line.

import { readFile } from 'node:fs/promises';
import { UsageError } from './exit-code.js';

/** @throws UsageError when it cannot be read. */
export async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new UsageError(`${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}
