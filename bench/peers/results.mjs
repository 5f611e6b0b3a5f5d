// Results on disk: one file for each commit, processor and Node.js version, one line for each run.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = fileURLToPath(new URL('../results', import.meta.url));
/** Of a run that was not of everything; git does not see it. */
const PARTIAL = '-partial';

/** What the figures are figures of. */
export function about() {
  return {
    commit: commit(),
    date: new Date().toISOString(),
    processor: cpus()[0]?.model.trim() ?? process.arch,
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${release()}`,
    node: process.versions.node,
    /** Of the minute before: what else was going on. */
    load: Number(loadavg()[0].toFixed(2)),
    versions: versions(),
  };
}

function commit() {
  const git = (...args) => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' }).trim();
  try {
    const name = git('rev-parse', '--short', 'HEAD');
    return git('status', '--porcelain', '--', 'lib', 'native', 'bench/peers') === '' ? name : `${name}-dirty`;
  } catch {
    return 'no-commit';
  }
}

/** Of bosun and of the peers as they are installed. */
export function versions() {
  const { dependencies } = require('../package.json');
  const peers = Object.keys(dependencies).filter((name) => name !== 'echarts');
  const installed = (name) => JSON.parse(readFileSync(join(FOLDER, '../node_modules', name, 'package.json'))).version;
  return {
    bosun: require('../../package.json').version,
    ...Object.fromEntries(peers.map((name) => [name, installed(name)])),
  };
}

const slug = (text) =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');

export function write(results, isPartial) {
  const { commit, processor, node } = results;
  const path = join(FOLDER, `${commit}-${slug(processor)}-node${node}${isPartial ? PARTIAL : ''}.json`);
  mkdirSync(FOLDER, { recursive: true });
  const { runs, ...head } = results;
  const lines = runs.map((run) => `    ${JSON.stringify(run)}`);
  const text = JSON.stringify({ ...head, runs: [] }, null, 2);
  writeFileSync(path, `${text.replace(/\[\]\s*\}$/, `[\n${lines.join(',\n')}\n  ]\n}`)}\n`);
  return path;
}

/** The named file, or the one of a full run that was measured last. */
export function read(path) {
  return path === undefined ? newest() : load(path);
}

const load = (path) => ({ path, results: JSON.parse(readFileSync(path, 'utf8')) });

function newest() {
  mkdirSync(FOLDER, { recursive: true });
  const names = readdirSync(FOLDER).filter((name) => name.endsWith('.json') && !name.endsWith(`${PARTIAL}.json`));
  const all = names.map((name) => load(join(FOLDER, name)));
  const [latest] = all.sort((a, b) => b.results.date.localeCompare(a.results.date));
  if (latest === undefined) throw new Error('there are no results of a full run: npm run bench:peers');
  return latest;
}
