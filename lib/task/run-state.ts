// The state of something that runs, may be asked to stop, and may rest meanwhile.

import { CancellationError } from '../errors.js';
import { checkKnown, ownOptions } from '../own-options.js';
import { FSM } from './fsm.js';
import type { TransitionExtra, Transitions } from './transitions.js';

/** `STOPPING` from the request to stop until the end. */
export type RunPhase = 'IDLE' | 'RUNNING' | 'PAUSED' | 'STOPPING' | 'STOPPED';
export type RunEvent = 'start' | 'cancel' | 'pause' | 'resume' | 'stop';

/** Options of a RunState. */
export interface RunStateOptions {
  /** Whether transitions are kept; false unless given. */
  readonly history?: boolean;
}

const TRANSITIONS: Transitions<RunPhase, RunEvent> = Object.freeze({
  IDLE: Object.freeze({ start: 'RUNNING', cancel: 'IDLE' }),
  RUNNING: Object.freeze({ cancel: 'STOPPING', pause: 'PAUSED', stop: 'STOPPED' }),
  PAUSED: Object.freeze({ cancel: 'STOPPING', pause: 'PAUSED', resume: 'RUNNING', stop: 'STOPPED' }),
  STOPPING: Object.freeze({ cancel: 'STOPPING', stop: 'STOPPED' }),
  STOPPED: Object.freeze({ start: 'RUNNING', cancel: 'STOPPED' }),
});

/**
 * The state of a run, shared by who owns it and what runs: IDLE, then RUNNING, PAUSED or STOPPING, in the end STOPPED,
 * from where it may be started again. Who runs looks at `signal` and waits at `resumed()`; nobody has to ask again and
 * again.
 *
 * Each method fires the event of its name, and throws an FSMError (ERR_BOSUN_FSM) where that is not allowed.
 *
 * @example
 * async function work(run: RunState) {
 *   run.start();
 *   try {
 *     for (const url of urls) {
 *       await run.resumed();
 *       await fetch(url, { signal: run.signal });
 *     }
 *   } finally {
 *     run.stop();
 *   }
 * }
 */
export class RunState extends FSM<RunPhase, RunEvent> {
  #controller = new AbortController();
  #waiting: { resolve: () => void; reject: (reason: unknown) => void }[] = [];

  /** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) */
  constructor(options?: RunStateOptions) {
    const given = ownOptions(options, 'the options of a RunState');
    checkKnown(given, ['history'], 'a RunState');
    super({ ...given, transitions: TRANSITIONS });
  }

  override get state(): RunPhase {
    return super.state as RunPhase;
  }

  /** Aborted by `cancel`. It stays the same until it was aborted; the start behind that makes a new one. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether it was cancelled since the last start. */
  get cancelled(): boolean {
    return this.signal.aborted;
  }

  /** From IDLE or STOPPED: RUNNING, and not cancelled, whatever came before. */
  start(): void {
    this.fire('start');
  }

  /**
   * Asks what runs to stop: STOPPING from RUNNING or PAUSED, else no other state. Never an error, and the first reason
   * counts.
   *
   * @param reason of the signal; a CancellationError unless given.
   */
  cancel(reason?: unknown): void {
    this.fire('cancel', reason === undefined ? {} : { reason });
  }

  /** From RUNNING: PAUSED. Once more does nothing. */
  pause(): void {
    this.fire('pause');
  }

  /** From PAUSED: RUNNING. */
  resume(): void {
    this.fire('resume');
  }

  /** The run has ended: STOPPED. */
  stop(): void {
    this.fire('stop');
  }

  /**
   * Waits while it is PAUSED; at once when it is not.
   *
   * @throws the signal's reason when it was cancelled, before or meanwhile; a CancellationError (ERR_BOSUN_CANCELLED) when
   * it was stopped meanwhile.
   */
  async resumed(): Promise<void> {
    // It may be paused again before whoever waits comes to know that it was resumed.
    while (this.state === 'PAUSED') {
      await new Promise<void>((resolve, reject) => this.#waiting.push({ resolve, reject }));
    }
    this.signal.throwIfAborted();
  }

  protected override moved(event: RunEvent, extra: TransitionExtra): void {
    // Nobody is called from here but listeners of the signal, and they come last: they may fire.
    if (event === 'start' && this.cancelled) this.#controller = new AbortController();
    if (event === 'resume') for (const { resolve } of this.#waiting.splice(0)) resolve();
    if (event === 'stop') this.#giveUp(new CancellationError('the run was stopped while it was paused'));
    if (event === 'cancel') {
      const reason = extra['reason'] ?? new CancellationError('the run was cancelled');
      this.#giveUp(reason);
      this.#controller.abort(reason);
    }
  }

  #giveUp(reason: unknown): void {
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
  }
}
