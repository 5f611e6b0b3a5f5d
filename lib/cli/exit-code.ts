// What the command says to the shell.

import type { EndSignal } from '../remote/until-signal.js';

/** The exit codes; a signal is 128 and its number, as shells have it. */
export const EXIT = { OK: 0, FAILED: 1, USAGE: 2, INTERRUPTED: 130, TERMINATED: 143 } as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Of a command that has run until a signal told it to end, or until it was over. */
export function exitCodeOf(signal: EndSignal | undefined): ExitCode {
  if (signal === undefined) return EXIT.OK;
  return signal === 'SIGINT' ? EXIT.INTERRUPTED : EXIT.TERMINATED;
}

/** The command line, or what it names, is wrong: one line for the user, and no stack. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
