// The README's examples, run as they stand.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** A project with the README's files, and bosun installed. */
async function makeProject(t: TestContext): Promise<string> {
  const project = await mkdtemp(join(tmpdir(), 'bosun-readme-'));
  t.after(() => rm(project, { recursive: true }));
  await mkdir(join(project, 'node_modules'));
  await symlink(ROOT, join(project, 'node_modules', 'bosun'));
  await writeFile(join(project, 'package.json'), '{ "type": "module" }');
  const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
  for (const [, name, text] of readme.matchAll(/```js\n\/\/ (\S+)\n(.*?)```/gs)) {
    await writeFile(join(project, name as string), text as string);
  }
  return project;
}

async function run(project: string, file: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: project });
  return stdout;
}

describe('the README', () => {
  test('the first example prints the hashes of its own files', async (t) => {
    const project = await makeProject(t);
    const output = await run(project, 'main.js');
    for (const file of ['main.js', 'work.js']) {
      const hash = createHash('sha256').update(await readFile(join(project, file)));
      assert.ok(output.includes(hash.digest('hex')));
    }
  });

  test('the second example lists the files below its folder', async (t) => {
    const project = await makeProject(t);
    await mkdir(join(project, 'deep', 'deeper'), { recursive: true });
    await writeFile(join(project, 'deep', 'deeper', 'file'), '');
    const lines = (await run(project, 'list.js')).trim().split('\n');
    assert.ok(lines.includes('deep/deeper/file'));
    assert.ok(lines.includes('main.js'));
  });

  test('the examples of limits and of a producer print what they say', async (t) => {
    const project = await makeProject(t);
    const hash = createHash('sha256').update(await readFile(join(project, 'work.js')));
    assert.equal((await run(project, 'limits.js')).trim(), hash.digest('hex'));
    assert.equal((await run(project, 'producer.js')).trim(), '1000');
  });

  test('the example of workers prints what they say', async (t) => {
    const project = await makeProject(t);
    const lines = (await run(project, 'workers.js')).trim().split('\n');
    const hash = createHash('sha256').update(await readFile(join(project, 'main.js')));
    const hex = hash.digest('hex');
    assert.equal(lines[0], hex);
    assert.equal(lines.length, 3);
    assert.ok(lines.includes(`[ 'main.js' ] ${hex}`));
  });

  test('the example of tasks that require others prints their hashes', async (t) => {
    const project = await makeProject(t);
    const lines = (await run(project, 'graph.js')).trim().split('\n');
    const files = ['main.js', 'work.js'];
    const hashes = files.map(async (file) => {
      return `${createHash('sha256')
        .update(await readFile(join(project, file)))
        .digest('hex')}  ${file}`;
    });
    assert.deepEqual(lines, await Promise.all(hashes));
  });

  test('and the pages beside it have no traces of a merge', async () => {
    const pages = (await readdir(join(ROOT, 'docs'))).filter((name) => name.endsWith('.md'));
    assert.ok(pages.length > 5);
    for (const page of ['../README.md', '../CHANGELOG.md', ...pages]) {
      assert.doesNotMatch(await readFile(join(ROOT, 'docs', page), 'utf8'), /^(<<<<<<<|=======$|>>>>>>>)/m, page);
    }
  });

  test('its table of errors has every code there is', async () => {
    const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
    const source = await readFile(join(ROOT, 'lib', 'errors.ts'), 'utf8');
    const codes = new Set(source.match(/ERR_BOSUN_[A-Z_]+/g));
    for (const code of codes) assert.ok(readme.includes(`\`${code}\``), code);
  });
});
