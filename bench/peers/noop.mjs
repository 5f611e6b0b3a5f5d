// One no-op task after the other: tasks per second with one worker, every contestant in a fresh process, in turn.
// npm run bench:noop

import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';

const ROUNDS = 5;
const SELF = fileURLToPath(import.meta.url);

/** What a contestant needs: `call` runs one task, `end` stops everything. */
const CONTESTANTS = {
  'bosun, 1 process': async () => {
    const { ProcessManager } = await import('../../dist/lib/index.js');
    const manager = new ProcessManager({ workers: 1 });
    const target = { module: new URL('./noop-task.mjs', import.meta.url), export: 'noop' };
    return { call: (input) => manager.run(target, [input]), end: () => manager.close() };
  },
  'piscina, 1 thread': () => piscina({}),
  'piscina, 1 thread, 16 per worker': () => piscina({ concurrentTasksPerWorker: 16 }),
};

async function piscina(options) {
  const { Piscina, FixedQueue } = await import('piscina');
  const filename = new URL('./noop-task.mjs', import.meta.url).href;
  const pool = new Piscina({ filename, minThreads: 1, maxThreads: 1, taskQueue: new FixedQueue(), ...options });
  return { call: (input) => pool.run(input, { name: 'noop' }), end: () => pool.destroy() };
}

/** Tasks per second: all at once, 64 in flight, one at a time. */
async function measure(name) {
  const { call, end } = await CONTESTANTS[name]();
  const all = async (count) => {
    const calls = [];
    for (let i = 0; i < count; i++) calls.push(call({ i, s: 'x' }));
    await Promise.all(calls);
  };
  const inFlight = async (count, width) => {
    let next = 0;
    const lane = async () => {
      while (next < count) await call({ i: next++, s: 'x' });
    };
    await Promise.all(Array.from({ length: width }, lane));
  };
  const rate = async (count, run) => {
    const started = performance.now();
    await run(count);
    return (count / (performance.now() - started)) * 1000;
  };
  await all(20_000);
  const result = {
    atOnce: await rate(100_000, all),
    window64: await rate(50_000, (count) => inFlight(count, 64)),
    oneByOne: await rate(5_000, (count) => inFlight(count, 1)),
  };
  await end();
  return result;
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

if (process.argv[2] !== undefined) {
  console.log(JSON.stringify(await measure(process.argv[2])));
} else {
  const names = Object.keys(CONTESTANTS);
  const runs = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of names) {
      const output = execFileSync(process.execPath, [SELF, name], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      runs[name].push(JSON.parse(output));
      process.stderr.write('.');
    }
  }
  process.stderr.write('\n');
  console.log(
    `${cpus()[0].model}, ${cpus().length} cores, Node.js ${process.version}; no-op tasks/s, median of ${ROUNDS}\n`,
  );
  console.log('| | all at once | 64 in flight | one at a time |\n| --- | ---: | ---: | ---: |');
  const figure = (value) => Math.round(value).toLocaleString('en');
  for (const name of names) {
    const cell = (key) => figure(median(runs[name].map((run) => run[key])));
    console.log(`| ${name} | ${cell('atOnce')} | ${cell('window64')} | ${cell('oneByOne')} |`);
  }
  const [ours, ...peers] = names;
  for (const peer of peers) {
    // Pair by pair: the machine's speed drifts, a ratio within a round does not.
    const ratio = (key) => median(runs[ours].map((run, i) => run[key] / runs[peer][i][key])).toFixed(1);
    console.log(`| bosun over ${peer} | ${ratio('atOnce')}x | ${ratio('window64')}x | ${ratio('oneByOne')}x |`);
  }
}
