// A crew of fifty whose hands are killed at random for a minute.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Boss, type CrewMemo, Doist, type Hand } from '../lib/index.js';
import { untilGone } from './fixtures/alive.js';

const HANDS = new URL('./fixtures/hands.js', import.meta.url);
const SIZE = 50;
const seconds = Number(process.env['BOSUN_CREW_SECONDS'] ?? 60);
const skip = process.platform === 'win32' && 'Windows has no Unix datagram sockets';

describe('Boss', { skip }, () => {
  test(`keeps ${SIZE} hands alive that are killed for ${seconds} s`, async (t) => {
    const loads = Array.from({ length: SIZE }, (_, i) => ({
      name: `hand${i}`,
      doers: [{ module: HANDS, export: 'Reporter' }],
    }));
    const boss = new Boss({ loads, intensity: { max: 1_000, within: 1_000 } });
    const doist = new Doist({ real: true, doers: [boss] });
    const books = new Map<string, string>();
    boss.on('memo', ({ name, memo }: CrewMemo) => books.set(name, memo.text));
    const pids = new Set<number>();
    boss.on('handRegistered', ({ pid }: Hand) => void pids.add(pid as number));
    let failed = 0;
    boss.on('handExit', ({ restarting }) => {
      if (!restarting) failed += 1;
    });
    const crewed = once(boss as never, 'crewed');
    const over = doist.do();
    await Promise.race([crewed, over]);
    const directory = dirname(boss.path as string);
    const hands = [...boss.crew.values()];
    const killed = new Set<number>();
    const end = performance.now() + seconds * 1_000;
    while (performance.now() < end) {
      const hand = hands[Math.floor(Math.random() * SIZE)] as Hand;
      // One that is being started may be killed too.
      if (hand.pid !== undefined && hand.isAlive && !killed.has(hand.pid)) {
        killed.add(hand.pid);
        process.kill(hand.pid, 'SIGKILL');
      }
      await delay(Math.random() * 600);
    }
    // The last of them may still be on their way down.
    do await delay(200);
    while (!boss.crewed || hands.some(({ state }) => state !== 'registered'));
    assert.equal(failed, 0);
    assert.ok(killed.size > seconds);
    assert.equal(
      hands.reduce((sum, { restarts }) => sum + restarts, 0),
      killed.size,
    );
    // Everybody says once more what is in his book.
    books.clear();
    await Promise.all(hands.map(({ name }) => boss.send(name, 'book')));
    while (books.size < SIZE) await once(boss as never, 'memo');
    const all = [...books].map(([name, text]) => {
      const { book } = JSON.parse(text) as { book: [string, string][] };
      // Each knows all but himself.
      return JSON.stringify([...book, [name, boss.crew.get(name)?.path]].sort());
    });
    assert.equal(new Set(all).size, 1);
    assert.equal((JSON.parse(all[0] as string) as unknown[]).length, SIZE + 1);
    t.diagnostic(`${killed.size} kills, ${pids.size} processes registered`);
    assert.equal(readdirSync(directory).length, SIZE + 1);
    await boss.end();
    await over;
    assert.equal(boss.done, true);
    await untilGone([...pids]);
    assert.equal(existsSync(directory), false);
  });
});
