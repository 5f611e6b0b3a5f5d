// Connections between hosts, one of which may be gone without a word: its power, or the network.

import type { Socket } from 'node:net';
import { native } from '../native.js';
import { KEEP_ALIVE_MS } from './line.js';

/** Keep-alive asks ten times, a second apart, after that silence; what was sent and not acknowledged has as long. */
const GIVE_UP_MS = KEEP_ALIVE_MS + 10_000;

function once(socket: Socket, connected: () => void): void {
  if (socket.connecting) socket.once('connect', connected);
  else connected();
}

/** Has the systems ask each other while a connection is silent. */
export function keepAlive(socket: Socket): void {
  // A Unix socket needs none of it, and some streams have no such methods.
  socket.setNoDelay?.(true);
  // A system that cannot do it would refuse to connect.
  once(socket, () => socket.setKeepAlive?.(true, KEEP_ALIVE_MS));
}

/** Ends a connection whose other end has not been heard of for 15 s, whether or not anything was sent to it. */
export function tend(socket: Socket): void {
  keepAlive(socket);
  once(socket, () => {
    // There is no public way to the descriptor; without it the system's own patience holds.
    const { fd } = (socket as { _handle?: { readonly fd?: number } })._handle ?? {};
    if (typeof fd === 'number' && fd >= 0) native.giveUpAfter(fd, GIVE_UP_MS);
  });
}
