// Workers that take one input after the other, fed in turn.

import { PersistentWorker, spawnServer, WorkerType } from 'bosun';

const target = { module: new URL('./square.mjs', import.meta.url), export: 'square' };

const server = await spawnServer({ allowModules: [import.meta.dirname] });

const workers = Object.values(WorkerType).map((type) => {
  const place = type === WorkerType.REMOTE ? { host: server.address, token: server.token } : {};
  return PersistentWorker.create(type, { target, ...place });
});
for (let x = 0; x < 10; x++) await workers[x % workers.length]?.enqueue(x);

for (const worker of workers) {
  await worker.wait();
  const results = [];
  for await (const result of worker.results()) results.push(result);
  console.log(worker.result, results);
}
await server.terminate();
