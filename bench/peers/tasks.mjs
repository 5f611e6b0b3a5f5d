// What every contestant runs. No top-level await, so that CommonJS worker scripts can require it.

import { appendFileSync } from 'node:fs';

export function noop(input) {
  return input;
}

/** Work of a fixed size, not of a fixed time: a worker that lost its core has to make up for it. */
export function spin(iterations) {
  let x = 1;
  for (let i = 0; i < iterations; i++) x = (Math.imul(x, 1664525) + 1013904223) ^ (x >>> 15);
  return x;
}

/** The same, and a byte in a file, if there is one, that whoever blocks its event loop can look at. */
export function work({ iterations, file }) {
  spin(iterations);
  if (file !== undefined) appendFileSync(file, '.');
}

/** Keeps a worker busy without taking a core from the others. */
export function block(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** What is moved stays here: its length goes back. */
export function lengthOf(buffer) {
  return buffer.byteLength;
}

/** By name, for those who call them by one. */
export const TASKS = { noop, spin, work, block, lengthOf };
