// Which binary is loaded, and what is said when none is: with copies of the package, whole and broken.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BUILT = join('build', 'Release', 'bosun.node');

const report = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
const libc = report.header.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
const PLATFORM = `${process.platform}-${process.arch}${process.platform === 'linux' ? `-${libc}` : ''}`;
const PREBUILT = join('prebuilds', PLATFORM, 'bosun.node');

const onGlibc = { skip: libc === 'glibc' ? false : 'what is looked into is a library of glibc' };

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: readonly string[], options: { env?: NodeJS.ProcessEnv; cwd?: string } = {}): Promise<Ended> {
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined, BOSUN_NATIVE_DIR: undefined, ...options.env };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, args, { ...options, env }, (_error, stdout, stderr) => {
      resolve({ code: child.exitCode, signal: child.signalCode, stdout, stderr });
    });
  });
}

/** The package as it is installed where no binary fits, and these files in addition. */
async function packageWith(t: TestContext, files: Record<string, Uint8Array> = {}): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bosun-load-'));
  t.after(() => rm(directory, { recursive: true }));
  for (const path of ['dist/lib', 'package.json', 'scripts/install.mjs', 'binding.gyp']) {
    await cp(join(ROOT, path), join(directory, path), { recursive: true });
  }
  await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  for (const [path, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), bytes);
  }
  return directory;
}

interface Loaded {
  readonly decoder?: string;
  readonly name: string;
  readonly code: string;
  readonly message: string;
  readonly causes: number;
}

/** @param before is run before the import. */
async function load(directory: string, { env = {}, before = '' } = {}): Promise<Loaded> {
  const code = `${before};
    try {
      const { FrameDecoder } = await import(${JSON.stringify(pathToFileURL(join(directory, 'dist/lib/index.js')).href)});
      console.log(JSON.stringify({ decoder: typeof new FrameDecoder() }));
    } catch ({ name, code, message, cause }) {
      console.log(JSON.stringify({ name, code, message, causes: cause?.errors.length }));
    }`;
  const ended = await run(['--input-type=module', '-e', code], { env });
  assert.deepEqual({ ...ended, stdout: '' }, { code: 0, signal: null, stdout: '', stderr: '' });
  return JSON.parse(ended.stdout);
}

function assertRefused(loaded: Loaded, ...said: (string | RegExp)[]): void {
  assert.deepEqual([loaded.name, loaded.code], ['NativeLoadError', 'ERR_BOSUN_NATIVE_LOAD']);
  for (const text of said) {
    assert.ok(typeof text === 'string' ? loaded.message.includes(text) : text.test(loaded.message), loaded.message);
  }
}

const WHOLE = await readFile(join(ROOT, BUILT));
const LOADS = { decoder: 'object' };

/** The same library, with one text in it changed to another that is as long. */
function changed(from: string, to: string): Buffer {
  assert.equal(from.length, to.length);
  const text = WHOLE.toString('latin1');
  assert.ok(text.includes(from));
  return Buffer.from(text.replaceAll(from, to), 'latin1');
}

describe('the loader', () => {
  test('takes what came with the package for this platform', async (t) => {
    assert.deepEqual(await load(await packageWith(t, { [PREBUILT]: WHOLE })), LOADS);
  });

  test('says what it tried and which commands help when there is no binary', async (t) => {
    const directory = await packageWith(t);
    const loaded = await load(directory);
    const missing = [BUILT, PREBUILT].map((file) => `${join(directory, file)}: is not there`);
    assertRefused(loaded, PLATFORM, process.versions.node, ...missing, 'npm rebuild bosun', 'npx node-gyp rebuild');
    assert.equal(loaded.causes, 2);
  });

  test('looks into BOSUN_NATIVE_DIR first', async (t) => {
    const directory = await packageWith(t);
    const env = { BOSUN_NATIVE_DIR: dirname(join(ROOT, BUILT)) };
    assert.deepEqual(await load(directory, { env }), LOADS);
    const loaded = await load(directory, { env: { BOSUN_NATIVE_DIR: join(directory, 'nowhere') } });
    assertRefused(loaded, join(directory, 'nowhere', 'bosun.node'));
    assert.equal(loaded.causes, 3);
  });

  test('goes on to the next place when a file does not load', async (t) => {
    const directory = await packageWith(t, { [BUILT]: Buffer.from('not a library'), [PREBUILT]: WHOLE });
    assert.deepEqual(await load(directory), LOADS);
  });

  test('names the file that is no library', async (t) => {
    const directory = await packageWith(t, { [PREBUILT]: Buffer.from('not a library, but a text\n'.repeat(100)) });
    assertRefused(await load(directory), join(directory, PREBUILT));
  });

  test('says so when a file is cut short, wherever', onGlibc, async (t) => {
    const directory = await packageWith(t, { [PREBUILT]: WHOLE });
    for (const size of [WHOLE.length - 1, WHOLE.length >> 1, 40]) {
      await truncate(join(directory, PREBUILT), size);
      const said = size < 64 ? 'file too short' : `only ${size} of its ${WHOLE.length} bytes are there`;
      assertRefused(await load(directory), `${join(directory, PREBUILT)}: `, said);
    }
  });

  test('says so when a file is for another C library, or a newer one', onGlibc, async (t) => {
    const musl = await packageWith(t, { [PREBUILT]: changed('libc.so.6\0', 'libc.so\0\0\0') });
    assertRefused(await load(musl), `${join(musl, PREBUILT)}: was compiled for musl, which is not here`);
    const newer = await packageWith(t, { [PREBUILT]: changed('GLIBC_2.2.5\0', 'GLIBC_2.999\0') });
    assertRefused(await load(newer), `${join(newer, PREBUILT)}: needs glibc 2.999, which is newer than the one here`);
  });

  test('takes the binary for the C library of this Node.js', onGlibc, async (t) => {
    const directory = await packageWith(t, { 'linked/musl': Buffer.from('\x7fELF..\0/lib/ld-musl-x86_64.so.1\0') });
    const on = async (execPath: string) => {
      const before = `process.execPath = ${JSON.stringify(execPath)}`;
      return (await load(directory, { before })).message;
    };
    const folder = join('prebuilds', `linux-${process.arch}-`);
    assert.match(await on(process.execPath), new RegExp(`${folder}glibc`));
    assert.match(await on(join(directory, 'linked/musl')), new RegExp(`${folder}musl`));
    // A file that does not tell: the report of this process does.
    assert.match(await on(join(directory, 'package.json')), new RegExp(`${folder}glibc`));
  });

  test('takes the binary for Windows there', async (t) => {
    const directory = await packageWith(t, {});
    const before = `Object.defineProperty(process, 'platform', { value: 'win32' })`;
    const folder = join('prebuilds', `win32-${process.arch}`);
    assertRefused(await load(directory, { before }), folder, 'is not there');
  });
});

describe('the install script', () => {
  const NOTHING_ON_PATH = { PATH: '/nowhere', npm_config_node_gyp: undefined, npm_config_nodedir: undefined };
  const install = (directory: string) =>
    run(['scripts/install.mjs'], { cwd: directory, env: { ...NOTHING_ON_PATH, PYTHON: '/nowhere/python3' } });

  test('does nothing when a binary loads', async (t) => {
    const directory = await packageWith(t, { [PREBUILT]: WHOLE });
    const ended = await install(directory);
    assert.deepEqual(ended, { code: 0, signal: null, stdout: '', stderr: '' });
    assert.equal(existsSync(join(directory, 'build')), false);
  });

  test('says what is missing when nothing loads and there is no compiler', async (t) => {
    const { code, stderr } = await install(await packageWith(t, { [PREBUILT]: WHOLE.subarray(0, 1_000) }));
    assert.equal(code, 1);
    assert.match(stderr, /no prebuilt binary loads/);
    assert.match(stderr, /python3, make and a C\+\+20 compiler; then run: npm rebuild bosun/);
  });
});
