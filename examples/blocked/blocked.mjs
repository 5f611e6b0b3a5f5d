#!/usr/bin/env node
// @ts-check
// The blocked parent: what becomes of workers whose owner does not let its event loop turn? Here the owner counts to
// nowhere for two seconds, as a long JSON.parse, a synchronous read or a hot loop would. Nothing of this process's
// JavaScript can hand out a task meanwhile; the workers go on all the same.
//
//   this process                      worker processes
//   manager.run(compute) x thousands  compute, compute, compute ...
//   while (now() < end);              compute, compute, compute ...
//   results, timeline ◀─────────────  each says when it began and ended

import { availableParallelism } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { withManager } from 'bosun';
import { CommanderError } from 'commander';
import { LEAD_MS, parseOptions } from './options.mjs';
import { now } from './tasks.mjs';
import { COLUMN_MS, timeline, wrap } from './timeline.mjs';

/** @import { Options } from './options.mjs' */
/** @import { Run } from './tasks.mjs' */
/** @import { Span } from './timeline.mjs' */

/**
 * @param {Options} options
 * @returns {Promise<{ runs: Run[], blocked: Span }>}
 */
function demonstrate({ workers, tasks, task, block }) {
  return withManager({ workers, minWorkers: workers }, async (manager) => {
    await manager.ready();
    const compute = { module: new URL('./tasks.mjs', import.meta.url), export: 'compute' };
    const results = Array.from({ length: tasks }, () => /** @type {Promise<Run>} */ (manager.run(compute, [task])));
    await delay(LEAD_MS);

    const from = now();
    let to = from;
    while (to < from + block) to = now();

    return { runs: await Promise.all(results), blocked: { from, to } };
  });
}

/**
 * @param {Options} options
 * @param {readonly Run[]} runs
 * @param {Span} blocked
 */
function report({ workers, task, columns }, runs, blocked) {
  const { dim, red, green } = palette();
  const numbers = Array.from({ length: workers }, (_, i) => i + 1);
  const rows = [
    { label: 'parent', spans: [blocked], paint: red },
    ...numbers.map((n) => ({ label: `worker ${n}`, spans: runs.filter(({ worker }) => worker === n), paint: green })),
  ];
  const origin = blocked.from - LEAD_MS;
  const end = runs.reduce((last, { to }) => Math.max(last, to), blocked.to);
  const finished = runs.filter(({ to }) => to <= blocked.to).length;
  const share = ((finished / runs.length) * 100).toFixed(1);
  const cores = availableParallelism();
  const crowd = cores > workers ? '' : ` ${workers + 1} busy processes had ${cores} ${cores === 1 ? 'core' : 'cores'}.`;
  return [
    ...timeline(rows, origin, end, columns, dim),
    '',
    ...wrap(
      `One column is ${COLUMN_MS} ms. Parent: how much of it the event loop was blocked. Workers: how much of it they ` +
        `spent in tasks of ${task} ms.${crowd}`,
      columns,
    ).map(dim),
    '',
    ...wrap(
      `${count(finished)} of ${count(runs.length)} tasks (${share} %) were finished when the loop came back`,
      columns,
    ),
  ].join('\n');
}

/** @param {number} number */
function count(number) {
  return number.toLocaleString('en');
}

/** Colour on a terminal that has it; NO_COLOR, FORCE_COLOR and TERM=dumb decide as in Node.js itself. */
function palette() {
  const { stdout } = process;
  const coloured = stdout.isTTY && stdout.hasColors();
  const sgr = (/** @type {number} */ on, /** @type {number} */ off) => (/** @type {string} */ text) =>
    coloured && text !== '' ? `\u001b[${on}m${text}\u001b[${off}m` : text;
  return { dim: sgr(2, 22), red: sgr(31, 39), green: sgr(32, 39) };
}

/** @param {readonly string[]} argv */
async function main(argv) {
  const options = parseOptions(argv);
  const { workers, tasks, task, block, columns } = options;
  const who = `${workers} ${workers === 1 ? 'worker' : 'workers'}`;
  const what = `${count(tasks)} ${tasks === 1 ? 'task' : 'tasks'} of ${task} ms`;
  // Said before anything is blocked; afterwards it would be too late.
  console.log(`${wrap(`${who}, ${what}; the parent is blocked for ${block / 1_000} s`, columns).join('\n')}\n`);
  const { runs, blocked } = await demonstrate(options);
  console.log(report(options, runs, blocked));
}

try {
  await main(process.argv);
} catch (error) {
  // Commander has said already what is wrong; its 0 means --help.
  if (!(error instanceof CommanderError)) console.error(`blocked: ${error instanceof Error ? error.message : error}`);
  process.exitCode = error instanceof CommanderError ? error.exitCode && 2 : 1;
}
