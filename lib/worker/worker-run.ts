// One run of a Worker: from the start of its process, thread or connection to its end.

import { setImmediate as turn } from 'node:timers/promises';
import { WorkerTerminatedError } from '../errors.js';
import type { EndMessage, StartedMessage } from '../runtime/target-loop.js';
import { within } from '../within.js';
import type { Place } from './place.js';
import { READ_AFTER_EXIT_MS } from './worker-life.js';

/** How a Worker ended. */
export interface WorkerEndDetails {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface RunOwner {
  receive(type: number, value: unknown): void;
  /** Its process has ended before it said that it is there. */
  neverStarted(how: string, cause: Error | undefined): Error;
  over(run: WorkerRun): void;
}

export class WorkerRun {
  readonly place: Place;
  /** Resolves when it has said that it is there; rejects when it cannot be. No unhandled rejection by itself. */
  readonly started: Promise<void>;
  /** Resolves when it is over. */
  readonly whenOver: Promise<void>;
  isOver = false;
  hasStarted = false;
  /** It is told that there is no more input. */
  isClosed = false;
  /** It is asked to stop. */
  isStopped = false;
  /** What a generator yields is taken without end. */
  hasEndlessRoom = false;
  /** Where it says that it is. */
  where: StartedMessage | undefined;
  /** How its target ended, if it could say so. */
  end: Partial<EndMessage> | undefined;
  /** What the target threw, or why there is none. */
  error: Error | undefined;
  /** How its process or thread ended. */
  exit: WorkerEndDetails | undefined;
  /** What it began with, then what the target left. */
  state: unknown;
  readonly #owner: RunOwner;
  #resolveStarted!: () => void;
  #rejectStarted!: (error: Error) => void;
  #lineError: Error | undefined;

  constructor(place: Place, state: unknown, owner: RunOwner) {
    this.place = place;
    this.state = state;
    this.#owner = owner;
    this.started = new Promise((resolve, reject) => {
      this.#resolveStarted = resolve;
      this.#rejectStarted = reject;
    });
    this.started.catch(() => {});
    const ended = new Promise<void>((resolve) => {
      place.line.onEnd = (error) => {
        this.#lineError = error;
        resolve();
      };
    });
    place.line.onMessage = (type, value) => owner.receive(type, value);
    this.whenOver = this.#watch(ended);
  }

  /** It has ended before it could begin with anything: it did not start, or its target could not be loaded. */
  get hasDoneNothing(): boolean {
    return !this.hasStarted || (this.end !== undefined && this.end.sequence === undefined);
  }

  /** True when the target threw, or it was killed and could not say. */
  get hasError(): boolean {
    return this.error !== undefined || this.end === undefined;
  }

  /** @returns whether it is over, within so many milliseconds if there is a limit. */
  overWithin(timeout: number | undefined): Promise<boolean> {
    if (this.isOver) return Promise.resolve(true);
    return timeout === undefined ? this.whenOver.then(() => true) : within(timeout, this.whenOver);
  }

  /** Nothing can begin: it is ended. */
  refuse(error: Error): void {
    this.error = error;
    this.#rejectStarted(error);
    void this.place.life.kill();
  }

  /** It says that it is there. */
  onStarted(message: StartedMessage): void {
    this.where = message;
    this.hasStarted = true;
    this.place.life.markAlive();
    this.#resolveStarted();
  }

  /** It says how its target has ended. */
  onEnd(message: EndMessage): void {
    this.end = message;
    this.state = message.state;
    if (message.error === undefined) return;
    const error = asError(this.place.line.decodeError(message.error));
    this.error = message.terminated ? new WorkerTerminatedError(error.message, { cause: error }) : error;
  }

  async #watch(ended: Promise<void>): Promise<void> {
    const { life, line } = this.place;
    const { exitCode: code, exitSignal: signal } = await life.exited;
    if (!(await within(READ_AFTER_EXIT_MS, ended))) {
      // A thread that had no core meanwhile finds its timers due before it has read what came; the end of a stream is an
      // event one turn behind that.
      await turn();
      await turn();
    }
    line.destroy();
    this.exit = { code, signal };
    this.isOver = true;
    if (!this.hasStarted) {
      this.error ??= this.#owner.neverStarted(signal ?? `exit code ${code}`, this.#lineError ?? life.spawnError);
      this.#rejectStarted(this.error);
    }
    this.#owner.over(this);
  }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown });
}
