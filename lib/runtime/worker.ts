// A Worker's process: started by its owner, which gives it a socket (3), shared memory (4) and a lifeline (5).

import { native } from '../native.js';
import { guardImports } from '../task/target.js';
import { inheritedConnection } from '../wire/connection.js';
import { StreamLine } from '../wire/line.js';
import { completeStderr } from './stderr.js';
import { TargetLoop } from './target-loop.js';

const SOCKET = 3;
const MEMORY = 4;
const LIFELINE = 5;

// As in main.ts: what becomes of the target is the owner's decision.
process.on('SIGINT', () => {});

completeStderr();
guardImports();

const guard = new native.ParentGuard(LIFELINE);
// Its owner is on another host: what comes is of another trust domain.
const isForeign = process.argv.includes('--foreign');
const line = new StreamLine(inheritedConnection(SOCKET), { isForeign });
const loop = new TargetLoop(line, new Int32Array(native.mapShared(MEMORY)), 0);
process.on('uncaughtException', (error) => loop.fail(error));

const isWell = await loop.run();
// What the target has left behind must not keep a worker that is over.
guard.release();
await line.end();
process.exit(isWell ? 0 : 1);
