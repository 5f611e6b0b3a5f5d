// bosun crew, and the example that it runs.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { alive } from './fixtures/alive.js';
import { bosun, FIXTURES, Running, temporaryFolder } from './fixtures/command.js';

const CREW = join(FIXTURES, 'cli-crew.mjs');
const EXAMPLE = join(FIXTURES, '..', '..', 'examples', 'crew', 'crew.mjs');
const skip = process.platform === 'win32' && 'Windows has no Unix datagram sockets';

/** The last pid that it has told for a hand. */
function pidIn(text: string, name: string): number {
  const told = [...text.matchAll(new RegExp(`${name} is there, process (\\d+)`, 'g'))];
  return Number(told.at(-1)?.[1]);
}

describe('bosun crew', { skip }, () => {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    test(`runs until ${signal}, and ends the hands in order`, async (t) => {
      const running = new Running(t, ['crew', CREW]);
      await running.until('stderr', /all 2 of the crew are there/);
      running.child.kill(signal);
      const ended = await running.ended;
      assert.equal(ended.code, code);
      assert.match(
        ended.stderr,
        /is told to end.*\n.*right has ended with exit code 0\nbosun: left has ended with exit code 0\n$/,
      );
      for (const name of ['left', 'right']) assert.equal(alive(pidIn(ended.stderr, name)), false);
    });
  }

  test('starts a hand again that was killed', async (t) => {
    const running = new Running(t, ['crew', CREW, '--export', 'boss']);
    const [told] = await running.until('stderr', /only is there, process (\d+)/);
    process.kill(pidIn(told, 'only'), 'SIGKILL');
    await running.until(
      'stderr',
      /only has ended with SIGKILL; it is started again\n.*only is there, process \d+, restart 1/,
    );
    running.child.kill('SIGTERM');
    assert.equal((await running.ended).code, 143);
  });

  test('is over when all hands are', async (t) => {
    const { code, stderr } = await bosun(t, 'crew', CREW, '--export', 'brief');
    assert.equal(code, 0);
    assert.match(stderr, /brief has ended with exit code 0\n$/);
  });

  test('fails when a hand does not stay alive', async (t) => {
    const { code, stderr } = await bosun(t, 'crew', CREW, '--export', 'doomed');
    assert.equal(code, 1);
    assert.match(stderr, /doomed has ended 1 times within 30000 ms.*nowhere\.mjs/);
  });

  test('says what is wrong with the crew, and starts nothing', async (t) => {
    for (const [name, message] of [
      ['twins', /two of a crew have the name 'a'/],
      ['headless', /the first doer of a has to be a Crewer/],
      ['number', /'number' of .* is no Boss/],
      ['nobody', /exports no 'nobody'; it exports boss, brief/],
    ] as const) {
      const { code, stderr } = await bosun(t, 'crew', CREW, '--export', name);
      assert.deepEqual([code, stderr.trim().split('\n').length], [2, 1], stderr);
      assert.match(stderr, message);
    }
    assert.equal((await bosun(t, 'crew', join(temporaryFolder(t), 'crew.mjs'))).code, 2);
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

async function hasSqlite(): Promise<boolean> {
  const load = (name: string) =>
    import(name).then(
      () => true,
      () => false,
    );
  return (await load('node:sqlite')) || (await load('better-sqlite3'));
}

/** Its front may be on its way up. */
async function ask(port: number, note?: string): Promise<string> {
  for (;;) {
    try {
      const options = note === undefined ? {} : { method: 'POST', body: note };
      const response = await fetch(`http://127.0.0.1:${port}`, options);
      assert.ok(response.ok, `${response.status}`);
      return await response.text();
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      await delay(20);
    }
  }
}

const noSqlite =
  !(await hasSqlite()) && 'neither node:sqlite nor better-sqlite3 is here: npm install --no-save better-sqlite3@12';

describe('examples/crew', { skip: skip || noSqlite }, () => {
  test('loses no note when any of its processes is killed', async (t: TestContext) => {
    const port = await freePort();
    const file = join(temporaryFolder(t), 'notes.sqlite');
    const running = new Running(t, ['crew', EXAMPLE], 'ignore', { PORT: String(port), GUEST_BOOK: file });
    await running.until('stderr', /all 3 of the crew are there/);
    await ask(port, 'the *first*');
    const expected = ['the <strong>first</strong>'];
    for (const [i, role] of ['store', 'printer', 'front'].entries()) {
      const { stderr } = {
        stderr: (await running.until('stderr', new RegExp(`[^]*${role} is there, process \\d+`)))[0],
      };
      process.kill(pidIn(stderr, role), 'SIGKILL');
      await ask(port, `behind the ${role}`);
      expected.unshift(`behind the ${role}`);
      const lines = (await ask(port)).trim().split('\n');
      assert.deepEqual(
        lines,
        expected.map((html) => `<p>${html}</p>`),
        `${i}`,
      );
    }
    running.child.kill('SIGINT');
    const ended = await running.ended;
    assert.equal(ended.code, 130);
    assert.match(
      ended.stderr,
      /front has ended with exit code 0\n.*printer has ended with exit code 0\n.*store has ended with exit code 0\n$/,
    );
  });
});
