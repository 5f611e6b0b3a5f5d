// Memory that is moved to a worker, 8 in flight: how many a second. What goes back is a number.

import { inFlight, rateOf, warmUp } from '../load.mjs';

const WIDTH = 8;

export async function measure(open, { bytes, ms }) {
  const pool = await open(1);
  await warmUp(pool, 1, 200);
  const call = async () => {
    if ((await pool.move('lengthOf', new ArrayBuffer(bytes))) !== bytes) throw new Error('it is not what was sent');
  };
  const run = (count) => inFlight(count, WIDTH, call);
  const rate = await rateOf(WIDTH, ms / 2, run);
  const count = Math.max(WIDTH, Math.round((rate * ms) / 3_000));
  return { count, perSecond: await rateOf(count, ms, run) };
}
