// The tests with the released binaries, on each platform that this machine can run and on every Node.js: prints a table.
//
//   npm run prebuilds && npm run test:matrix [-- --smoke] [--node 20.19,22] [--platform linux-x64-glibc] [--write]
//
// The versions of Node.js come from npm. For arm64 on x64: qemu-user-static, libc6-arm64-cross, libstdc++6-arm64-cross
// and libgcc-s1-arm64-cross of Debian; there it is a few tests only. --write puts the table into docs/installation.md.
// What the tests say goes to node_modules/.matrix/logs.

import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT, TARGETS } from './prebuild/targets.mjs';

const { values: options } = parseArgs({
  options: {
    smoke: { type: 'boolean', default: false },
    node: { type: 'string', default: '20.19,22,24,26' },
    platform: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
});

const FOLDER = join(ROOT, 'node_modules', '.matrix');
const PAGE = join(ROOT, 'docs', 'installation.md');
const SYSROOT = '/usr/aarch64-linux-gnu';
const FILE_TIMEOUT_MS = 600_000;

/** One or two of each part; an emulator takes twenty times as long. */
const SMOKE = ['frame', 'payload', 'manager', 'cancel', 'worker', 'pool', 'graph-manager', 'peer', 'doist'];
const EMULATED = ['frame', 'payload', 'manager', 'doist'];

const isHere = (name) => name.startsWith(`${process.platform}-${process.arch}`);

/** Why no Node.js can run this platform's binary here; undefined when one can. */
function obstacle({ name }) {
  if (!existsSync(binaryOf(name))) return 'not built';
  if (name.endsWith('-musl')) return 'not run: npm has no Node.js for musl';
  if (process.platform !== 'linux' || !name.startsWith('linux')) return `not run: no ${name.split('-')[0]} here`;
  if (isHere(name)) return undefined;
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
  const architecture = name.split('-')[1];
  const folder = join(FOLDER, `node-${version}-${architecture}`);
  const program = `node-linux-${architecture}`;
  const file = join(folder, 'node_modules', program, 'bin', 'node');
  if (!existsSync(file)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "private": true }');
    // With --force: it need not be for this processor.
    check(
      'npm',
      ['install', '--force', '--ignore-scripts', '--no-audit', '--no-fund', `${program}@${version}`],
      folder,
    );
  }
  if (isHere(name)) return { file, env: {} };
  // What Node.js takes for its own file is the emulated program, which only the emulator can start.
  const emulated = join(folder, 'node');
  const preload = join(folder, 'exec-path.mjs');
  writeFileSync(emulated, `#!/bin/sh\nexec qemu-aarch64-static -L ${SYSROOT} ${file} "$@"\n`);
  chmodSync(emulated, 0o755);
  writeFileSync(preload, `process.execPath = ${JSON.stringify(emulated)};\n`);
  return { file: emulated, env: { NODE_OPTIONS: `--import=${preload}` } };
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
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

/** @returns what it printed, and whether it ended well. */
function run(node, args, cwd) {
  const env = { ...process.env, ...node.env, NODE_TEST_CONTEXT: undefined, BOSUN_NATIVE_DIR: undefined };
  return new Promise((resolve) => {
    const child = spawn(node.file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: FILE_TIMEOUT_MS });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
    }
    child.on('error', (error) => resolve({ text: String(error), isFine: false }));
    child.on('close', (code) => resolve({ text, isFine: code === 0 }));
  });
}

const LOAD = `const { FrameDecoder } = await import('./dist/lib/index.js');
new FrameDecoder();
console.log(process.versions.node);`;

/** One cell of the table. */
async function cell(target, version, folder) {
  const some = isHere(target.name) ? SMOKE : EMULATED;
  const node = nodeFor(target, version);
  const loaded = await run(node, ['--input-type=module', '-e', LOAD], folder);
  const actual = loaded.text.trim().split('\n').at(-1);
  if (!loaded.isFine) return { isFine: false, text: `does not load: ${actual}` };
  const all = readdirSync(join(folder, 'dist', 'test')).filter((name) => name.endsWith('.test.js'));
  const files = isHere(target.name) && !options.smoke ? all : some.map((name) => `${name}.test.js`);
  const log = join(FOLDER, 'logs', `${target.name}-${version}`);
  mkdirSync(log, { recursive: true });
  const failed = [];
  let passed = 0;
  const test = async (file, attempt) => {
    const { text, isFine } = await run(node, ['--test-reporter=tap', join('dist', 'test', file)], folder);
    writeFileSync(join(log, `${file}.${attempt}.log`), text);
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

const versions = options.node.split(',');
const table = [['', 'built', ...versions.map((version) => `Node.js ${version}`)]];
let isFine = true;
for (const target of TARGETS) {
  if (options.platform !== undefined && options.platform !== target.name) continue;
  const why = obstacle(target);
  const row = [target.name, existsSync(binaryOf(target.name)) ? 'yes' : 'no'];
  const folder = why === undefined ? stage(target) : '';
  for (const version of versions) {
    const result = why === undefined ? await cell(target, version, folder) : { isFine: true, text: why };
    console.error(`${target.name}, Node.js ${version}: ${result.text}`);
    isFine &&= result.isFine;
    row.push(result.text);
  }
  table.push(row);
}
table.splice(
  1,
  0,
  table[0].map(() => '---'),
);
const markdown = table.map((row) => `| ${row.join(' | ')} |`).join('\n');
console.log(markdown);
if (options.write) {
  const page = readFileSync(PAGE, 'utf8');
  const at = /(?<=<!-- matrix -->\n)[\s\S]*(?=<!-- \/matrix -->)/;
  writeFileSync(
    PAGE,
    page.replace(at, () => `\n${markdown}\n\n`),
  );
  check('npx', ['--no-install', 'biome', 'format', '--write', PAGE], ROOT);
}
process.exit(isFine ? 0 : 1);
