// What a user's function throws where nobody could catch it.

import { describe } from '../describe.js';

/** A process warning (BOSUN_W003), which stops nothing. @param what has thrown, for people: `a callback of ...`. */
export function warnThrown(what: string, error: unknown): void {
  process.emitWarning(`${what} threw ${describe(error)}`, { code: 'BOSUN_W003' });
}
