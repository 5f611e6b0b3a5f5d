// How long a round trip between two processes takes: memos by name, child_process through the parent, datagrams in C.
// node bench/crew/run.mjs [--rounds n] [--count n]

import { execFileSync, fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Boss, Doist } from '../../dist/lib/index.js';

const { values } = parseArgs({ options: { rounds: { type: 'string' }, count: { type: 'string' } } });
const rounds = Number(values.rounds ?? 5);
const count = Number(values.count ?? 1_000);

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'bosun-bench-'));
const program = join(folder, 'ping_pong');
execFileSync('cc', ['-O2', '-o', program, here('ping_pong.c')]);

/** The median, in microseconds. */
const middle = (times) => times.toSorted((a, b) => a - b)[times.length >> 1] / 1_000;

async function memos() {
  const player = { module: here('hands.mjs'), export: 'Player' };
  const doers = [{ module: 'bosun', export: 'Crewer' }, player];
  const boss = new Boss({ loads: ['one', 'other'].map((name) => ({ name, doers })) });
  const over = new Doist({ real: true, doers: [boss] }).do();
  await once(boss, 'crewed');
  await boss.send('one', `ask ${count}`);
  const [{ memo }] = await once(boss, 'memo');
  await boss.end();
  await over;
  return middle(JSON.parse(memo.text));
}

async function children() {
  const both = { one: fork(here('child.mjs')), other: fork(here('child.mjs')) };
  const times = new Promise((resolve) => {
    for (const child of Object.values(both)) {
      child.on('message', (message) => {
        if (message.times) resolve(message.times);
        else both[message.to].send({ what: message.what });
      });
    }
  });
  both.one.send({ what: 'ask', count });
  const all = await times;
  for (const child of Object.values(both)) child.disconnect();
  return middle(all);
}

function datagrams() {
  const place = mkdtempSync(join(folder, 'c-'));
  const { stdout } = spawnSync(program, [place, String(count)], { encoding: 'utf8' });
  return middle(stdout.trim().split('\n').map(Number));
}

const contestants = { 'memos by name': memos, 'child_process by the parent': children, 'datagrams in C': datagrams };
const found = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]));
for (let i = 0; i < rounds; i++) {
  for (const [name, run] of Object.entries(contestants)) found[name].push(await run());
}
rmSync(folder, { recursive: true });
console.log(
  `${cpus()[0]?.model}, ${availableParallelism()} cores, Node.js ${process.version}; p50 of ${count} round trips, ${rounds} rounds`,
);
for (const [name, times] of Object.entries(found)) {
  const sorted = times.toSorted((a, b) => a - b);
  const [low, mid, high] = [sorted[0], sorted[rounds >> 1], sorted.at(-1)].map((time) => time.toFixed(1));
  console.log(`${name.padEnd(28)} ${mid} us (${low} to ${high})`);
}
