// A worker process: started by its manager, which gives it a socket (3), a status page (4) and a lifeline (5).

import { native } from '../native.js';
import { guardImports } from '../task/target.js';
import { Link } from './link.js';
import { serveTasks } from './serve-tasks.js';
import { completeStderr } from './stderr.js';

const SOCKET = 3;
const PAGE = 4;
const LIFELINE = 5;

// A worker has a process group of its own, but whoever sends SIGINT to all: what becomes of the tasks is the owner's
// decision.
process.on('SIGINT', () => {});

completeStderr();
guardImports();

const guard = new native.ParentGuard(LIFELINE);
const link = new Link(SOCKET, PAGE);

await serveTasks(link);
// A task's leftovers, timers and servers of its own, must not keep a worker that was asked to finish.
guard.release();
await link.end();
process.exit();
