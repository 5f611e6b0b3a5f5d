// @ts-check
// What the workers run.

import { currentContext } from 'bosun';

/**
 * One run of a task.
 *
 * @typedef {object} Run
 * @property {number} worker
 * @property {number} from see `now`
 * @property {number} to
 */

/** Milliseconds on a clock that all processes of this machine share, which `performance.now()` is not. */
export function now() {
  return Number(process.hrtime.bigint()) / 1e6;
}

/**
 * Keeps a core busy.
 *
 * @param {number} ms
 * @returns {Run}
 */
export function compute(ms) {
  const from = now();
  let to = from;
  while (to < from + ms) to = now();
  return { worker: currentContext()?.worker ?? 0, from, to };
}
