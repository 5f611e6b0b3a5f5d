// What a pool does when a worker dies: every pool with one worker, every way to die, while a task runs, after its
// result, and at the start of each worker; every case in a process of its own, so that a pool that hangs or that ends
// its caller costs that case alone. Linux: what is left of a case is found in /proc.
// npm --prefix bench install --no-package-lock && node bench/peers/death.mjs
//
// --only <text>  contestants whose name contains it
// --json <file>  everything that was seen
// --write <file> replaces what is between the markers in a Markdown file

import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { versions } from './results.mjs';

/** Milliseconds after which a promise counts as pending. */
const PATIENCE = 6_000;
/** Milliseconds from the result of a task to the next task, in the phase `after`. */
const IDLE = 500;
/** Milliseconds for a case as a whole. */
const CASE_LIMIT = 30_000;
/** Cases at a time: most of the time they wait. */
const LANES = 2;
const MARKERS = ['<!-- death: begin -->', '<!-- death: end -->'];

const SELF = fileURLToPath(import.meta.url);
const MODULE = new URL('./death-task.mjs', import.meta.url).href;
const PATH = fileURLToPath(MODULE);
const script = (name) => fileURLToPath(new URL(`./death-${name}`, import.meta.url));

const IN_ANY = ['exit(0)', 'exit(1)', 'throw in a timer', 'unhandled rejection', 'heap exhausted'];
const IN_PROCESSES = ['SIGKILL', 'SIGSEGV', 'abort()', 'SIGSTOP', 'disconnect'];

const HEAP = 48;
const execArgv = [`--max-old-space-size=${HEAP}`];
const resourceLimits = { maxOldGenerationSizeMb: HEAP };

/**
 * `open` makes a pool of one worker and gives `call(name, argument)`, and the emitter of `error` events if there is one.
 * Options are the defaults, but for the heap and for processes of tinypool, which have no environment unless given.
 */
const CONTESTANTS = {
  'bosun, processes': {
    async open(phase) {
      const { ProcessManager } = await import('../../dist/lib/index.js');
      const setup = { module: MODULE, export: 'warmUp' };
      const manager = new ProcessManager({ workers: 1, execArgv, ...(phase === 'before' ? { setup } : {}) });
      return { call: (name, argument) => manager.run({ module: MODULE, export: name }, [argument]) };
    },
  },
  'tinypool, processes': { open: () => tinypool({ runtime: 'child_process', execArgv, env: process.env }) },
  'workerpool, processes': { open: () => workerpool({ workerType: 'process', forkOpts: { execArgv } }) },
  'poolifier, cluster': {
    async open() {
      const { FixedClusterPool } = await import('poolifier');
      const pool = new FixedClusterPool(1, script('poolifier.cjs'), { settings: { execArgv } });
      return { call: (name, argument) => pool.execute(argument, name), events: pool.emitter };
    },
  },
  'jest-worker, processes': { open: () => jestWorker({ forkOptions: { execArgv } }) },
  'piscina, threads': {
    threads: true,
    async open() {
      const { Piscina } = await import('piscina');
      const pool = new Piscina({ filename: MODULE, minThreads: 1, maxThreads: 1, resourceLimits });
      return { call: (name, argument) => pool.run(argument, { name }), events: pool };
    },
  },
  'tinypool, threads': { threads: true, open: () => tinypool({ runtime: 'worker_threads', resourceLimits }) },
  'workerpool, threads': {
    threads: true,
    open: () => workerpool({ workerType: 'thread', workerThreadOpts: { resourceLimits } }),
  },
  'poolifier, threads': {
    threads: true,
    async open() {
      const { FixedThreadPool } = await import('poolifier');
      const pool = new FixedThreadPool(1, script('poolifier.cjs'), { workerOptions: { resourceLimits } });
      return { call: (name, argument) => pool.execute(argument, name), events: pool.emitter };
    },
  },
  'jest-worker, threads': { threads: true, open: () => jestWorker({ enableWorkerThreads: true, resourceLimits }) },
};

async function tinypool(options) {
  const { Tinypool } = await import('tinypool');
  const pool = new Tinypool({ filename: MODULE, minThreads: 1, maxThreads: 1, ...options });
  return { call: (name, argument) => pool.run(argument, { name }), events: pool };
}

async function workerpool(options) {
  const { default: module } = await import('workerpool');
  const pool = module.pool(script('workerpool.mjs'), { maxWorkers: 1, ...options });
  return { call: (name, argument) => pool.exec(name, [argument]) };
}

async function jestWorker(options) {
  const { Worker } = await import('jest-worker');
  const pool = new Worker(PATH, { numWorkers: 1, exposedMethods: ['die', 'echo'], ...options });
  return { call: (name, argument) => pool[name](argument) };
}

// In the process of a case.

/** How a call settles, if it does. */
async function settlement(call) {
  const started = performance.now();
  const outcome = (state, seen) => ({ state, ...seen, ms: Math.round(performance.now() - started) });
  const settled = (async () => await call())().then(
    (value) => outcome('resolved', { value }),
    (error) => outcome('rejected', { error: facts(error), text: String(error?.message ?? error).slice(0, 2000) }),
  );
  return await Promise.race([settled, sleep(PATIENCE).then(() => outcome('pending'))]);
}

/** Everything that an error says, in one text; not its stack, which says where the caller was. */
function facts(error, depth = 0) {
  if (typeof error !== 'object' || error === null || depth > 3) return String(error);
  const names = new Set(['name', 'message', 'cause', ...Object.getOwnPropertyNames(error)]);
  names.delete('stack');
  return [...names].map((name) => `${name}=${facts(error[name], depth + 1)}`).join('\n');
}

async function runCase({ contestant, death, phase, listens, report }) {
  const seen = {};
  const note = (key, value) => {
    seen[key] = value;
    writeFileSync(report, JSON.stringify(seen));
  };
  const { call, events } = await CONTESTANTS[contestant].open(phase);
  if (listens) events.on('error', () => {});
  const echo = () => settlement(() => call('echo', 'hello'));
  if (phase !== 'before') {
    // A pool that cannot do that has been set up wrongly here.
    const first = await echo();
    if (first.value !== 'hello') throw new Error(`the first task is ${first.state}: ${first.error}`);
  }
  note('opened', true);
  if (phase === 'before') {
    const task = await echo();
    note('task', task);
    // For the count of starts to be one of the same time.
    await sleep(PATIENCE - task.ms);
  } else {
    note('task', await settlement(() => call('die', { death, phase })));
    if (phase === 'after') await sleep(IDLE);
    note('next', await echo());
    if (seen.next.state === 'rejected') note('later', await echo());
  }
  note('complete', true);
  process.exit(0);
}

// In the process that starts the cases.

/** A case; once more with a listener if the lack of one has ended the caller. */
async function observe(contestant, death, phase) {
  const seen = await runApart(contestant, death, phase, false);
  if (!/Emitted 'error' event on/.test(seen.lastWords)) return seen;
  return { ...(await runApart(contestant, death, phase, true)), crashesUnheard: true };
}

/** Runs a case in a process of its own and leaves nothing behind. */
async function runApart(contestant, death, phase, listens) {
  const directory = mkdtempSync(join(tmpdir(), 'bosun-death-'));
  const file = (name) => join(directory, name);
  const stderr = openSync(file('stderr'), 'w');
  const env = { ...process.env, DEATH_LOG: file('log') };
  if (phase === 'before') env['DEATH_AT_START'] = death;
  const options = JSON.stringify({ contestant, death, phase, listens, report: file('report') });
  const caller = spawn(process.execPath, [SELF, '--case', options], {
    cwd: directory,
    env,
    stdio: ['ignore', 'ignore', stderr],
    detached: true,
  });
  closeSync(stderr);
  const exit = new Promise((resolve) => {
    caller.once('exit', (code, signal) => resolve(signal ?? `code ${code}`));
  });
  const ended = await Promise.race([exit, sleep(CASE_LIMIT, 'hangs', { ref: false })]);
  killAll(caller.pid, `DEATH_LOG=${file('log')}`);
  await exit;
  const seen = JSON.parse(text(file('report')) || '{}');
  const log = text(file('log')).split('\n').filter(Boolean);
  const lastWords = text(file('stderr')).slice(-2000);
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  const count = (what) => log.filter((line) => line.startsWith(what)).length;
  const pids = [...new Set(log.map((line) => line.split(' ')[1]))];
  for (const key of ['task', 'next', 'later']) {
    if (seen[key]?.state === 'rejected') seen[key].tells = tells(seen[key].error, pids);
  }
  const result = {
    contestant,
    death,
    phase,
    ...seen,
    starts: count('start'),
    runs: count('run'),
    deaths: count('death'),
  };
  return seen.complete ? result : { ...result, callerEnded: ended, lastWords };
}

function text(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** The group of a case, and whoever has left the group but not its environment; again, for who was being started. */
function killAll(group, mark) {
  const kill = (pid) => {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // Gone by itself.
    }
  };
  for (let found = true, round = 0; found && round < 100; round++) {
    kill(-group);
    found = false;
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      if (!text(`/proc/${pid}/environ`).split('\0').includes(mark)) continue;
      found = true;
      kill(Number(pid));
    }
  }
}

/** What the owner of a task learns of the death from the rejection. */
function tells(error, pids) {
  const facts = {
    'exit code': /(exit|code)[a-z ]{0,12}\W{0,4}\d+/i,
    signal: /\bSIG[A-Z]{3,4}\b/,
    pid: new RegExp(`\\b(${pids.join('|') || 'none'})\\b`),
    'task name': /\b(die|echo)\b/,
    'the error': /thrown by the task/,
    'out of memory': /memory/i,
  };
  return Object.keys(facts).filter((name) => facts[name].test(error));
}

// The tables.

const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
/** A time worth telling: a pool that needed it did not see the death by itself. */
const late = ({ ms }) => (ms < 1_000 ? '' : ` after ${seconds(ms)}`);
const told = ({ tells: list }) => (list.length > 0 ? list.join(', ') : 'no reason');

const endOf = (callerEnded) => (callerEnded === 'hangs' ? '**caller hangs**' : `**caller crashes** (${callerEnded})`);

/** What a death has done to the tasks after it. */
function aftermath({ next, later, callerEnded }) {
  if (callerEnded !== undefined) return [endOf(callerEnded)];
  if (next.state === 'resolved') return next.ms < 1_000 ? [] : [`next task done${late(next)}`];
  if (next.state === 'pending') return ['**pool dead**: next task pending'];
  const after = later.state === 'resolved' ? 'then usable' : `**pool dead**: the one after ${later.state}`;
  return [`**next task rejects** (${told(next)})`, after];
}

const CELLS = {
  during(seen) {
    const { task, runs } = seen;
    const parts = [];
    if (task?.state === 'rejected') parts.push(`rejects${late(task)} (${told(task)})`);
    else if (task !== undefined) parts.push(`**${task.state}**`);
    if (runs > 1) parts.push(`**ran ${runs} times**`);
    return [...parts, ...aftermath(seen)];
  },
  after(seen) {
    const { task } = seen;
    const parts = aftermath(seen);
    if (seen.deaths === 0) parts.push('the worker did not get to die');
    if (task?.state === 'rejected') parts.unshift(`**result lost**: rejects (${told(task)})`);
    else if (task?.state === 'pending') parts.unshift('**result lost**: pending');
    return parts.length > 0 ? parts : ['usable'];
  },
  before({ task, starts, callerEnded }) {
    const parts = [];
    if (task?.state === 'rejected') parts.push(`rejects after ${seconds(task.ms)} (${told(task)})`);
    else if (task !== undefined) parts.push(task.state === 'pending' ? '**pending**' : task.state);
    if (callerEnded !== undefined) parts.push(endOf(callerEnded));
    return [...parts, `${starts} ${starts === 1 ? 'start' : 'starts'}`];
  },
};

const TITLES = {
  during: 'While a task runs',
  after: 'After a result, the worker idle',
  before: `At the start of every worker, starts within ${PATIENCE / 1_000} s`,
};

function cell(seen) {
  if (!seen.opened) return 'could not be measured';
  const unheard = seen.crashesUnheard ? '**caller crashes** without an `error` listener; with one: ' : '';
  return unheard + CELLS[seen.phase](seen).join('; ');
}

function tables(results, names) {
  const lines = [];
  const row = (cells) => lines.push(`| ${cells.join(' | ')} |`);
  for (const phase of Object.keys(TITLES)) {
    lines.push(`### ${TITLES[phase]}`, '');
    for (const threads of [false, true]) {
      const columns = names.filter((name) => Boolean(CONTESTANTS[name].threads) === threads);
      if (columns.length === 0) continue;
      row(['', ...columns]);
      row(['---', ...columns.map(() => '---')]);
      for (const death of threads ? IN_ANY : [...IN_ANY, ...IN_PROCESSES]) {
        const find = (name) => results.find((r) => r.contestant === name && r.death === death && r.phase === phase);
        row([`\`${death}\``, ...columns.map((name) => cell(find(name)))]);
      }
      if (threads) row([IN_PROCESSES.map((death) => `\`${death}\``).join(', '), ...columns.map(() => 'n/a (thread)')]);
      lines.push('');
    }
  }
  return lines.join('\n');
}

/** Names and versions of what was measured. */
function measured() {
  const packages = Object.entries(versions()).map(([name, version]) => `${name} ${version}`);
  return [`Node.js ${process.versions.node}`, ...packages].join(', ');
}

async function main({ only, json, write }) {
  if (write !== undefined && only !== undefined) throw new Error('--write takes the tables of a full run');
  const names = Object.keys(CONTESTANTS).filter((name) => name.includes(only ?? ''));
  const cases = Object.keys(TITLES).flatMap((phase) =>
    [...IN_ANY, ...IN_PROCESSES].flatMap((death) =>
      names.filter((name) => IN_ANY.includes(death) || !CONTESTANTS[name].threads).map((name) => [name, death, phase]),
    ),
  );
  const results = [];
  let next = 0;
  const lane = async () => {
    while (next < cases.length) {
      results.push(await observe(...cases[next++]));
      process.stderr.write('.');
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  process.stderr.write('\n');
  if (json !== undefined) writeFileSync(json, `${JSON.stringify({ versions: measured(), results }, null, 2)}\n`);
  const output = `Measured with ${measured()}.\n\n${tables(results, names)}`;
  console.log(output);
  if (write !== undefined) {
    const page = readFileSync(write, 'utf8');
    const [begin, end] = MARKERS.map((marker) => page.indexOf(marker));
    if (begin < 0 || end < begin) throw new Error(`${write} has no ${MARKERS.join(' and ')}`);
    writeFileSync(write, `${page.slice(0, begin)}${MARKERS[0]}\n\n${output}\n${page.slice(end)}`);
  }
  const failed = results.filter(({ opened, phase }) => !opened && phase !== 'before');
  if (failed.length === 0) return;
  process.exitCode = 1;
  console.error(`${failed.length} cases could not be measured; ${failed[0].contestant}: ${failed[0].lastWords}`);
}

const { values } = parseArgs({
  options: {
    case: { type: 'string' },
    only: { type: 'string' },
    json: { type: 'string' },
    write: { type: 'string' },
  },
});
await (values.case === undefined ? main(values) : runCase(JSON.parse(values.case)));
