// What both commands have around their work: a manager, the two streams, signals, and one way to end.

import { Console } from 'node:console';
import { mkdirSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ClosePolicy } from '../manager/close.js';
import type { ProcessManagerOptions } from '../manager/options.js';
import { EXIT, type ExitCode, UsageError } from './exit-code.js';
import { complain } from './failure-text.js';
import { failureJson, jsonText } from './json-text.js';
import { locate, splitTarget, usable } from './load.js';
import { aborted, Output } from './output.js';
import { paletteOf } from './paint.js';
import { Progress } from './progress.js';
import { ReadManager } from './read-manager.js';
import { type Summary, summarize, summaryLine, summaryTable } from './summary.js';
import { type Moment, Tally } from './tally.js';

/** Options of every command, as commander names them. */
export interface CommonOptions {
  readonly workers?: number;
  readonly concurrency?: number;
  readonly timeout?: number;
  readonly retries?: number;
  readonly setup?: string;
  readonly logDirectory?: string;
  readonly json?: boolean;
  readonly progress: boolean;
  readonly quiet?: boolean;
}

/** How long running tasks may go on once nobody reads the results. */
const GRACE_UNREAD_MS = 100;

export interface JobOptions {
  readonly common: CommonOptions;
  readonly manager: ProcessManagerOptions;
  readonly summary: 'table' | 'line';
  /** Shows how far things are, if it is to be shown. */
  readonly view: (show: boolean, look: () => Moment) => View;
  /** How the tasks have ended, if the manager does not know of all. */
  readonly counts?: () => Summary['tasks'];
}

/** What the user sees while the command runs. */
export interface View {
  /** True when he has seen it. */
  readonly shown: boolean;
  stop(): void;
}

/** A progress line. @param total how many tasks there will be, if that is known. */
export function progressOf(total: (moment: Moment) => number | undefined): JobOptions['view'] {
  return (show, look) => new Progress(show, look, total);
}

export class Job {
  readonly manager: ReadManager;
  readonly output = new Output();
  readonly #options: JobOptions;
  readonly #tally: Tally;
  readonly #view: View;
  readonly #startedAt = performance.now();
  readonly #stopped = new AbortController();
  /** Aborted by the second Ctrl-C. */
  readonly #killed = new AbortController();
  #code: ExitCode = EXIT.OK;
  #lines = 0;

  /** @throws UsageError for a number out of range and the like. */
  constructor(options: JobOptions) {
    this.#options = options;
    const { common } = options;
    this.manager = usable(() => new ReadManager({ ...options.manager, ...managerOptions(common) }));
    this.#tally = new Tally(this.manager);
    const show = common.progress && common.json !== true && common.quiet !== true;
    this.#view = options.view(show, () => this.#tally.look());
    process.on('SIGINT', () => this.#interrupt(EXIT.INTERRUPTED));
    process.on('SIGTERM', () => this.#interrupt(EXIT.TERMINATED));
    process.on('uncaughtException', (error) => this.#abandon(error));
    this.output.lost.addEventListener('abort', () => this.#onLost());
    // Often the same pipe (2>&1), and nothing else may ever be written.
    process.stderr.on('error', () => this.stop(GRACE_UNREAD_MS));
  }

  /** Prints a value on standard output. Await what it returns, if anything, to keep to the reader's pace. */
  print(value: unknown): Promise<void> | undefined {
    this.#lines += 1;
    return this.output.write(`${jsonText(value)}\n`);
  }

  /** Aborted when the work is to end early. */
  get signal(): AbortSignal {
    return this.#stopped.signal;
  }

  /** True once what is left of the work is cancelled: its failures are our own doing. */
  get stopped(): boolean {
    return this.#stopped.signal.aborted;
  }

  /** A part of the work has failed: the exit code will say so. */
  failed(): void {
    if (this.#code === EXIT.OK) this.#code = EXIT.FAILED;
  }

  /** The same, and tells it on standard error. */
  report(error: unknown): void {
    this.failed();
    if (this.#options.common.json === true) process.stderr.write(`${JSON.stringify({ error: failureJson(error) })}\n`);
    else complain(error);
  }

  /** Ends early: what waits is dropped, what runs is asked to stop and has `timeout` milliseconds for it. */
  stop(timeout?: number, policy: ClosePolicy = ClosePolicy.CANCEL): void {
    void this.manager.close(policy, timeout === undefined ? {} : { timeout });
    this.#stopped.abort();
  }

  /**
   * Does the work, ends the workers, says how it was. Work that was interrupted is left alone, but for what `rest` has to end
   * of it, unless that is interrupted again.
   */
  async end(work: () => Promise<void>, rest?: () => Promise<void>): Promise<ExitCode> {
    const interruption = new Promise<void>((resolve) => {
      this.#stopped.signal.addEventListener('abort', () => resolve());
    });
    try {
      // Workers that cannot be set up end every task; the reason is told once, here.
      await Promise.race([interruption, work(), this.manager.startFailure()]);
      await Promise.race([this.manager.startFailure(), nextTurn()]);
    } catch (error) {
      this.#abandon(error);
    }
    const report = await this.manager.close(ClosePolicy.JOIN);
    await Promise.race([rest?.(), aborted(this.#killed.signal)]);
    await this.output.flush(this.#killed.signal);
    this.#view.stop();
    const { done, failed, cancelled } = this.#options.counts?.() ?? report;
    this.#summarize({ done, failed, cancelled });
    return this.#code;
  }

  /** The first signal asks running tasks to stop, the second kills them, the third does not even wait for that. */
  #interrupt(code: ExitCode): void {
    if (this.#killed.signal.aborted) process.exit(code);
    if (this.#code !== EXIT.INTERRUPTED && this.#code !== EXIT.TERMINATED) {
      this.#code = code;
      // Before it is said: nothing begins any more then.
      this.stop();
      this.#tell('stopping: running tasks are asked to finish; once more kills them');
      return;
    }
    this.#tell('killing them');
    this.#killed.abort();
    void this.manager.close(ClosePolicy.KILL);
  }

  /** What cannot go on: an error that no task is to blame for. */
  #abandon(error: unknown): void {
    if (this.stopped) return;
    if (error instanceof UsageError) this.#code = EXIT.USAGE;
    this.report(error);
    this.stop(0, ClosePolicy.KILL);
  }

  /** Whoever reads our output has seen enough, as `head` has, which is no failure; a full disk is one. */
  #onLost(): void {
    const { reason } = this.output.lost as { reason: NodeJS.ErrnoException };
    if (reason.code !== 'EPIPE' && reason.code !== 'ERR_STREAM_DESTROYED') this.report(reason);
    this.stop(GRACE_UNREAD_MS);
  }

  #tell(text: string): void {
    if (this.#options.common.json === true || this.#options.common.quiet === true) return;
    // The terminal has echoed ^C.
    process.stderr.write(`${process.stderr.isTTY ? '\n' : ''}bosun: ${text}\n`);
  }

  #summarize(tasks: { readonly done: number; readonly failed: number; readonly cancelled: number }): void {
    const { common, summary: form } = this.#options;
    if (common.quiet === true && common.json !== true) return;
    const durationMs = performance.now() - this.#startedAt;
    const known = { exitCode: this.#code, tasks, messages: this.#lines, durationMs };
    const summary = summarize(known, this.#tally.shares);
    const paint = paletteOf(process.stderr);
    if (common.json === true) process.stderr.write(`${JSON.stringify(summary)}\n`);
    else if (form === 'table') process.stderr.write(summaryTable(summary, paint));
    // In a pipeline a command that did its work says nothing.
    else if (this.#view.shown) process.stderr.write(summaryLine(summary, paint));
  }
}

function managerOptions(options: CommonOptions): ProcessManagerOptions {
  const { workers, concurrency, timeout, retries, setup, logDirectory } = options;
  const target = setup === undefined ? undefined : splitTarget(setup);
  if (logDirectory !== undefined) mkdirSync(logDirectory, { recursive: true });
  return {
    // Standard output has a format.
    stdout: 'stderr',
    ...(workers !== undefined && { workers }),
    ...(concurrency !== undefined && { concurrency }),
    ...(timeout !== undefined && { timeout }),
    ...(retries !== undefined && { retry: { max: retries, on: ['lost', 'error', 'timeout'] } }),
    ...(target !== undefined && { setup: { module: locate(target.module), export: target.exportName } }),
    ...(logDirectory !== undefined && { logDirectory }),
  };
}

/** Whatever a module of the user writes by `console` in this process goes to standard error, too. */
export function consoleToStderr(): void {
  Object.assign(console, new Console({ stdout: process.stderr, stderr: process.stderr }));
}
