// The process that idle.mjs looks at: starts a pool, uses it once, and waits for the end of its standard input.

import { start } from '../contestants.mjs';
import { warmUp } from '../load.mjs';

const [contestant, workers] = process.argv.slice(2);
const pool = await start(contestant, Number(workers));
await warmUp(pool, Number(workers));
process.stdin.resume().on('end', () => process.exit());
process.stdout.write('idle\n');
