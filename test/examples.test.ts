// The examples of workers, of tasks that wait for tasks and of a build, run as programs.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
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
