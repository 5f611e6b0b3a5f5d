// A service that ends as Kubernetes wants it: on SIGTERM it takes no more requests, and answers those that it has.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { ProcessManager } from 'bosun';

// PATIENCE_MS: what terminationGracePeriodSeconds leaves when preStop has slept, and a little less.
const { PATIENCE_MS = 20_000, WORKERS = 2, PORT = 8080 } = process.env;
const patience = Number(PATIENCE_MS);

// The cores that the container may use; without a number it would be twice those that Node.js sees.
const manager = new ProcessManager({ workers: Number(WORKERS) });
const work = { module: new URL('./work.mjs', import.meta.url), export: 'stretch' };

const server = createServer(async (request, response) => {
  // For the readiness probe: from SIGTERM on nobody is to send anything here.
  if (!server.listening) response.setHeader('connection', 'close');
  if (request.url === '/ready') {
    response.writeHead(server.listening ? 200 : 503).end();
    return;
  }
  const rounds = Number(new URL(request.url ?? '/', 'http://service').searchParams.get('rounds') ?? 1_000);
  try {
    response.end(`${await manager.run(work, ['password', rounds], { deadline: patience })}\n`);
  } catch (error) {
    response.writeHead(503).end(`${error instanceof Error ? error.message : error}\n`);
  }
});

async function leave() {
  console.log('leaving');
  server.close(); // no more connections
  server.closeIdleConnections();
  const deadline = AbortSignal.timeout(patience);
  // What has been asked is answered; who holds a connection open without asking is not waited for any longer.
  await once(server, 'close', { signal: deadline }).catch(() => server.closeAllConnections());
  const { done, failed, cancelled, policy } = await manager.close('join', { timeout: 1_000 });
  console.log(JSON.stringify({ done, failed, cancelled, policy }));
}

process.once('SIGTERM', leave);
process.once('SIGINT', leave);

await manager.ready();
server.listen(Number(PORT));
await once(server, 'listening');
const address = server.address();
console.log(`listening on ${typeof address === 'object' ? address?.port : address}`);
