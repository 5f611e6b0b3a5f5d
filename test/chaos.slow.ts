// 200 000 tasks of every kind, stopped in every way, while workers are killed, stopped and cut off in the middle of a
// frame. `npm run chaos` does the same for longer.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chaosSeed, runChaos } from './fixtures/chaos.js';

const TASKS = 200_000;

/** Workers die at random only so long: each costs a tenth of a second of a core until another has taken its place. */
const STORM_MS = 5_000;

/** A hang is found much earlier, by `stallMs`. */
const LIMIT = { timeout: 180_000 };

describe('a ProcessManager in a storm', () => {
  test('settles every task once, as its policy allows, and loses nothing', LIMIT, async (t) => {
    const seed = chaosSeed();
    const { wrong, ...figures } = await runChaos({ seed, tasks: TASKS, stormMs: STORM_MS });
    t.diagnostic(`seed ${seed}: ${JSON.stringify(figures)}`);
    assert.deepEqual(wrong.slice(0, 20), [], `${wrong.length} things are wrong; again with BOSUN_CHAOS_SEED=${seed}`);
    assert.ok(figures.killed > 0);
  });
});
