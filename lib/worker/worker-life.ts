// The life that every kind of worker has, and the one ladder by which everything stops.

import { EventEmitter } from 'node:events';
import type { ExitDetails } from '../errors.js';
import { within } from '../within.js';

/** What a worker says last is read for at most so long behind its end. */
export const READ_AFTER_EXIT_MS = 200;

/** `closing` from the first request to end it. */
export type WorkerState = 'starting' | 'alive' | 'closing' | 'dead';

/** How a worker ended, and whether it had to be made to. */
export interface WorkerEnd extends ExitDetails {
  /** The signal that the ladder reached; undefined when the worker ended by itself. */
  readonly forced: NodeJS.Signals | undefined;
}

/** The rungs below the polite request: how long each is waited for, in milliseconds. */
export interface LadderOptions {
  /** From the request until SIGTERM. */
  readonly grace: number;
  /** From SIGTERM until SIGKILL; 1 000 unless given. */
  readonly terminate?: number;
}

export interface WorkerLifeEvents {
  exit: [ExitDetails];
  /** It was stopped by a signal, or goes on. */
  suspended: [isSuspended: boolean];
}

/**
 * starting -> alive -> closing -> dead. Emits `exit` once, with how it ended.
 *
 * Who owns one stops it with `stop`: ask (close, or abort what runs), wait, SIGTERM, wait, SIGKILL. Every wait ends at
 * the exit, and no signal is sent after it: the number of a process is used again.
 */
export abstract class WorkerLife extends EventEmitter<WorkerLifeEvents> {
  #state: WorkerState = 'starting';
  #stopping: Promise<WorkerEnd> | undefined;
  #forced: NodeJS.Signals | undefined;
  #resolveExited!: (exit: ExitDetails) => void;
  readonly #exited = new Promise<ExitDetails>((resolve) => {
    this.#resolveExited = resolve;
  });

  get state(): WorkerState {
    return this.#state;
  }

  /** Resolves when the worker is gone; never rejects. */
  get exited(): Promise<ExitDetails> {
    return this.#exited;
  }

  /** The operating system's number of the process, undefined when there is none. */
  abstract readonly pid: number | undefined;

  /** Why the system refused to start it. */
  get spawnError(): Error | undefined {
    return undefined;
  }

  /** What it says of its end besides the exit code, if it can say more. */
  get failure(): string | undefined {
    return undefined;
  }

  /** Delivers a signal to a worker that has not exited. */
  protected abstract signal(name: NodeJS.Signals): void;

  /** To be called when the worker has reported that it is set up. */
  markAlive(): void {
    if (this.#state === 'starting') this.#state = 'alive';
  }

  /** To be called when it was asked to end, and is not waited for here. */
  protected markClosing(): void {
    if (this.#state !== 'dead') this.#state = 'closing';
  }

  /** To be called once, at the exit. */
  protected markDead(exit: ExitDetails): void {
    if (this.#state === 'dead') return;
    this.#state = 'dead';
    this.#resolveExited(exit);
    this.emit('exit', exit);
  }

  /**
   * Asks the worker to end and climbs the ladder until it has.
   *
   * @param ask the polite request; not called when it is dead.
   */
  stop(ask: () => void, { grace, terminate = 1_000 }: LadderOptions): Promise<WorkerEnd> {
    this.#stopping ??= this.#climb(ask, grace, terminate);
    return this.#stopping;
  }

  /** The last rung, at once. */
  kill(): Promise<WorkerEnd> {
    this.#force('SIGKILL');
    return this.#end();
  }

  async #climb(ask: () => void, grace: number, terminate: number): Promise<WorkerEnd> {
    if (this.#state !== 'dead') {
      this.#state = 'closing';
      ask();
      if (!(await within(grace, this.exited))) {
        this.#force('SIGTERM');
        if (!(await within(terminate, this.exited))) this.#force('SIGKILL');
      }
    }
    return this.#end();
  }

  async #end(): Promise<WorkerEnd> {
    return { ...(await this.exited), forced: this.#forced };
  }

  #force(name: NodeJS.Signals): void {
    if (this.#state === 'dead') return;
    this.#state = 'closing';
    this.#forced = name;
    this.signal(name);
  }
}
