// What a function throws is the error of its worker, with its stack over there.

import { ProcessWorker } from 'bosun';

const target = { module: new URL('./square.mjs', import.meta.url), export: 'giveUp' };

const worker = new ProcessWorker({ target, args: [2] });
await worker.wait();
console.log(worker.result);
console.log(worker.hasError);
console.log(worker.error?.message);
