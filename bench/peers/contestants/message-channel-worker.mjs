// The thread of message-channel.mjs.

import { parentPort } from 'node:worker_threads';
import { TASKS } from '../tasks.mjs';

parentPort.on('message', ([name, input]) => parentPort.postMessage(TASKS[name](input)));
parentPort.postMessage('ready');
