// The native priority queue alone, filled and emptied from JavaScript: nanoseconds for a push and a pop, each of which
// is a call into the addon.

import { native } from '../../../dist/lib/internals.js';
import { median } from '../statistics.mjs';

const LEVELS = 2;
const TOTAL = 3_000_000;

export async function measure(_open, { counts }) {
  const queue = native.queueOpen(LEVELS);
  const nsEach = (count) => {
    const started = performance.now();
    for (let i = 0; i < count; i++) native.queuePush(queue, i & 1, i);
    for (let i = 0; i < count; i++) native.queuePop(queue);
    return ((performance.now() - started) * 1e6) / count;
  };
  nsEach(TOTAL / 10);
  const values = {};
  for (const count of counts) {
    values[`ns${count}`] = median(Array.from({ length: Math.max(3, TOTAL / 3 / count) }, () => nsEach(count)));
  }
  native.queueClose(queue);
  return values;
}
