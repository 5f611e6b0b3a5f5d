// Workers that dial their manager, and dial again when they have lost it.

import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { retryAfter } from '../manager/backoff.js';
import { type Pause, pause } from '../pause.js';
import { encodeJoin, ROLE } from '../wire/first-frame.js';
import { dial, type RemotePoint } from '../worker/remote-place.js';
import { Bridge, type BridgeSettings } from './bridge.js';

export interface JoinSettings extends BridgeSettings {
  readonly at: RemotePoint;
  readonly token: string;
  readonly tls: ConnectionOptions | undefined;
}

/** What becomes of one of them, for people. */
export interface JoinReports {
  /** It has a manager now. */
  joined(): void;
  /** It has none, or lost it; said once for each time, with the reason. */
  missed(reason: string): void;
}

export class Joiner {
  readonly #settings: JoinSettings;
  readonly #reports: JoinReports;
  #bridge: Bridge | undefined;
  /** While it is being connected. */
  #socket: Socket | undefined;
  #isLeaving = false;
  /** Before it dials again. */
  #pause: Pause | undefined;

  constructor(settings: JoinSettings, reports: JoinReports) {
    this.#settings = settings;
    this.#reports = reports;
  }

  /** Ends behind `leave`. */
  async run(): Promise<void> {
    let failures = 0;
    while (!this.#isLeaving) {
      const { hasStarted, reason } = await this.#once();
      if (this.#isLeaving) return;
      if (hasStarted) failures = 0;
      if (failures === 0) this.#reports.missed(reason);
      failures += 1;
      this.#pause = pause(retryAfter(failures));
      await this.#pause.over;
    }
  }

  /** Ends what runs, as `Bridge.leave`. */
  leave(): void {
    this.#isLeaving = true;
    this.#socket?.destroy();
    this.#bridge?.leave();
    this.#pause?.end();
  }

  async #once(): Promise<{ readonly hasStarted: boolean; readonly reason: string }> {
    const { at, token, tls } = this.#settings;
    const socket = dial(at, tls, encodeJoin(ROLE.WORKER, token));
    let failure: Error | undefined;
    socket.once('error', (error) => {
      failure = error;
    });
    this.#socket = socket;
    const connected = await isConnected(socket);
    this.#socket = undefined;
    if (!connected) return { hasStarted: false, reason: failure?.message ?? 'no connection' };
    const bridge = new Bridge(socket, this.#settings);
    this.#bridge = bridge;
    // It may have been asked to leave meanwhile.
    if (this.#isLeaving) bridge.leave();
    const hasStarted = await bridge.started;
    if (hasStarted) this.#reports.joined();
    await bridge.gone;
    this.#bridge = undefined;
    if (hasStarted) return { hasStarted, reason: 'the connection has ended' };
    return { hasStarted, reason: failure?.message ?? 'it hung up: are the token and TLS what it expects?' };
  }
}

function isConnected(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    // Of TLS too: then the other end is not yet known to be the right one, which the next event is for.
    socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => resolve(true));
    socket.once('close', () => resolve(false));
  });
}
