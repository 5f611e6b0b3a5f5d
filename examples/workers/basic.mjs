// One function in a thread, in a process and on a server: the same methods, the same results.

import { ProcessWorker, RemoteWorker, spawnServer, ThreadWorker } from 'bosun';

const target = { module: new URL('./square.mjs', import.meta.url), export: 'square' };

const thread = new ThreadWorker({ target, args: [1] });
await thread.wait();

const child = new ProcessWorker({ target, args: [2] });
await child.wait();

// As a rule it is on another host: `bosun serve` there.
const server = await spawnServer({ allowModules: [import.meta.dirname] });
const remote = new RemoteWorker({ target, args: [3], host: server.address, token: server.token });
await remote.wait();
await server.terminate();

console.log(thread.result, child.result, remote.result);
