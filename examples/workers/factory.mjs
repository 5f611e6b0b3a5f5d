// The same without naming a class: the kind of worker is a value.

import { Worker, WorkerType } from 'bosun';

const target = { module: new URL('./square.mjs', import.meta.url), export: 'square' };

const workers = Object.values(WorkerType).map((type, i) => Worker.create(type, { target, args: [i + 1] }));
for (const worker of workers) await worker.wait();
console.log(workers.map(({ result }) => result));
