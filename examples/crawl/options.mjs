// @ts-check
// The command line.

import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';

/**
 * @typedef {object} Options
 * @property {string[]} roots absolute, without links, none inside another
 * @property {number} workers
 * @property {number} quality
 * @property {string} [out] absolute
 * @property {string} [resume] absolute
 * @property {boolean} progress
 */

const OUR_MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url));

const EXAMPLES = `
Examples:
  $ npm run demo
  $ npm run demo -- ~/photos --out report.json
  $ npm run demo -- ~/photos --resume state.json     stop it with Ctrl-C, then run the same again

Exit codes: 0 finished (what could not be read is in the report), 1 a task failed or a file could not be written,
2 wrong usage, 130 interrupted. The first Ctrl-C lets the workers put down what they do, the second one kills them.`;

/**
 * @param {readonly string[]} argv
 * @returns {Options}
 * @throws {import('commander').CommanderError} after it has said why: wrong usage, or only `--help`.
 */
export function parseOptions(argv) {
  const command = new Command('crawl')
    .description('Hashes every file below some directories and measures how well it compresses, on all cores.')
    .argument('[directories...]', "where to begin; bosun's own node_modules unless given")
    .option('-w, --workers <number>', 'worker processes', whole(1, 1024), availableParallelism())
    .option('-q, --quality <number>', 'of brotli, 0 (fast) to 11 (very slow)', whole(0, 11), 6)
    .option('-o, --out <file>', 'write everything to a JSON file')
    .option('-r, --resume <file>', 'skip what this file says is finished, and add to it; made when it is missing')
    .option('--no-progress', 'no progress line, not even on a terminal')
    .addHelpText('after', EXAMPLES)
    .exitOverride();
  command.parse(argv);
  const { out, resume, ...options } = /** @type {Options} */ (command.opts());
  try {
    for (const file of [out, resume]) if (file !== undefined) accessSync(dirname(resolve(file)), constants.W_OK);
    return {
      ...options,
      ...(out !== undefined && { out: resolve(out) }),
      ...(resume !== undefined && { resume: resolve(resume) }),
      roots: rootsOf(command.args.length === 0 ? [OUR_MODULES] : command.args),
    };
  } catch (error) {
    return command.error(`error: ${/** @type {Error} */ (error).message}`, { exitCode: 2 });
  }
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

/**
 * Only here links are followed. Of a directory and one inside it the outer one is enough: each file is measured once.
 *
 * @param {readonly string[]} directories
 */
function rootsOf(directories) {
  const roots = [...new Set(directories.map((directory) => realpathSync(directory)))];
  for (const root of roots) if (!statSync(root).isDirectory()) throw new Error(`${root} is not a directory`);
  const inside = (/** @type {string} */ outer) => (outer.endsWith(sep) ? outer : outer + sep);
  return roots.filter((root) => !roots.some((other) => other !== root && root.startsWith(inside(other))));
}
