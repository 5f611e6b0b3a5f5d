// The blocked parent of examples/, run as a program.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../../examples/blocked/blocked.mjs', import.meta.url));
const LIMIT = { timeout: 60_000 };

async function start(args: readonly string[]) {
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'close');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = await ended;
  return { code, stdout, stderr };
}

/** The row of this name, all of its bands in one. */
function rowOf(stdout: string, label: string): string {
  const rows = stdout.split('\n').map((line) => /^(\S+(?: \d+)?) +([·▁▂▃▄▅▆▇█]+)$/.exec(line));
  return rows.map((row) => (row?.[1] === label ? row[2] : '')).join('');
}

describe('examples/blocked', () => {
  test('prints a row for the parent and one for each worker, and what was finished', LIMIT, async () => {
    // More tasks than the workers can do by then.
    const { code, stdout, stderr } = await start(['--block', '1000', '--tasks', '3000']);
    assert.equal(code, 0, stderr);
    assert.equal(stderr, '');
    assert.match(stdout, /^2 workers, 3,000 tasks of 1 ms; the parent is blocked for 1 s\n\n {9}0 s {7}1 s/);
    const parent = rowOf(stdout, 'parent');
    assert.match(parent, /^···█{10}[^█]*$/);
    const [from, to] = [parent.indexOf('█'), parent.lastIndexOf('█') + 1];
    for (const label of ['worker 1', 'worker 2']) {
      const row = rowOf(stdout, label);
      assert.equal(row.length, parent.length);
      assert.doesNotMatch(row.slice(from, to), /·/, `${label} was idle while the parent was blocked:\n${stdout}`);
    }
    const [, finished, share] = /^(\S+) of 3,000 tasks \((\S+) %\) were finished when the loop came back$/m.exec(
      stdout,
    ) as RegExpExecArray;
    const count = Number(finished?.replace(',', ''));
    assert.ok(count > 0 && count <= 3_000);
    assert.equal(share, (count / 30).toFixed(1));
  });

  test('fits any width, and has no colour when it is no terminal', LIMIT, async () => {
    for (const width of [20, 37, 200]) {
      const args = ['--block', '100', '--task', '20', '--tasks', '80', '--columns', `${width}`];
      const { code, stdout, stderr } = await start(args);
      assert.equal(code, 0, stderr);
      const longest = Math.max(...stdout.split('\n').map(({ length }) => length));
      assert.ok(longest <= width, `${longest} in ${width}:\n${stdout}`);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is what is tested
      assert.doesNotMatch(stdout, /[\u0000-\u0009\u000b-\u001f]/);
      // Nothing is cut off: 80 tasks of 20 ms are 8 columns at least for 2 workers.
      const rows = ['parent', 'worker 1', 'worker 2'].map((label) => rowOf(stdout, label).length);
      assert.equal(new Set(rows).size, 1);
      assert.ok(Number(rows[0]) >= 8);
    }
  });

  test('explains itself, and wrong usage', LIMIT, async () => {
    const help = await start(['--help']);
    assert.equal(help.code, 0);
    assert.match(help.stdout, /--block <ms>[\s\S]*Examples:/);
    for (const args of [['--workers', '0'], ['--block', 'long'], ['--nonsense'], ['more']]) {
      const { code, stdout, stderr } = await start(args);
      assert.equal(code, 2, args.join(' '));
      assert.match(stderr, /^error: /);
      assert.equal(stdout, '');
    }
  });
});
