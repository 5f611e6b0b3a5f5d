// The package as users get it: what is in it, and that it works in an empty project on a machine without a compiler.
// BOSUN_TARBALL names one that is packed already, and has to have the binaries of all platforms.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const report = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
const libc = report.header.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
const PLATFORM = `${process.platform}-${process.arch}${process.platform === 'linux' ? `-${libc}` : ''}`;

const FOLDER = await mkdtemp(join(tmpdir(), 'bosun-pack-'));
const PROJECT = join(FOLDER, 'project');
const TOOLS = join(FOLDER, 'tools');
after(() => rm(FOLDER, { recursive: true }));

/** All that is on the PATH: node, npm, and the shell that npm runs scripts with. */
const BIN = join(FOLDER, 'bin');
await mkdir(BIN);
await symlink(process.execPath, join(BIN, 'node'));
await symlink('/bin/sh', join(BIN, 'sh'));
for (const folder of [dirname(process.execPath), ...(process.env['PATH'] ?? '').split(':')].reverse()) {
  if (!existsSync(join(folder, 'npm'))) continue;
  await rm(join(BIN, 'npm'), { force: true });
  await symlink(join(folder, 'npm'), join(BIN, 'npm'));
}

/** @returns its output. @throws when it fails, with all that it said. */
function run(t: TestContext, cwd: string, command: string, ...args: string[]): Promise<string> {
  t.diagnostic(`$ ${[command, ...args].join(' ')}`);
  const env = { ...process.env, PATH: BIN, NODE_TEST_CONTEXT: undefined, BOSUN_NATIVE_DIR: undefined };
  return new Promise((done, reject) => {
    execFile(join(BIN, command), args, { cwd, env, maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
      if (stdout !== '' && command === 'node') t.diagnostic(stdout.trimEnd());
      if (error === null) done(stdout);
      else reject(new Error(`${error.message}\n${stdout}\n${stderr}`));
    });
  });
}

async function write(files: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(PROJECT, path)), { recursive: true });
    await writeFile(join(PROJECT, path), text);
  }
}

const filesUnder = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

const filesIn = (folder: string): string[] =>
  existsSync(join(ROOT, folder)) ? filesUnder(join(ROOT, folder)).map((path) => path.slice(ROOT.length)) : [];

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { readonly path: string }[];
}

const prebuilt = (platform: string) => join('prebuilds', platform, 'bosun.node');
const { TARGETS } = (await import(new URL('../../scripts/prebuild/targets.mjs', import.meta.url).href)) as {
  TARGETS: readonly { readonly name: string }[];
};

const packed = process.env['BOSUN_TARBALL'];

/** What is to be packed: the project, and where its binary for this platform is missing, the one that was compiled here. */
async function whatToPack(): Promise<string> {
  if (packed !== undefined) return resolve(packed);
  const copy = join(FOLDER, 'package');
  for (const path of ['package.json', 'README.md', 'CHANGELOG.md', 'SECURITY.md', 'LICENSE', 'binding.gyp']) {
    await cp(join(ROOT, path), join(copy, path));
  }
  for (const path of ['dist/lib', 'docs', 'native', 'scripts/install.mjs', 'scripts/clean-dist.mjs', 'prebuilds']) {
    if (existsSync(join(ROOT, path))) await cp(join(ROOT, path), join(copy, path), { recursive: true });
  }
  if (!existsSync(join(copy, prebuilt(PLATFORM)))) {
    await cp(join(ROOT, 'build/Release/bosun.node'), join(copy, prebuilt(PLATFORM)));
  }
  return copy;
}

/** A file in FOLDER. */
let tarball = '';

describe('the package', () => {
  test('has exactly the files that it needs, in less than 2 MB', async (t) => {
    const what = await whatToPack();
    const json = await run(t, FOLDER, 'npm', 'pack', what, '--ignore-scripts', '--json');
    const [{ filename, size, files }] = JSON.parse(json) as [Packed];
    tarball = join(FOLDER, filename);
    t.diagnostic(`${size} bytes, ${files.length} files`);
    assert.ok(size < 2_000_000, `${size} bytes`);
    const entries = ['index', 'internals', 'cli/main', 'remote/main', 'crew/hand-main', 'task/svg-thread'];
    entries.push(...['main', 'worker', 'thread', 'task-thread'].map((name) => `runtime/${name}`));
    const sources = filesIn('lib').filter((path) => path.endsWith('.ts'));
    const here = new Set([...filesIn('prebuilds'), prebuilt(PLATFORM)]);
    const figures = /^docs\/(benchmarks|death|performance)\b/;
    const expected = [
      ...['package.json', 'README.md', 'CHANGELOG.md', 'SECURITY.md', 'LICENSE', 'binding.gyp', 'scripts/install.mjs'],
      ...entries.map((name) => `dist/lib/${name}.js`),
      ...sources.map((path) => `dist/${path.replace(/\.ts$/, '.d.ts')}`),
      ...filesIn('native').filter((path) => !path.startsWith('native/test')),
      ...filesIn('docs').filter((path) => !figures.test(path)),
      ...(packed === undefined ? here : TARGETS.map(({ name }) => prebuilt(name))),
    ];
    const isShared = (path: string) => /^dist\/lib\/shared\/[\w-]+\.js$/.test(path);
    const found = files.map(({ path }) => path);
    assert.ok(found.some(isShared));
    assert.deepEqual(found.filter((path) => !isShared(path)).toSorted(), expected.toSorted());
  });

  test('is found right by publint and by arethetypeswrong', async (t) => {
    await mkdir(TOOLS);
    await writeFile(join(TOOLS, 'package.json'), '{ "private": true }');
    const tools = ['publint@0.3.25', '@arethetypeswrong/cli@0.18.5'];
    await run(t, TOOLS, 'npm', 'install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', ...tools);
    await run(t, TOOLS, 'node', 'node_modules/publint/src/cli.js', 'run', '--strict', tarball);
    // That `require` finds an ES module is meant.
    await run(t, TOOLS, 'node', 'node_modules/@arethetypeswrong/cli/dist/index.js', '--profile', 'esm-only', tarball);
  });

  test('is installed with no install script and no compiler, from the registry alone', async (t) => {
    await write({ 'package.json': '{ "private": true, "type": "module" }' });
    const packages = [tarball, 'esbuild@0.28.2', '@types/node@20'];
    await run(
      t,
      PROJECT,
      'npm',
      'install',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      `--cache=${join(FOLDER, 'cache')}`,
      ...packages,
    );
    const registry = (await run(t, PROJECT, 'npm', 'config', 'get', 'registry')).trim();
    const logs = filesUnder(join(FOLDER, 'cache', '_logs')).map((path) => readFileSync(path, 'utf8'));
    const asked = [...logs.join('\n').matchAll(/http fetch \S+ \d+ (\S+)/g)].map(([, url]) => url as string);
    assert.ok(asked.length > 0);
    for (const url of asked) assert.ok(url.startsWith(registry), url);
    t.diagnostic(`${asked.length} requests, all of them to the registry`);
    assert.equal(existsSync(join(PROJECT, 'node_modules/bosun/build')), false);
  });

  test('has an install script that compiles nothing where a binary loads', async (t) => {
    await run(t, PROJECT, 'npm', 'rebuild', 'bosun');
    await run(t, join(PROJECT, 'node_modules/bosun'), 'node', 'scripts/install.mjs');
    assert.equal(existsSync(join(PROJECT, 'node_modules/bosun/build')), false);
  });
});

const WORK = 'export const double = (value: number) => value * 2;\n';
const use = (module: string) => `
const manager = new ProcessManager({ workers: 1 });
manager.run({ module: new URL(${module}), export: 'double' }, [21])
  .then((value) => { console.log(value); return manager.close(); });
`;

describe('a project with the package', () => {
  test('imports it', async (t) => {
    await write({
      'work.js': WORK.replace(': number', ''),
      'main.js': `import { ProcessManager } from 'bosun';${use(`'./work.js', import.meta.url`)}`,
    });
    assert.equal(await run(t, PROJECT, 'node', 'main.js'), '42\n');
  });

  test('requires it', async (t) => {
    const url = `require('node:url').pathToFileURL(require('node:path').join(__dirname, 'work.js'))`;
    await write({ 'main.cjs': `const { ProcessManager } = require('bosun');${use(url)}` });
    assert.equal(await run(t, PROJECT, 'node', 'main.cjs'), '42\n');
  });

  test('has its command', async (t) => {
    assert.match(await run(t, PROJECT, 'node', 'node_modules/.bin/bosun', '--help'), /Usage: bosun/);
  });

  test('is checked by TypeScript with nodenext, the declarations too', async (t) => {
    await write({
      'ts/work.ts': WORK,
      'ts/main.ts': `import { ProcessManager } from 'bosun';${use(`'./work.js', import.meta.url`)}`,
      'ts/tsconfig.json': JSON.stringify({
        compilerOptions: { module: 'nodenext', target: 'es2023', lib: ['es2023', 'esnext.disposable'], strict: true },
      }),
    });
    await run(t, PROJECT, 'node', join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', 'ts');
    assert.equal(await run(t, PROJECT, 'node', 'ts/main.js'), '42\n');
  });

  test('is bundled, bosun outside, with the module of a task as an entry of its own', async (t) => {
    await write({
      'src/work.ts': `import { by } from './factor.js';\nexport const double = (value: number) => value * by;\n`,
      'src/factor.ts': 'export const by = 2;\n',
      'src/main.ts': `import { ProcessManager } from 'bosun';${use(`'./work.js', import.meta.url`)}`,
    });
    const flags = ['--bundle', '--platform=node', '--format=esm', '--external:bosun', '--outdir=bundled'];
    await run(t, PROJECT, 'node', 'node_modules/esbuild/bin/esbuild', 'src/main.ts', 'src/work.ts', ...flags);
    await rm(join(PROJECT, 'src'), { recursive: true });
    assert.equal(await run(t, PROJECT, 'node', 'bundled/main.js'), '42\n');
  });
});
