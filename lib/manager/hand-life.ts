// The life of a crew's hand, as its manager sees it: others start the process, supervise it and see it end.

import type { ExitDetails } from '../errors.js';
import { WorkerLife } from '../worker/worker-life.js';

/** The process of a hand, by those who have started it. */
export interface HandProcess {
  readonly pid: number | undefined;
  /** Resolves when it has ended; never rejects. */
  readonly exited: Promise<ExitDetails>;
  /** Sends a signal to it, and to what it has started. */
  signal(name: NodeJS.Signals): void;
}

/** It ends with the connection when that was wanted, for the process goes on; else with the process. */
export class HandLife extends WorkerLife {
  #process: HandProcess | undefined;
  #isConnected = true;
  /** Ends the connection, if no task runs there. */
  #spare: (() => boolean) | undefined;

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** The process runs. */
  started(process: HandProcess): void {
    this.#process = process;
    void process.exited.then((exit) => this.markDead(exit));
  }

  /** It is to get nothing more, and may end its connection. */
  leave(): void {
    this.markClosing();
  }

  /** From now on nobody is forced for whom `hangUp` returns true: it has ended the connection instead. */
  spare(hangUp: () => boolean): void {
    this.#spare = hangUp;
  }

  /** The connection has ended. @param hasLost how it ends is wanted, for a task that ran there. */
  disconnected(hasLost: boolean): void {
    this.#isConnected = false;
    const isWanted = hasLost || this.state !== 'closing';
    if (!isWanted || this.#process === undefined) this.markDead({ exitCode: null, exitSignal: null });
  }

  protected override signal(name: NodeJS.Signals): void {
    if (this.#isConnected && this.#spare?.() === true) return;
    this.#process?.signal(name);
  }
}
