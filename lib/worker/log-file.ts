// The log file of a worker.

import { mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';

/** A descriptor of it; what is written goes behind what is there. @throws the system's error. */
export function openLogFile(path: string): number {
  mkdirSync(dirname(path), { recursive: true });
  return openSync(path, 'a');
}
