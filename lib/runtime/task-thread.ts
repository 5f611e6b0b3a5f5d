// A worker thread of a manager, which lends it a socket and a status page.

import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { native } from '../native.js';
import { Link } from './link.js';
import { serveTasks } from './serve-tasks.js';

/** What a thread is started with. */
export interface TaskThreadData {
  readonly socket: number;
  readonly page: number;
}

const { socket, page } = workerData as TaskThreadData;
const link = new Link(native.duplicate(socket), page);
// The manager has its own again: with them open, the end of this thread would not be the end of the connection.
(parentPort as MessagePort).postMessage('opened');

await serveTasks(link);
await link.end();
process.exit();
