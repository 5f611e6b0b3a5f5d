// bosun beside its peers: every contestant of every scenario in a fresh process, one after the other, round after round.
//
// npm run bench:peers -- [--rounds n] [--only scenario,...] [--contestants id,...] [--quick] [--list]
//
// The results go to bench/results; those of a part, or of a quick run, to a file that ends in -partial.

import { execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { freemem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { print } from './check.mjs';
import { PLAN } from './plan.mjs';
import { about, write } from './results.mjs';
import { median } from './statistics.mjs';

/** For one run. The longest takes about ten seconds on two cores. */
const LIMIT_MS = 30_000;
/** How often a run is looked at, and what share of the memory that is free at its start it may take. */
const LOOK_MS = 250;
const MEMORY_SHARE = 0.4;
/** The exit code of Node.js for a top-level await that nothing will end. */
const UNSETTLED = 13;
const here = (name) => fileURLToPath(new URL(name, import.meta.url));

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string' },
    only: { type: 'string' },
    contestants: { type: 'string' },
    quick: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
});

/** Ids, or what ids begin with before a hyphen. */
function chosen(list, id) {
  return list === undefined || list.split(',').some((name) => id === name || id.startsWith(`${name}-`));
}

const scenarios = PLAN.filter(({ id }) => chosen(options.only, id))
  .map((scenario) => ({
    ...scenario,
    contestants: scenario.contestants.filter((id) => chosen(options.contestants, id)),
    params: { ...scenario.params, ...(options.quick ? scenario.quick : {}) },
  }))
  .filter(({ contestants }) => contestants.length > 0);

async function main() {
  if (options.list) {
    for (const { id, contestants } of scenarios) console.log(`${id}: ${contestants.join(' ')}`);
    return;
  }
  const rounds = Number(options.rounds ?? (options.quick ? 1 : 5));
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds takes a number, at least 1');
  if (scenarios.length === 0) throw new Error('nothing of that name; --list shows what there is');
  const isPartial = options.only !== undefined || options.contestants !== undefined || options.quick;
  const results = { ...about(), rounds: 0, minutes: 0, runs: [] };
  const started = performance.now();
  let path;
  for (let round = 0; round < rounds; round++) {
    for (const scenario of scenarios) {
      const calibration = scenario.calibrated ? { iterationsPerMs: await calibrate() } : {};
      for (const contestant of scenario.contestants) {
        const began = performance.now();
        const outcome = await runApart(scenario, contestant, calibration);
        const ms = Math.round(performance.now() - began);
        results.runs.push({ scenario: scenario.id, contestant, round, ms, ...outcome });
        process.stderr.write(`${round + 1}/${rounds} ${scenario.id} ${contestant}: ${summary(outcome)}\n`);
      }
    }
    // After each round: who stops here keeps what there is.
    results.rounds = round + 1;
    results.minutes = Number(((performance.now() - started) / 60_000).toFixed(1));
    path = write(results, isPartial);
  }
  print(results);
  console.log(`\n${path}`);
}

const rounded = (value) => (Number.isInteger(value) ? value : Number(value.toPrecision(5)));

function summary({ values, unavailable, failed }) {
  if (values === undefined) return unavailable === undefined ? `failed: ${failed}` : `not available: ${unavailable}`;
  return Object.entries(values)
    .map(([key, value]) => `${key} ${rounded(value)}`)
    .join(', ');
}

/** Both workers' cores at once, as the tasks will find them. */
async function calibrate() {
  const run = promisify(execFile);
  const rates = await Promise.all([1, 2].map(() => run(process.execPath, [here('./calibrate.mjs')])));
  return median(rates.map(({ stdout }) => Number(stdout)));
}

/** A run in a process and a process group of its own, of which nothing is left. */
async function runApart({ module, params, extra, pinned }, contestant, calibration) {
  const job = JSON.stringify({ module, contestant, extra, params: { ...params, ...calibration } });
  const command = [process.execPath, here('./measure.mjs'), job];
  if (pinned) command.unshift('taskset', '-c', firstCore());
  const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'ignore', 'pipe', 'pipe'], detached: true });
  const text = (stream) => {
    let all = '';
    stream.setEncoding('utf8').on('data', (part) => {
      all += part;
    });
    return () => all;
  };
  const said = text(child.stdio[3]);
  const complained = text(child.stderr);
  const interrupt = () => {
    killGroup(child);
    process.exit(130);
  };
  process.once('SIGINT', interrupt);
  // A contestant that runs away with the memory must not take the machine along.
  const least = freemem() * (1 - MEMORY_SHARE);
  const started = performance.now();
  let excess;
  const timer = setInterval(() => {
    if (freemem() < least) excess = 'it took too much memory';
    else if (performance.now() - started > LIMIT_MS) excess = `not done within ${LIMIT_MS / 1_000} s`;
    if (excess !== undefined) killGroup(child);
  }, LOOK_MS);
  const end = await new Promise((resolve) => {
    child.once('error', (error) => resolve(error));
    // Not 'close': workers that outlive their parent would keep the pipes open.
    child.once('exit', (code, signal) => setImmediate(resolve, signal ?? `code ${code}`));
  });
  clearInterval(timer);
  process.off('SIGINT', interrupt);
  killGroup(child);
  if (said() !== '') return compact(JSON.parse(said()));
  if (end?.code === 'ENOENT') return { unavailable: `${command[0]} is not installed` };
  if (excess !== undefined) return { failed: excess };
  const reason = end === `code ${UNSETTLED}` ? 'a promise is pending and nothing is left to wait for' : complained();
  return { failed: `ended by ${end}: ${reason.trim().slice(-500)}` };
}

/** Figures as they are worth keeping. */
function compact(outcome) {
  if (outcome.values === undefined) return outcome;
  return { values: Object.fromEntries(Object.entries(outcome.values).map(([key, value]) => [key, rounded(value)])) };
}

function killGroup({ pid }) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody is left.
  }
}

/** The first one that this process may use. */
function firstCore() {
  const status = readFileSync('/proc/self/status', 'utf8');
  return /^Cpus_allowed_list:\s*(\d+)/m.exec(status)?.[1] ?? '0';
}

await main();
