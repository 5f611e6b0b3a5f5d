// A whole text, to a file or to standard output.

import { writeFile } from 'node:fs/promises';
import { UsageError } from './exit-code.js';
import { Output } from './output.js';

/** @param path `-` is standard output; that its reader has seen enough is no failure. @throws UsageError */
export async function writeTo(path: string, text: string): Promise<void> {
  if (path === '-') {
    const output = new Output();
    output.write(text);
    await output.flush(new AbortController().signal);
    return;
  }
  try {
    await writeFile(path, text);
  } catch (cause) {
    throw new UsageError(`${path} cannot be written: ${(cause as Error).message}`, { cause });
  }
}
