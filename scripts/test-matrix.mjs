// The tests with the released binaries, on each platform that this machine can run and on every Node.js: prints a table.
//
//   npm run prebuilds && npm run test:matrix [-- --smoke] [--node 20.19,22] [--platform linux-x64-glibc] [--write]
//   npm run test:matrix -- --here: a few tests of each part, with this Node.js and the binary for this system, whichever
//
// The versions of Node.js come from npm. For arm64 on x64: qemu-user-static, libc6-arm64-cross, libstdc++6-arm64-cross
// and libgcc-s1-arm64-cross of Debian; there it is a few tests only. For Windows: wine64 of Debian, and those of the tests
// that ask for no signals and no Unix sockets. --write puts the table into docs/installation.md.
// What the tests say goes to node_modules/.matrix/logs.

import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT, TARGETS } from './prebuild/targets.mjs';

const ALL_VERSIONS = '20.19,22,24,26';

const { values: options } = parseArgs({
  options: {
    smoke: { type: 'boolean', default: false },
    node: { type: 'string', default: ALL_VERSIONS },
    platform: { type: 'string' },
    here: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});

const FOLDER = join(ROOT, 'node_modules', '.matrix');
const PAGE = join(ROOT, 'docs', 'installation.md');
const SYSROOT = '/usr/aarch64-linux-gnu';
const FILE_TIMEOUT_MS = 600_000;

const SYSTEMS = { darwin: 'macOS', linux: 'Linux', win32: 'Windows' };

/** One or two of each part; an emulator takes twenty times as long. */
const SMOKE = ['frame', 'payload', 'manager', 'cancel', 'worker', 'pool', 'graph-manager', 'peer', 'doist'];
const EMULATED = ['frame', 'payload', 'manager', 'doist'];
const WINDOWS = [
  ...EMULATED,
  'cancel',
  'thread-manager',
  'graph-manager',
  'pool',
  'persistent-worker',
  'stream',
  'windows',
];
const WINE = '/usr/lib/wine/wine64';

const isHere = (name) => name.startsWith(`${process.platform}-${process.arch}`);
const isWindows = (name) => name.startsWith('win32');

/** Why no Node.js can run this platform's binary here; undefined when one can. */
function obstacle({ name }) {
  if (!existsSync(binaryOf(name))) return 'not built';
  if (name.endsWith('-musl')) return 'not run: npm has no Node.js for musl';
  if (isHere(name)) return undefined;
  if (isWindows(name) && process.platform === 'linux') return existsSync(WINE) ? undefined : 'not run: no wine here';
  if (process.platform !== 'linux' || !name.startsWith('linux'))
    return `not run: no ${SYSTEMS[name.split('-')[0]]} here`;
  const hasEmulator = spawnSync('qemu-aarch64-static', ['--version']).status === 0 && existsSync(SYSROOT);
  return name === 'linux-arm64-glibc' && hasEmulator ? undefined : 'not run: no emulator here';
}

const binaryOf = (name) => join(ROOT, 'prebuilds', name, 'bosun.node');

function check(command, args, cwd) {
  const { status, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
}

/** Node.js of this version, as something that can be run. */
function nodeFor({ name }, version) {
  if (options.here) return { file: process.execPath, args: [], env: {} };
  const architecture = name.split('-')[1];
  const program = `node-${isWindows(name) ? 'win' : 'linux'}-${architecture}`;
  // npm has no other one of it.
  const wanted = isWindows(name) && version === '20.19' ? '20.20' : version;
  const folder = join(FOLDER, `${program}-${wanted}`);
  const file = join(folder, 'node_modules', program, 'bin', isWindows(name) ? 'node.exe' : 'node');
  if (!existsSync(file)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "private": true }');
    // With --force: it need not be for this processor.
    check('npm', ['install', '--force', '--ignore-scripts', '--no-audit', '--no-fund', `${program}@${wanted}`], folder);
  }
  if (isHere(name)) return { file, args: [], env: {} };
  if (isWindows(name)) {
    const env = { WINEPREFIX: join(FOLDER, 'wine'), WINEDEBUG: '-all', NODE_SKIP_PLATFORM_CHECK: '1' };
    return { file: WINE, args: [file], env };
  }
  // What Node.js takes for its own file is the emulated program, which only the emulator can start.
  const emulated = join(folder, 'node');
  const preload = join(folder, 'exec-path.mjs');
  writeFileSync(emulated, `#!/bin/sh\nexec qemu-aarch64-static -L ${SYSROOT} ${file} "$@"\n`);
  chmodSync(emulated, 0o755);
  writeFileSync(preload, `process.execPath = ${JSON.stringify(emulated)};\n`);
  return { file: emulated, args: [], env: { NODE_OPTIONS: `--import=${preload}` } };
}

/** A copy of the project with this binary as the only one. */
function stage({ name }) {
  const folder = join(FOLDER, name);
  rmSync(folder, { recursive: true, force: true });
  const { stdout } = spawnSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' });
  for (const path of stdout.split('\0').filter(Boolean)) {
    if (existsSync(join(ROOT, path))) cpSync(join(ROOT, path), join(folder, path));
  }
  cpSync(join(ROOT, 'dist'), join(folder, 'dist'), { recursive: true });
  cpSync(binaryOf(name), join(folder, 'build', 'Release', 'bosun.node'));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'), 'junction');
  return folder;
}

/** @returns what it printed, and whether it ended well. */
function run(node, args, cwd, log) {
  const env = { ...process.env, ...node.env, NODE_TEST_CONTEXT: undefined, BOSUN_NATIVE_DIR: undefined };
  mkdirSync(dirname(log), { recursive: true });
  // A file: what wine has for a pipe, Node.js does not take for one.
  const output = openSync(log, 'w');
  const stdio = ['ignore', output, output];
  return new Promise((resolve) => {
    const child = spawn(node.file, [...node.args, ...args], { cwd, env, stdio, timeout: FILE_TIMEOUT_MS });
    closeSync(output);
    child.on('error', (error) => resolve({ text: String(error), isFine: false }));
    child.on('close', (code) => resolve({ text: readFileSync(log, 'utf8'), isFine: code === 0 }));
  });
}

/** The tests for a platform: all of them, or some. */
function testsFor({ name }, all) {
  if (isWindows(name)) return WINDOWS;
  if (!isHere(name)) return EMULATED;
  return options.smoke || options.here ? SMOKE : all;
}

const LOAD = `const { FrameDecoder } = await import('./dist/lib/index.js');
new FrameDecoder();
console.log(process.versions.node);`;

/** One cell of the table. */
async function cell(target, version, folder) {
  const log = join(FOLDER, 'logs', `${target.name}-${version}`);
  const node = nodeFor(target, version);
  const started = await run(node, ['--print', '"it starts"'], folder, join(log, 'start.log'));
  if (!started.text.startsWith('it starts')) return { isFine: true, text: 'not run: this Node.js does not start here' };
  const loaded = await run(node, ['--input-type=module', '-e', LOAD], folder, join(log, 'load.log'));
  const actual = loaded.text.trim().split('\n').at(-1);
  if (!loaded.isFine) return { isFine: false, text: `does not load: ${actual}` };
  const all = readdirSync(join(folder, 'dist', 'test'))
    .filter((name) => name.endsWith('.test.js'))
    .map((name) => name.replace('.test.js', ''));
  const files = testsFor(target, all);
  const failed = [];
  let passed = 0;
  const test = async (file, attempt) => {
    const args = ['--test-reporter=tap', join('dist', 'test', `${file}.test.js`)];
    const { text, isFine } = await run(node, args, folder, join(log, `${file}.${attempt}.log`));
    if (isFine) passed += Number(/^# pass (\d+)$/m.exec(text)?.[1] ?? 0);
    return isFine;
  };
  const next = files.values();
  const lane = async () => {
    for (const file of next) if (!(await test(file, 1))) failed.push(file);
  };
  await Promise.all([lane(), lane()]);
  // Alone, to know what fails from what is only in a hurry beside another one.
  const again = [];
  const broken = [];
  for (const file of failed) ((await test(file, 2)) ? again : broken).push(file);
  const parts = [`${actual}: loaded, ${passed} tests of ${files.length === all.length ? 'all' : files.length} files`];
  if (again.length > 0) parts.push(`passed when alone: ${again.join(', ')}`);
  if (broken.length > 0) parts.push(`failed: ${broken.join(', ')}`);
  return { isFine: broken.length === 0, text: parts.join('; ') };
}

const BETWEEN = /(?<=<!-- matrix -->\n)[\s\S]*(?=<!-- \/matrix -->)/;

/** The rows of a table in Markdown, the first of which has the names of the columns. */
function rowsOf(markdown) {
  const rows = markdown.split('\n').filter((line) => line.startsWith('|'));
  return rows.toSpliced(1, 1).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((text) => text.trim()),
  );
}

/** What was not run now stays as it was. */
function update(page, columns, cells) {
  const [oldColumns = [], ...oldRows] = rowsOf(BETWEEN.exec(page)?.[0] ?? '');
  const rows = TARGETS.map(({ name }) => {
    const old = oldRows.find((row) => row[0] === name) ?? [];
    const [, ...others] = columns;
    return [
      name,
      ...others.map((column) => cells.get(name)?.get(column) ?? old[oldColumns.indexOf(column)] ?? 'not run'),
    ];
  });
  return page.replace(BETWEEN, () => `\n${tableOf([columns, ...rows])}\n\n`);
}

function tableOf([columns, ...rows]) {
  return [columns, columns.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

const NAME = '';
const versions = options.here ? [process.versions.node] : options.node.split(',');
const columnOf = (version) => `Node.js ${version}`;
/** By platform and column. */
const cells = new Map();
let isFine = true;
for (const target of TARGETS) {
  if (options.platform !== undefined && options.platform !== target.name) continue;
  // That of musl is for another Node.js.
  if (options.here && (!isHere(target.name) || target.name.endsWith('-musl'))) continue;
  const why = obstacle(target);
  const row = new Map([
    [NAME, target.name],
    ['built', existsSync(binaryOf(target.name)) ? 'yes' : 'no'],
  ]);
  cells.set(target.name, row);
  const folder = why === undefined ? stage(target) : '';
  for (const version of versions) {
    const result = why === undefined ? await cell(target, version, folder) : { isFine: true, text: why };
    console.error(`${target.name}, Node.js ${version}: ${result.text}`);
    isFine &&= result.isFine;
    row.set(columnOf(version), result.text);
  }
}
const columns = [NAME, 'built', ...versions.map(columnOf)];
console.log(tableOf([columns, ...[...cells.values()].map((row) => [...row.values()])]));
if (options.write) {
  const all = [NAME, 'built', ...ALL_VERSIONS.split(',').map(columnOf)];
  writeFileSync(PAGE, update(readFileSync(PAGE, 'utf8'), all, cells));
  check('npx', ['--no-install', 'biome', 'format', '--write', PAGE], ROOT);
}
process.exit(isFine ? 0 : 1);
