// A server in a process of its own.

import { type ExitDetails, WorkerStartError } from '../errors.js';
import { newToken } from '../manager/listen-options.js';
import { ownOptions } from '../own-options.js';
import { SAY, StreamLine } from '../wire/line.js';
import { openProcess } from '../worker/place.js';
import type { WorkerLife } from '../worker/worker-life.js';
import type { RemoteServerOptions, ServerAddress } from './remote-server.js';

/** What the process says when it listens, or why it does not. */
export type ServerReport = { readonly address: ServerAddress; readonly token: string } | { readonly error: Uint8Array };

/** A RemoteServer that lives in a process, or on another host, and ends with this one. */
export class RemoteServerProcess<Address = ServerAddress> implements AsyncDisposable {
  /** What a RemoteWorker takes as its `host`. */
  readonly address: Address;
  readonly token: string;
  readonly #life: WorkerLife;
  readonly #ask: () => void;

  /** @internal */
  constructor(life: WorkerLife, ask: () => void, { address, token }: { address: Address; token: string }) {
    this.#life = life;
    this.#ask = ask;
    this.address = address;
    this.token = token;
  }

  /** Of the process here: the server's own, or that of ssh. */
  get pid(): number | undefined {
    return this.#life.pid;
  }

  /** Resolves when it is gone. */
  get exited(): Promise<ExitDetails> {
    return this.#life.exited;
  }

  isAlive(): boolean {
    return this.#life.state !== 'dead';
  }

  /**
   * Ends it, and the workers that it has.
   *
   * @param options.timeout milliseconds until it is made to; 10 000 unless given.
   */
  async terminate(options: { readonly timeout?: number } = {}): Promise<void> {
    const { timeout = 10_000 } = ownOptions(options, 'the options of terminate');
    await this.#life.stop(this.#ask, { grace: timeout });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.terminate();
  }
}

/**
 * Starts a RemoteServer in a process; on a free port unless one is given.
 *
 * @throws what the RemoteServer would throw.
 */
export async function spawnServer(options: RemoteServerOptions = {}): Promise<RemoteServerProcess> {
  const { life, socket } = openProcess({ main: 'remote/main' });
  const line = new StreamLine(socket);
  const report = new Promise<ServerReport | undefined>((resolve) => {
    line.onMessage = (_type, value) => resolve(value as ServerReport);
    line.onEnd = () => resolve(undefined);
  });
  life.ref();
  try {
    // Known here, so it need not be left in a file.
    line.send(SAY.START, { token: newToken(), ...ownOptions(options, 'the options of a RemoteServer') });
  } catch (error) {
    void life.kill();
    throw error;
  }
  const said = await report;
  if (said !== undefined && 'address' in said) return new RemoteServerProcess(life, () => line.send(SAY.STOP), said);
  const { exitCode, exitSignal } = await life.kill();
  if (said !== undefined) throw line.decodeError(said.error);
  throw new WorkerStartError(`the server ended with ${exitSignal ?? `exit code ${exitCode}`}`);
}
