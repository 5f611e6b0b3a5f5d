// Any value as a short text. It may be a user's, so nothing that it does may get out.

import { inspect } from 'node:util';

/** An error's class and message, a value as a string; never throws. */
export function describe(value: unknown): string {
  try {
    return value instanceof Error ? `${String(value.name)}: ${String(value.message)}` : String(value);
  } catch {
    return look(value);
  }
}

/** As `util.inspect`, but it never throws. */
export function look(value: unknown): string {
  try {
    return inspect(value);
  } catch {
    return 'a value that cannot be described';
  }
}
