// Memory for many short Buffers at once: to allocate one by itself costs more than to fill it.

import { builtin } from '../builtin.js';

/** Up to this length Buffers share memory; it stays as long as one of them does. */
export const POOLED_BYTES = 4 * 1024;

const SLAB_BYTES = 32 * 1024;

/** V8 aligns its own; who makes another view of a Buffer's memory may count on it. */
const ALIGNMENT = 8;

let slab = Buffer.alloc(0);
let used = 0;

/** Bytes from `start` to `end` in memory that is never written to again. */
export function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  const length = end - start;
  if (length > POOLED_BYTES) return Buffer.from(bytes.subarray(start, end));
  if (used + length > slab.length) {
    slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    // Who transfers one Buffer's memory to another thread would take that of others along.
    builtin('node:worker_threads').markAsUntransferable(slab.buffer);
    used = 0;
  }
  const copy = slab.subarray(used, used + length);
  bytes.copy(slab, used, start, end);
  used = (used + length + ALIGNMENT - 1) & -ALIGNMENT;
  return copy;
}
