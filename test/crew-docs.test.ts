// The examples of docs/crew.md print what stands below them.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const text = readFileSync(new URL('../../docs/crew.md', import.meta.url), 'utf8');

describe('docs/crew.md', () => {
  const examples = [...text.matchAll(/```js\n((?:(?!```).)*)```\n\n```text\n(.*?)```/gs)];

  const files = [...text.matchAll(/```js\n\/\/ (\S+\.mjs)\n(.*?)```/gs)];

  /** A project that has bosun, and the files. */
  const cwd = mkdtempSync(join(tmpdir(), 'bosun-docs-'));
  mkdirSync(join(cwd, 'node_modules'));
  symlinkSync(ROOT, join(cwd, 'node_modules', 'bosun'));
  for (const [, name, code] of files) writeFileSync(join(cwd, name as string), code as string);
  after(() => rmSync(cwd, { recursive: true }));

  test('has an output for each example', () => {
    assert.equal(examples.length + files.length, [...text.matchAll(/```js\n/g)].length);
    assert.ok(examples.length > 0);
  });

  for (const [index, [, code, output]] of examples.entries()) {
    test(`example ${index + 1} prints what it says`, async () => {
      const args = ['--input-type=module', '--eval', code as string];
      assert.equal((await promisify(execFile)(process.execPath, args, { cwd })).stdout, output);
    });
  }
});
