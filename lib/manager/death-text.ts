// How a worker died that was of no use, for people.

import type { LossDetails } from '../errors.js';
import { exitText } from './failures.js';
import type { Member } from './member.js';

/** Of what a worker said before it died. */
const LAST_LINES = 5;

/** The last lines that say something; a stack alone does not. */
function lastWords(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '' && !/^\s+at |^Node\.js v/.test(line));
  return lines.slice(-LAST_LINES).join('\n');
}

export function describeDeath({ worker, pid, life, wasReady }: Member, exit: LossDetails): string {
  if (pid === undefined) return `worker ${worker} could not be started${life.spawnError ? '' : ' for no known reason'}`;
  const { stderrTail } = exit;
  const when = wasReady ? '' : ' before it was set up';
  const said = stderrTail ? `, after it had said: ${lastWords(stderrTail)}` : '';
  return `worker ${worker} (pid ${pid}) ended with ${exitText(exit)}${when}${said}`;
}
