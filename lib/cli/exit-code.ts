// What the command says to the shell.

/** The exit codes; a signal is 128 and its number, as shells have it. */
export const EXIT = { OK: 0, FAILED: 1, USAGE: 2, INTERRUPTED: 130, TERMINATED: 143 } as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The command line, or what it names, is wrong: one line for the user, and no stack. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
