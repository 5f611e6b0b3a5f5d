// Tasks that cut their work in pieces, have other workers do those, and wait for the results.

import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { currentContext } from 'bosun';

const ctx = () => /** @type {import('bosun').TaskContext} */ (currentContext());

/** Below this a piece is not worth the way to another worker. */
const LEAF = 2_000;

/** @param {string} name */
const here = (name) => ({ module: import.meta.url, export: name });

/**
 * Merge sort.
 *
 * @param {number[]} numbers
 * @returns {Promise<number[]>}
 */
export async function sort(numbers) {
  if (numbers.length <= LEAF) return numbers.sort((a, b) => a - b);
  const { manager } = ctx();
  const middle = numbers.length >> 1;
  /** @param {number[]} half @returns {Promise<number[]>} */
  const elsewhere = (half) => manager.run(here('sort'), [half]);
  const [left, right] = await Promise.all([elsewhere(numbers.slice(0, middle)), elsewhere(numbers.slice(middle))]);
  return merge(left, right);
}

/**
 * @param {number[]} left
 * @param {number[]} right
 */
function merge(left, right) {
  const merged = [];
  let rest = 0;
  for (const number of left) {
    while (rest < right.length && Number(right[rest]) < number) merged.push(Number(right[rest++]));
    merged.push(number);
  }
  return merged.concat(right.slice(rest));
}

/**
 * The bytes of all files below a folder; each folder is a task.
 *
 * @param {string} folder
 * @returns {Promise<number>}
 */
export async function sizeOf(folder) {
  const { manager } = ctx();
  const entries = await readdir(folder, { withFileTypes: true });
  const sizes = await Promise.all(
    entries.map(async (entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return manager.run(here('sizeOf'), [path]);
      return entry.isFile() ? (await stat(path)).size : 0;
    }),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
