// Buffers there and back, 8 in flight: megabytes a second in each direction.

import { inFlight, rateOf, warmUp } from '../load.mjs';

const WIDTH = 8;

export async function measure(open, { bytes, ms }) {
  const pool = await open(1);
  await warmUp(pool, 1, 200);
  const buffer = Buffer.alloc(bytes, 'x');
  const call = async () => {
    const result = await pool.call('noop', buffer);
    if (!(result instanceof Uint8Array) || result.byteLength !== bytes) throw new Error('it is not what was sent');
  };
  const run = (count) => inFlight(count, WIDTH, call);
  const rate = await rateOf(WIDTH, ms / 2, run);
  const count = Math.max(WIDTH, Math.round((rate * ms) / 3_000));
  const perSecond = await rateOf(count, ms, run);
  return { count, mbPerSecond: (perSecond * bytes) / 1e6, perSecond };
}
