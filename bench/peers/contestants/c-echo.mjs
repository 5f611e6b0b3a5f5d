// c-echo.c, compiled by the system's C compiler on first use. It has no tasks, only round trips.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Unavailable } from '../unavailable.mjs';

const SOURCE = fileURLToPath(new URL('./c-echo.c', import.meta.url));

export async function start() {
  const directory = mkdtempSync(join(tmpdir(), 'bosun-bench-'));
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  const program = join(directory, 'c-echo');
  try {
    execFileSync('cc', ['-O2', '-o', program, SOURCE], { stdio: 'pipe' });
  } catch (error) {
    throw new Unavailable(`no C compiler: ${error.message.split('\n')[0]}`);
  }
  return {
    /** The time of each of so many round trips, in microseconds. */
    roundTrips: (count) =>
      execFileSync(program, [String(count)], { encoding: 'utf8' })
        .trim()
        .split('\n')
        .map((ns) => Number(ns) / 1_000),
  };
}
