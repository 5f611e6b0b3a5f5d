// A worker thread of a manager, which lends it a socket and a status page.

import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { DataCloneError } from '../errors.js';
import { native } from '../native.js';
import { takeBy } from '../task/handover.js';
import { guardImports } from '../task/target.js';
import { Link } from './link.js';
import { serveTasks } from './serve-tasks.js';

/** What a thread is started with. */
export interface TaskThreadData {
  readonly socket: number;
  readonly page: number;
}

/** What it is told: the arguments of a task; without them, somebody has had them. */
export interface Handover {
  readonly number: number;
  readonly values: readonly unknown[] | undefined;
}

guardImports();

const { socket, page } = workerData as TaskThreadData;
const owner = parentPort as MessagePort;
const link = new Link(native.duplicate(socket), page);
// The manager has its own again: with them open, the end of this thread would not be the end of the connection.
owner.postMessage('opened');

const asked = new Map<number, (handover: Handover) => void>();
owner.on('message', (handover: Handover) => {
  asked.get(handover.number)?.(handover);
  asked.delete(handover.number);
  if (asked.size === 0) owner.unref();
});
owner.unref();
takeBy((number) => {
  // The link does not spin while the event loop has somebody else to wait for.
  owner.ref();
  return new Promise((resolve, reject) => {
    asked.set(number, ({ values }) => {
      const gone = 'the arguments were handed over to an attempt before this one: what was moved can be had once';
      if (values === undefined) reject(new DataCloneError(gone));
      else resolve(values);
    });
    owner.postMessage(number);
  });
});

await serveTasks(link);
await link.end();
process.exit();
