// What `npm run bench:native` says of the native queue beside other lock-free queues, in one process without Node.

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Unavailable } from '../unavailable.mjs';

const FOLDER = fileURLToPath(new URL('../../../native/test', import.meta.url));
const COLUMNS = ['Fifo', 'Priority', 'moodycamel', 'atomic_queue', 'ratio'];

export async function measure(_open, { rounds, row }) {
  const env = { ...process.env, BOSUN_ROUNDS: String(rounds) };
  const output = execFileSync('make', ['-s', '-C', FOLDER, 'bench'], { encoding: 'utf8', env });
  const missing = /^rivals are missing:.*$/m.exec(output);
  if (missing) throw new Unavailable(missing[0]);
  const line = output.split('\n').find((text) => text.startsWith(row));
  if (line === undefined) throw new Error(`there is no row '${row}' in ${output}`);
  const figures = line.slice(row.length).trim().split(/\s+/).map(Number);
  return Object.fromEntries(COLUMNS.map((name, i) => [name, figures[i]]));
}
