// One function in a thread and in a process: the same methods, the same results.

import { ProcessWorker, ThreadWorker } from 'bosun';

const target = { module: new URL('./square.mjs', import.meta.url), export: 'square' };

const thread = new ThreadWorker({ target, args: [1] });
await thread.wait();

const child = new ProcessWorker({ target, args: [2] });
await child.wait();

console.log(thread.result, child.result);
