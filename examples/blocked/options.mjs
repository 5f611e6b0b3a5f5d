// @ts-check
// The command line.

import { availableParallelism } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';

/**
 * @typedef {object} Options
 * @property {number} workers
 * @property {number} block milliseconds
 * @property {number} task milliseconds
 * @property {number} tasks how many
 * @property {number} columns
 *
 * @typedef {Pick<Options, 'workers' | 'block' | 'task'> & Partial<Options>} Given
 */

/** Before it blocks, the parent lets its event loop turn for so long, for comparison. */
export const LEAD_MS = 300;

const CORES = availableParallelism();

const EXAMPLES = `
Examples:
  $ node examples/blocked/blocked.mjs
  $ node examples/blocked/blocked.mjs --workers 4 --task 5 --block 5000

Exit codes: 0 finished, 1 a task failed, 2 wrong usage.`;

/**
 * @param {readonly string[]} argv
 * @returns {Options}
 * @throws {import('commander').CommanderError} after it has said why: wrong usage, or only `--help`.
 */
export function parseOptions(argv) {
  const command = new Command('blocked')
    .description('Blocks the event loop of the process that owns the workers, and shows what they do meanwhile.')
    .option('-w, --workers <number>', 'worker processes', whole(1, 64), 2)
    .option('-b, --block <ms>', 'how long the event loop is blocked', whole(100, 60_000), 2_000)
    .option('-t, --task <ms>', 'how long one task computes', whole(1, 1_000), 1)
    .option('-n, --tasks <number>', 'how many there are; as many as this machine can do in that time', whole(1, 1e6))
    .option('-c, --columns <number>', "the width of the output; the terminal's, or 80", whole(12, 10_000))
    .addHelpText('after', EXAMPLES)
    .allowExcessArguments(false)
    .exitOverride();
  command.parse(argv);
  const { workers, block, task, ...rest } = /** @type {Given} */ (command.opts());
  // The parent needs a core as well while it blocks.
  const cores = Math.min(workers, (CORES * workers) / (workers + 1));
  const { tasks = Math.ceil((cores * (LEAD_MS + block)) / task), columns = process.stdout.columns || 80 } = rest;
  return { workers, block, task, tasks, columns };
}

/**
 * @param {number} least
 * @param {number} most
 */
function whole(least, most) {
  return (/** @type {string} */ text) => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It is a whole number from ${least} to ${most}.`);
  };
}
