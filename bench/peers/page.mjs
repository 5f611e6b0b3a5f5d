// docs/benchmarks.md and its charts, from a results file. Nothing on that page is written by hand.
//
// npm run bench:page -- [results file]

import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { judge, margin } from './bars.mjs';
import { margins } from './charts.mjs';
import { barOf, figure, shortfall, titleOf, valueOf } from './check.mjs';
import { CONTESTANTS } from './contestants.mjs';
import { Figures } from './figures.mjs';
import { contestantsOf, partsOf, table, title } from './page-parts.mjs';
import { GROWTH } from './plan.mjs';
import { read } from './results.mjs';

const DOCS = fileURLToPath(new URL('../../docs', import.meta.url));
const FOLDER = 'benchmarks';

const KINDS_OF = { ours: 'bosun', threads: 'pool of threads', processes: 'pool of processes', raw: 'transport alone' };

const { path, results } = read(process.argv[2]);
const figures = new Figures(results);
const workerCount = (count) => `${count} ${count === 1 ? 'worker' : 'workers'}`;
const size = (bytes) =>
  bytes >= 2 ** 20 ? `${bytes / 2 ** 20} MiB` : bytes >= 1024 ? `${bytes / 1024} KiB` : `${bytes} B`;
const { svgs, chart, cell, scenarioTable, scenarioBars, growthLines, growthTable } = partsOf(figures, FOLDER);

function barsSection() {
  const verdicts = judge(results);
  const count = (state) => verdicts.filter((verdict) => verdict.state === state).length;
  const picture = chart(
    'bars',
    'Each figure over its bar',
    margins({
      title: 'What bosun promises, and how far it is from it',
      note: '1x is the bar, to the right is better than that',
      rows: verdicts.map((verdict) => ({
        label: verdict.bar.label,
        text: verdict.state === 'not available' ? 'not available' : `${valueOf(verdict)} (${barOf(verdict.bar)})`,
        margin: verdict.state === 'not available' ? undefined : margin(verdict),
        met: verdict.state === 'met',
      })),
    }),
  );
  const rows = verdicts.map((verdict) => {
    const { bar, state, low, high, detail, reason } = verdict;
    if (state === 'not available') return [bar.what, barOf(bar), '', '', `not available: ${escape(reason)}`];
    const rounds = low === high ? '' : `${figure(low)} to ${figure(high)}`;
    const against = detail === undefined ? '' : titleOf(detail);
    const outcome = state === 'met' ? 'met' : `**missed**: ${shortfall(verdict)}`;
    return [bar.what, barOf(bar), valueOf(verdict), [rounds, against].filter(Boolean).join('; '), outcome];
  });
  return [
    '## The bars',
    '',
    `${count('met')} are met, ${count('missed')} are missed, ${count('not available')} are not available. ` +
      '`npm run bench:check` fails as long as that is not all of them.',
    '',
    picture,
    '',
    table(['figure', 'bar', 'measured', 'rounds; against', ''], rows, 2),
  ];
}

const escape = (text) => text.replaceAll('|', '\\|');

function failures() {
  const seen = new Map();
  for (const { scenario, contestant, failed } of results.runs) {
    if (failed === undefined) continue;
    const key = `${contestant}, ${scenario}: ${escape(failed.split('\n')[0])}`;
    seen.set(key, (seen.get(key) ?? 0) + 1);
  }
  if (seen.size === 0) return ['No run failed.'];
  return [...seen].map(([text, times]) => `- ${text} (${times} of ${results.rounds} rounds)`);
}

const { commit, date, processor, cores, memoryGiB, system, node, load, rounds, versions, minutes } = results;

const page = [
  '# Benchmarks',
  '',
  `bosun beside other pools, ${date.slice(0, 10)}: commit ${commit}, ${processor}, ${cores} cores, ${memoryGiB} GiB, ${system}, Node.js ${node}.`,
  `This page and its charts are generated from [${basename(path)}](../bench/results/${basename(path)}) in \`bench/results\`.`,
  '',
  '```sh',
  'npm run bench:peers   # measures',
  'npm run bench:check   # fails if a figure is not what it has to be',
  'npm run bench:page    # writes this page',
  '```',
  '',
  '## How it is measured',
  '',
  '- Every run is a process of its own: one contestant, one scenario. In each round all contestants of a scenario follow one',
  `  another, in a fixed order; nothing else is to run meanwhile. Rounds: ${rounds}; they took ${minutes} minutes. The load of the`,
  `  machine in the minute before was ${load ?? 'not recorded'}.`,
  '- A figure is the median of the rounds, with the lowest and the highest in parentheses. A ratio is the median of the',
  '  ratios of the rounds: the speed of a machine drifts, what two contestants do in the same minute hardly does.',
  '- "The best peer" is the one with the best median, whichever pool, kind of worker and configuration that is.',
  '- Everybody is warm before the clock starts, except for the start itself. Peers that do less than 40,000 no-op tasks a second get',
  '  fewer of them than the others, which costs them nothing: it is rates that are compared.',
  '- What a task does is the same code for all, in [tasks.mjs](../bench/peers/tasks.mjs). Work is a number of iterations, set',
  '  in each round by two processes at a time, not a time to wait for.',
  '- A run that fails or takes too long is listed at the end of this page.',
  '',
  `Versions: ${Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ')}.`,
  '',
  table(
    ['contestant', 'what it is', 'what is not its default'],
    Object.values(CONTESTANTS).map(({ title: name, kind, options }) => [name, KINDS_OF[kind], configuration(options)]),
    0,
  ),
  '',
  "Pools of processes are given `serialization: 'advanced'` in the Buffer scenarios where they take it, since JSON gives back something",
  'else than a Buffer. The raw contestants have no queue, no priorities, no cancelling and no care for a worker that dies: they are what',
  'the transport allows. The Unix socket has binary frames with a length in front, all that is sent in one turn in one write.',
  '',
  ...barsSection(),
  '',
  '## No-op tasks a second',
  '',
  ...[1, 2].flatMap((workers) => [
    scenarioBars(`noop-${workers}`, `No-op tasks a second, ${workerCount(workers)}`, {
      heading: `No-op tasks a second, ${workerCount(workers)}`,
      note: 'median and spread of the rounds; longer is better',
      scenario: `noop-${workers}`,
      panels: [
        ['submitted at once', 'atOnce'],
        ['64 in flight', 'window64'],
      ],
    }),
    '',
    scenarioTable(`noop-${workers}`, [
      [`${workerCount(workers)}, at once`, 'atOnce'],
      ['64 in flight', 'window64'],
      ["parent's CPU µs per task, threads included", 'cpuUsPerTask'],
      ['tasks', 'count'],
    ]),
    '',
  ]),
  '## One task at a time',
  '',
  scenarioBars('latency', 'Latency of one task at a time', {
    heading: 'One task at a time, microseconds',
    note: 'median and spread of the rounds; shorter is better',
    scenario: 'latency',
    panels: [
      ['p50', 'p50'],
      ['p99', 'p99'],
    ],
    better: Math.min,
  }),
  '',
  scenarioTable(
    'latency',
    [
      ['p50, µs', 'p50'],
      ['p90', 'p90'],
      ['p99', 'p99'],
    ],
    Math.min,
  ),
  '',
  'Both ends pinned to one core, where a wake-up of the other side needs no other core:',
  '',
  scenarioTable(
    'latency-pinned',
    [
      ['p50, µs', 'p50'],
      ['p90', 'p90'],
      ['p99', 'p99'],
    ],
    Math.min,
  ),
  '',
  '## Short tasks',
  '',
  'Tasks of 0.1 ms on 2 workers: the time that two idle cores would need over the time that it took; 1 is perfect.',
  '',
  scenarioBars('efficiency', 'Efficiency with tasks of 0.1 ms', {
    heading: 'Tasks of 0.1 ms on 2 workers, ideal over actual time',
    note: 'median and spread of the rounds; longer is better',
    scenario: 'efficiency',
    panels: [['efficiency', 'efficiency']],
  }),
  '',
  scenarioTable('efficiency', [['efficiency', 'efficiency']]),
  '',
  '## While the event loop is blocked',
  '',
  '1,000 tasks of 1 ms are queued, then the parent computes for 2 s: the share of the tasks that is done when it stops.',
  '',
  scenarioTable('blocked', [['share done', 'share']]),
  '',
  '## Buffers',
  '',
  growthLines('echo', 'Buffer echo by size', {
    title: 'Buffers there and back, 8 in flight, MB/s in each direction',
    note: '1 worker; median of the rounds',
    x: 'size of the Buffer',
    y: 'MB/s',
    format: size,
    scenarios: GROWTH.payload.map((bytes) => [bytes, `echo-${bytes}`]),
    key: 'mbPerSecond',
  }),
  '',
  growthTable(
    'MB/s',
    GROWTH.payload.map((bytes) => [bytes, `echo-${bytes}`]),
    'mbPerSecond',
    size,
  ),
  '',
  '## Growth',
  '',
  growthLines('queued', 'Time for each task by the number that are queued', {
    title: 'Time for each of n tasks submitted at once, less that of n bare promises',
    note: '1 worker; median of the rounds; a flat line is a queue that does not mind',
    x: 'tasks queued',
    y: 'µs per task',
    scenarios: GROWTH.queued.map((count) => [count, `queued-${count}`]),
    key: 'netUs',
  }),
  '',
  growthTable(
    'µs per task',
    GROWTH.queued.map((count) => [count, `queued-${count}`]),
    'netUs',
    figure,
  ),
  '',
  growthLines('workers', 'No-op tasks a second by the number of workers', {
    title: 'No-op tasks a second, submitted at once, by the number of workers',
    note: `${cores} cores; median of the rounds`,
    x: 'workers',
    y: 'tasks a second',
    linear: true,
    scenarios: workerScenarios(),
    key: 'atOnce',
  }),
  '',
  growthTable('tasks a second', workerScenarios(), 'atOnce', String),
  '',
  'The native queue alone, a push and a pop from JavaScript, nanoseconds by the depth to which it is filled:',
  '',
  nativeTable(),
  '',
  '## Memory of what waits',
  '',
  'Resident bytes for each queued no-op task, its promise included, and the longest time from one turn of the event loop to',
  'the next while chunks of 1,000 are submitted.',
  '',
  table(
    ['', 'tasks', 'bytes per task', 'longest delay, ms', 'µs to submit one'],
    [['memory', 'bosun'], ...contestantsOf('memory-peers').map((id) => ['memory-peers', id])]
      .filter(([scenario, id]) => figures.runs(scenario, id).length > 0)
      .map(([scenario, id]) => [
        title(id),
        ...['count', 'bytesPerTask', 'longestDelayMs', 'submitUs'].map((key) => cell(scenario, id, key)),
      ]),
  ),
  '',
  '## Start and end',
  '',
  '2 workers, milliseconds: from nothing, the import of the library included, to the first result; and from the call that ends an',
  'idle pool until no process of it is left.',
  '',
  scenarioTable(
    'startup',
    [
      ['first result', 'firstResultMs'],
      ['end', 'closeMs'],
    ],
    Math.min,
  ),
  '',
  '## Urgency',
  '',
  'An urgent no-op behind 10,000 tasks of 1 ms on 2 workers, at random moments: milliseconds until its result is there. piscina and',
  'tinypool have a queue of ours with two levels, jest-worker its own `PriorityQueue`.',
  '',
  scenarioTable(
    'urgent',
    [
      ['p50, ms', 'p50'],
      ['p99', 'p99'],
      ['max', 'max'],
    ],
    Math.min,
  ),
  '',
  'Tasks that were sent ahead to a worker that then runs one of 5 s, another worker idle: milliseconds until all of those are done, and',
  'how many had to be taken back from the busy worker.',
  '',
  scenarioTable(
    'held-up',
    [
      ['p50, ms', 'p50'],
      ['max', 'max'],
      ['taken back', 'recalled'],
    ],
    Math.min,
  ),
  '',
  '## Idle',
  '',
  'Wake-ups a second of a pool with 4 workers that has nothing to do, all of its processes and threads.',
  '',
  scenarioTable(
    'idle',
    [
      ['wake-ups a second', 'wakeUpsPerSecond'],
      ['processes', 'processes'],
    ],
    Math.min,
  ),
  '',
  '## Runs that failed',
  '',
  ...failures(),
  '',
];

function configuration(options) {
  const settings = Object.entries({ ...options, ...options.settings }).filter(
    ([key]) => key !== 'settings' && key !== 'by',
  );
  return settings.length === 0 ? '' : settings.map(([key, value]) => `\`${key}: ${value}\``).join(', ');
}

function workerScenarios() {
  return GROWTH.workers.map((count) => [count, count <= 2 ? `noop-${count}` : `workers-${count}`]);
}

function nativeTable() {
  const [run] = figures.runs('native-queue', 'bosun');
  const keys = Object.keys(run?.values ?? {});
  if (keys.length === 0) return 'Not measured.';
  return table(
    keys.map((key) => Number(key.slice(2)).toLocaleString('en')),
    [keys.map((key) => cell('native-queue', 'bosun', key))],
  );
}

const folder = join(DOCS, FOLDER);
mkdirSync(folder, { recursive: true });
for (const name of readdirSync(folder)) {
  if (name.endsWith('.svg') && !svgs.has(name)) unlinkSync(join(folder, name));
}
for (const [name, svg] of svgs) writeFileSync(join(folder, name), svg);
const file = join(DOCS, 'benchmarks.md');
writeFileSync(file, page.join('\n'));
// As everything else here is formatted.
execFileSync('npx', ['--no-install', 'biome', 'format', '--write', file], { cwd: join(DOCS, '..'), stdio: 'pipe' });
console.log(`docs/benchmarks.md and ${svgs.size} charts, from ${basename(path)}`);
