// The end of a manager: one report, however often and however strictly it is asked for.

import { ClosePolicy, type CloseReport, STRICTNESS, type WorkerExit } from './close.js';

/** What a shutdown does with its manager. */
export interface ShutdownParts {
  readonly grace: number;
  /** Nothing is taken from the owner any more; every message is accepted from now on. */
  begin(): void;
  tasksLeft(): number;
  /** Drops what waits, and what arrives from now on. */
  drop(): void;
  /** Ends open iterators, whatever they have not read. */
  endReaders(): void;
  stopWorkers(policy: ClosePolicy, grace: number): Promise<WorkerExit[]>;
  killWorkers(): void;
  /** Everything has ended: the counts. */
  finish(): Omit<CloseReport, 'policy' | 'workers' | 'durationMs'>;
}

export class Shutdown {
  readonly #parts: ShutdownParts;
  #policy: ClosePolicy | undefined;
  #report: Promise<CloseReport> | undefined;
  #wake: (() => void) | undefined;
  /** JOIN becomes KILL at the earliest time that any call has asked for. */
  readonly #timers: NodeJS.Timeout[] = [];
  #cancelGrace: number | undefined;
  #finished = false;

  constructor(parts: ShutdownParts) {
    this.#parts = parts;
  }

  /** The strictest policy so far; undefined before the first call of `close`. */
  get policy(): ClosePolicy | undefined {
    return this.#policy;
  }

  /** True when work that has not ended is thrown away. */
  get dropping(): boolean {
    return this.#policy !== undefined && this.#policy !== ClosePolicy.JOIN;
  }

  close(policy: ClosePolicy, timeout: number | undefined): Promise<CloseReport> {
    if (this.#finished && this.#report !== undefined) return this.#report;
    if (timeout !== undefined && policy === ClosePolicy.JOIN) {
      this.#timers.push(setTimeout(() => this.#escalate(ClosePolicy.KILL), timeout));
    }
    if (timeout !== undefined && policy === ClosePolicy.CANCEL) this.#cancelGrace ??= timeout;
    const current = this.#policy;
    if (this.#report === undefined) {
      this.#policy = policy;
      this.#report = this.#run();
    } else if (current !== undefined && STRICTNESS.indexOf(policy) > STRICTNESS.indexOf(current)) {
      this.#escalate(policy);
    }
    return this.#report;
  }

  /** To be called when `tasksLeft` may have reached 0. */
  wake(): void {
    this.#wake?.();
  }

  #escalate(policy: ClosePolicy): void {
    this.#policy = policy;
    this.#parts.drop();
    if (policy === ClosePolicy.KILL) this.#parts.killWorkers();
    this.wake();
  }

  async #run(): Promise<CloseReport> {
    const started = performance.now();
    const parts = this.#parts;
    parts.begin();
    if (this.#policy === ClosePolicy.JOIN) await this.#join();
    else parts.drop();
    // JOIN may have become something stricter meanwhile.
    const policy = this.#policy as ClosePolicy;
    if (policy !== ClosePolicy.JOIN) parts.endReaders();
    const workers = await parts.stopWorkers(policy, this.#cancelGrace ?? parts.grace);
    this.#finished = true;
    for (const timer of this.#timers) clearTimeout(timer);
    const counts = parts.finish();
    return { policy: this.#policy as ClosePolicy, ...counts, workers, durationMs: performance.now() - started };
  }

  /** Waits until nothing is left, or a stricter policy is asked for. */
  async #join(): Promise<void> {
    while (this.#policy === ClosePolicy.JOIN && this.#parts.tasksLeft() > 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
