// A Worker's thread.

import { type MessagePort, parentPort, threadId, workerData } from 'node:worker_threads';
import { guardImports } from '../task/target.js';
import { PortLine } from '../wire/line.js';
import { TargetLoop } from './target-loop.js';

/** What a thread is started with. */
export interface ThreadData {
  readonly flag: SharedArrayBuffer;
}

guardImports();

const line = new PortLine(parentPort as MessagePort);
const loop = new TargetLoop(line, new Int32Array((workerData as ThreadData).flag), threadId);
process.on('uncaughtException', (error) => loop.fail(error));

const isWell = await loop.run();
process.exit(isWell ? 0 : 1);
