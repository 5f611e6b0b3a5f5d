// ctx.log, and the console of a worker that has a log file.

import { formatWithOptions } from 'node:util';
import type { Logger } from './context.js';

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
type Level = (typeof LEVELS)[number];

function write(level: Level, values: readonly unknown[]): void {
  const text = formatWithOptions({ colors: false }, ...values);
  // One write a line: the file is opened for appending, so lines of several processes do not mix.
  process.stderr.write(`${new Date().toISOString()} ${level.toUpperCase().padEnd(5)} ${text}\n`);
}

/** Everything into the log file; without one, warnings and above to stderr. */
export function createLogger(logFile: boolean): Logger {
  const logger = {} as Record<Level, (...values: unknown[]) => void>;
  for (const level of LEVELS) {
    const silent = !logFile && (level === 'debug' || level === 'info');
    logger[level] = silent ? () => {} : (...values) => write(level, values);
  }
  return logger;
}

/** Sends `console.log` and the like to the logger, so that they have a time and a level in the file too. */
export function redirectConsole(logger: Logger): void {
  for (const level of LEVELS) console[level] = logger[level].bind(logger);
  console.log = console.info;
  console.trace = console.debug;
}
