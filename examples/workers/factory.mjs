// The same without naming a class: the kind of worker is a value.

import { spawnServer, Worker, WorkerType } from 'bosun';

const target = { module: new URL('./square.mjs', import.meta.url), export: 'square' };
const server = await spawnServer({ allowModules: [import.meta.dirname] });

const workers = Object.values(WorkerType).map((type, i) => {
  const place = type === WorkerType.REMOTE ? { host: server.address, token: server.token } : {};
  return Worker.create(type, { target, args: [i + 1], ...place });
});
for (const worker of workers) await worker.wait();
await server.terminate();

console.log(workers.map(({ result }) => result));
