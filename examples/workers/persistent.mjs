// Workers that take one input after the other, fed in turn.

import { PersistentWorker, WorkerType } from 'bosun';

const target = { module: new URL('./square.mjs', import.meta.url), export: 'square' };

const types = [...Object.values(WorkerType), WorkerType.PROCESS];
const workers = types.map((type) => PersistentWorker.create(type, { target }));
for (let x = 0; x < 10; x++) await workers[x % workers.length]?.enqueue(x);

for (const worker of workers) {
  await worker.wait();
  const results = [];
  for await (const result of worker.results()) results.push(result);
  console.log(worker.result, results);
}
