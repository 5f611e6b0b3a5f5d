#!/usr/bin/env node
// @ts-check
// Crawl and process, the job that bosun exists for: a tree of unknown size that the workers themselves unfold, in two
// phases by priority, one reader for all results, live progress, and a way to go on after it was stopped.
//
//   this process                                   worker processes
//   manager.schedule(new Walk(root), 0) ────────▶  Walk     schedules a Walk (0) or a Measure (1) for each entry
//   for await (message of manager.messages()) ◀──  Measure  reads one file and sends what it has found
//
// The workers run tasks.mjs, with measure.mjs and trouble.mjs. The rest runs here: tally.mjs adds up what arrives, for
// report.mjs and table.mjs; state.mjs remembers what is finished; progress.mjs, interrupts.mjs (Ctrl-C) and options.mjs
// are what the terminal is about.

import { ProcessManager } from 'bosun';
import { CommanderError } from 'commander';
import { Interrupts } from './interrupts.mjs';
import { parseOptions } from './options.mjs';
import { Progress } from './progress.mjs';
import { makeReport, writeReport } from './report.mjs';
import { State } from './state.mjs';
import { formatCount, formatReport, printable } from './table.mjs';
import { Tally } from './tally.mjs';
import { SETTINGS, WALK, Walk } from './tasks.mjs';

/** @import { WorkerException } from 'bosun' */
/** @import { Options } from './options.mjs' */
/** @import { Message } from './tasks.mjs' */

/**
 * The crawl itself.
 *
 * @param {Options} options
 * @param {Tally} tally
 * @param {State | undefined} state
 * @returns {Promise<number | undefined>} the exit code, if it was interrupted
 */
async function crawl({ roots, workers, quality, resume, progress }, tally, state) {
  const manager = new ProcessManager({
    workers,
    minWorkers: workers,
    priorityLevels: 2,
    // Runs in each worker before its first task; the environment tells it what was asked for.
    setup: { module: new URL('./tasks.mjs', import.meta.url), export: 'openSession' },
    env: { ...process.env, [SETTINGS]: JSON.stringify({ quality, state: resume }) },
  });
  const interrupts = new Interrupts(manager);
  const bar = progress && process.stderr.isTTY ? new Progress(tally, () => manager.workers.length) : undefined;
  try {
    for (const root of roots) manager.schedule(new Walk(root), WALK);
    // Ends by itself, when the inbox is empty and no task is left, or when the manager is closed.
    for await (const message of manager.messages()) {
      tally.take(/** @type {Message | WorkerException} */ (message), state);
      bar?.update();
    }
  } finally {
    bar?.stop();
    // No worker outlives this. If the loop has run to its end nothing is left that could be cancelled.
    await manager.close('cancel');
    interrupts.end();
  }
  return interrupts.exitCode;
}

/** @param {readonly string[]} argv */
async function main(argv) {
  const options = parseOptions(argv);
  const { roots, quality, workers, out, resume } = options;
  const state = resume === undefined ? undefined : await State.open(resume);
  const startedAt = new Date();
  const started = performance.now();
  const goesOn = state !== undefined && state.size > 0 ? `, ${formatCount(state.size)} files are finished already` : '';
  say(`crawling ${roots.map(printable).join(' ')} with ${workers} ${workers === 1 ? 'worker' : 'workers'}${goesOn}`);

  const tally = new Tally();
  const interrupted = await crawl(options, tally, state);
  state?.close();

  const durationMs = performance.now() - started;
  const report = makeReport(tally, { roots, quality, startedAt, durationMs, interrupted: interrupted !== undefined });
  console.log(formatReport(report));
  if (out !== undefined) {
    await writeReport(out, report);
    say(`everything is in ${out}`);
  }
  if (interrupted !== undefined) {
    say(
      resume === undefined
        ? 'interrupted, and nothing of it was kept: with --resume state.json a run can be stopped and go on'
        : `interrupted: run the same again to go on, ${resume} has what is done`,
    );
  }
  return interrupted ?? (tally.failures > 0 ? 1 : 0);
}

/**
 * Standard output is for the result.
 *
 * @param {string} text
 */
function say(text) {
  console.error(text);
}

try {
  process.exitCode = await main(process.argv);
} catch (error) {
  // Commander has said already what is wrong; its 0 means --help.
  if (!(error instanceof CommanderError)) say(`crawl: ${error instanceof Error ? error.message : error}`);
  process.exitCode = error instanceof CommanderError ? error.exitCode && 2 : 1;
}
