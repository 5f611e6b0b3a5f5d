// How a hand has ended, for people.

import { describe } from '../describe.js';
import type { HandExit } from './hand.js';

export function endText({ name, code, signal, error, reason }: HandExit): string {
  const how = signal ?? (code === null ? 'no process' : `exit code ${code}`);
  const why = error === undefined ? (reason ?? '') : describe(error);
  return `${name} has ended with ${how}${why === '' ? '' : `: ${why}`}`;
}
