// The examples of workers, of tasks that wait for tasks, of a build and of a service, run as programs.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const FOLDER = new URL('../../examples/', import.meta.url);

async function run(name: string): Promise<string> {
  const file = fileURLToPath(new URL(`${name}.mjs`, FOLDER));
  const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'close');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = await ended;
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  return stdout;
}

describe('examples/workers', () => {
  for (const [name, expected] of [
    ['basic', '1 4 9\n'],
    ['factory', '[ 1, 4, 9 ]\n'],
    ['error', 'undefined\ntrue\nHow is one supposed to live on this miserable world where x = 2?\n'],
    ['persistent', '4 [ 0, 9, 36, 81 ]\n3 [ 1, 16, 49 ]\n3 [ 4, 25, 64 ]\n'],
    ['pool', '1000 squares, their sum is 332833500; 3 workers, of which one was replaced\n'],
  ] as const) {
    test(name, async () => assert.equal(await run(`workers/${name}`), expected));
  }
});

test('examples/forks', async () => {
  const folder = fileURLToPath(FOLDER);
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  const sizes = files.filter((file) => file.isFile()).map(async ({ parentPath, name }) => stat(join(parentPath, name)));
  const bytes = (await Promise.all(sizes)).reduce((sum, { size }) => sum + size, 0);
  const kinds = ['this thread', 'one process', 'three threads'];
  const lines = kinds.map((kind) => `${kind}: 50000 numbers in order, ${bytes} bytes of examples\n`);
  assert.equal(await run('forks/forks'), lines.join(''));
});

test('examples/build', async () => {
  const lines = [
    '4 tasks have run, and check is FAILED',
    'compile trouble.md has failed: trouble.md:1: a page begins with a heading',
    'repaired: 5 tasks have run, and check is DONE',
    'site.html.br,site.html.gz are whole, and every link leads somewhere',
  ];
  assert.equal(await run('build/build'), `${lines.join('\n')}\n`);
});

test('examples/shutdown answers what it was asked, and takes no more, when SIGTERM comes', async () => {
  const env = { ...process.env, PORT: '0', WORKERS: '1' };
  const file = fileURLToPath(new URL('shutdown/service.mjs', FOLDER));
  const child = spawn(process.execPath, [file], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const [, port] = /^listening on (\d+)$/.exec((await lines.next()).value as string) ?? assert.fail();
  const url = `http://127.0.0.1:${port}`;
  assert.equal((await fetch(`${url}/ready`)).status, 200);

  const answers = [fetch(`${url}/?rounds=300000`), fetch(`${url}/?rounds=300000`)];
  // It is answered after both have been taken, by the same server.
  assert.equal((await fetch(`${url}/ready`)).status, 200);
  child.kill('SIGTERM');
  assert.equal((await lines.next()).value, 'leaving');
  for (const answer of answers) assert.match(await (await answer).text(), /^[0-9a-f]{64}\n$/);
  const report = JSON.parse((await lines.next()).value as string) as unknown;
  assert.deepEqual(report, { done: 2, failed: 0, cancelled: 0, policy: 'join' });
  assert.deepEqual(await ended, [0, null]);
  await assert.rejects(fetch(url));
});

test('docs/kubernetes.md has the pod of examples/shutdown', async () => {
  const page = await readFile(new URL('../docs/kubernetes.md', FOLDER), 'utf8');
  assert.ok(page.includes(`\n${await readFile(new URL('shutdown/pod.yaml', FOLDER), 'utf8')}\`\`\``));
});
