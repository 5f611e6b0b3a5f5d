// The programs of docs/migration.md, with the pools that they are written for, as the page says how to install them. That
// of BullMQ needs a Redis server: it is run where there is one.

import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { type Block, blocksOf, readPage } from './fixtures/pages.js';
import { PagesProject } from './fixtures/pages-project.js';

const PAGE = 'docs/migration.md';
const PRINTS = "[ 'fulfilled', 'fulfilled', 'rejected' ]\n";

const blocks = [...blocksOf('README.md'), ...blocksOf(PAGE)].filter(({ language }) => language === 'js');
const programOf = (pool: string): Block => {
  const found = blocks.find(
    ({ page, text }) => page === PAGE && text.includes(`from '${pool}'`) && !text.startsWith('//'),
  );
  assert.ok(found, pool);
  return found;
};

const folder = await mkdtemp(join(tmpdir(), 'bosun-migration-'));
after(() => rm(folder, { recursive: true }));

async function makeProject(t: TestContext, all = blocks): Promise<PagesProject> {
  const project = await PagesProject.make(all, [join(folder, 'node_modules')]);
  t.after(() => rm(project.folder, { recursive: true }));
  return project;
}

/** The port of a Redis server that keeps nothing, and ends with the test. */
async function startRedis(t: TestContext): Promise<number> {
  const free = createServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const { port } = free.address() as AddressInfo;
  free.close();
  await once(free, 'close');
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const server = spawn('redis-server', args, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(async () => {
    if (server.exitCode === null && server.kill()) await once(server, 'exit');
  });
  for await (const line of createInterface(server.stdout))
    if (line.includes('Ready to accept connections')) return port;
  throw new Error(`redis-server ended with ${server.exitCode}`);
}

describe('the programs of the page about migration', () => {
  before(async () => {
    const [command] = /^npm i .*$/m.exec(readPage(PAGE)) ?? [];
    assert.ok(command, 'the page says what to install');
    await writeFile(join(folder, 'package.json'), '{ "private": true }');
    const flags = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
    await promisify(execFile)('npm', [...command.split(' ').slice(1), ...flags], { cwd: folder });
  });

  for (const pool of ['piscina', 'workerpool', 'bosun']) {
    test(pool, async (t) => {
      const project = await makeProject(t);
      assert.deepEqual(await project.run(PAGE, [programOf(pool)]), [PRINTS]);
    });
  }

  const hasRedis = spawnSync('redis-server', ['--version']).status === 0;
  test('bullmq', { skip: !hasRedis && 'there is no redis-server in the PATH' }, async (t) => {
    const port = await startRedis(t);
    const program = programOf('bullmq');
    const there = { ...program, text: program.text.replace('6379', String(port)) };
    const project = await makeProject(t, [...blocks, there]);
    assert.deepEqual(await project.run(PAGE, [there]), [PRINTS]);
  });
});
