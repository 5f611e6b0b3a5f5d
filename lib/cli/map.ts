// bosun map <module>[#export] [inputs...]

import { fstatSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { WorkerStartError } from '../errors.js';
import { type ExitCode, UsageError } from './exit-code.js';
import { failureText, oneLine, say, shortFailure } from './failure-text.js';
import { type Failure, Flight } from './flight.js';
import { type CommonOptions, consoleToStderr, Job, progressOf } from './job.js';
import { failureJson } from './json-text.js';
import { Lines } from './lines.js';
import { loadFunction, splitTarget } from './load.js';
import { paletteOf } from './paint.js';

export interface MapOptions extends CommonOptions {
  readonly keepGoing?: boolean;
  readonly unordered?: boolean;
  readonly fromJson?: boolean;
  readonly window?: number;
}

/** Enough that quick calls travel together, and that a slow one rarely holds up the others. */
const WINDOW_PER_WORKER = 128;

/** Applies an exported function to every input, and prints the results. @throws UsageError */
export async function map(target: string, given: readonly string[], options: MapOptions): Promise<ExitCode> {
  consoleToStderr();
  const { module, exportName } = splitTarget(target);
  const loaded = await loadFunction(module, exportName);
  // More workers than inputs would be started for nothing.
  const most = given.length > 0 ? given.length : Number.POSITIVE_INFINITY;
  const workers = Math.min(options.workers ?? 2 * availableParallelism(), most);
  const window = options.window ?? WINDOW_PER_WORKER * workers;
  if (options.window === 0) throw new UsageError('--window is at least 1');
  const lines = given.length === 0 ? new Lines(process.stdin) : undefined;
  if (lines !== undefined && process.stdin.isTTY && options.quiet !== true) say('reading lines; Ctrl-D ends them');
  const job = new Job({
    common: { ...options, workers },
    manager: { messages: 'discard' },
    summary: 'line',
    view: progressOf(() => (lines === undefined ? given.length : estimate(lines))),
  });
  const address = `${loaded.module}#${encodeURIComponent(loaded.exportName)}`;
  const flight = new Flight({
    inputs: lines ?? [given],
    call: async (input) => job.manager.run(address, [options.fromJson === true ? JSON.parse(input) : input]),
    window,
    ordered: options.unordered !== true,
    stopAtFailure: options.keepGoing !== true,
  });
  return job.end(async () => {
    for await (const batch of flight) {
      for (const outcome of batch) {
        if (job.stopped) return;
        if ('error' in outcome) {
          if (outcome.error instanceof WorkerStartError) throw outcome.error;
          await showFailure(job, outcome, options);
          if (options.keepGoing !== true) return job.stop();
        } else {
          await job.print(options.json === true ? { ...outcome, value: outcome.value ?? null } : outcome.value);
        }
      }
    }
  });
}

/** On standard output with `--json`, so that lines and inputs match; on one line when there may be many. */
function showFailure(job: Job, outcome: Failure, { json, keepGoing }: MapOptions): Promise<void> | undefined {
  job.failed();
  if (json === true) return job.print({ ...outcome, error: failureJson(outcome.error) });
  const input = `input ${outcome.index + 1} ${JSON.stringify(oneLine(outcome.input, 60))}`;
  const text = keepGoing === true ? shortFailure(outcome.error) : failureText(outcome.error, paletteOf(process.stderr));
  say(`${input}: ${text}`);
  return undefined;
}

/** How many lines a file will have had; unknown for a pipe that is still open. */
function estimate(lines: Lines): number | undefined {
  if (lines.ended) return lines.count;
  if (lines.bytes === 0) return undefined;
  const file = fstatSync(process.stdin.fd);
  return file.isFile() ? Math.round((lines.count * file.size) / lines.bytes) : undefined;
}
