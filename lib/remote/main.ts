// The process of `spawnServer`.

import { native } from '../native.js';
import { inheritedConnection } from '../wire/connection.js';
import { SAY, StreamLine } from '../wire/line.js';
import { RemoteServer, type RemoteServerOptions } from './remote-server.js';
import type { ServerReport } from './spawn-server.js';

const SOCKET = 3;
const LIFELINE = 5;

process.on('SIGINT', () => {});

const guard = new native.ParentGuard(LIFELINE);
const line = new StreamLine(inheritedConnection(SOCKET));

let server: RemoteServer | undefined;

let isEnding = false;

async function end(): Promise<void> {
  if (isEnding) return;
  isEnding = true;
  await server?.terminate();
  guard.release();
  await line.end();
  process.exit();
}

process.on('SIGTERM', () => void end());
line.onMessage = (type, value) => {
  if (type === SAY.START) void start(value as RemoteServerOptions);
  else if (type === SAY.STOP) void end();
};

async function start(options: RemoteServerOptions): Promise<void> {
  try {
    server = new RemoteServer(options);
    const address = await server.listen();
    void server.ended.then(end);
    line.send(SAY.STARTED, { address, token: server.token } satisfies ServerReport);
  } catch (error) {
    line.send(SAY.STARTED, { error: line.encodeError(error) } satisfies ServerReport);
  }
}
