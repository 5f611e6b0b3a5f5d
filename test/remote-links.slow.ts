// Links between a manager and its workers that are cut, and restored: nothing is lost, and nothing done twice that may not.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type ProcessManager, RemoteServer } from '../lib/index.js';
import { certificate } from './fixtures/certificate.js';
import { Cable, joined, work } from './fixtures/remote-workers.js';
import { makeManager } from './fixtures/scene.js';
import { Tally } from './fixtures/tally.js';

/** Through a link between network namespaces; through a proxy of the test's own as many again would show nothing else. */
const TASKS = 10_000;
const PROXIED = 4_000;

/** Numbers of workers that are, or were, on other hosts. */
function remotesOf(manager: ProcessManager): (worker: number) => boolean {
  const remotes = new Set<number>();
  const look = () => {
    for (const { worker, host } of manager.workers) if (host !== undefined) remotes.add(worker);
  };
  look();
  manager.on('worker:start', look);
  return (worker) => remotes.has(worker);
}

function exits(manager: ProcessManager, count: number): Promise<void> {
  return new Promise((resolve) => {
    let seen = 0;
    manager.on('worker:exit', function listen() {
      if (++seen < count) return;
      manager.off('worker:exit', listen);
      resolve();
    });
  });
}

/** Goes on to both kinds of workers, and lets so many more begin. */
async function both(tally: Tally, allowed: number): Promise<void> {
  const before = tally.remote;
  tally.allow(allowed);
  await tally.until(() => tally.remote > before + 50 || tally.done >= allowed);
  assert.ok(tally.remote > before + 50, 'the remote ones had their share');
}

/** Two network namespaces on this machine, or why there can be none. */
function makeNetwork(t: TestContext) {
  const name = `bosun${process.pid % 10_000}`;
  const [near, far] = ['10.231.77.1', '10.231.77.2'];
  const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const made = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' });
  if (made.status !== 0) return `no network namespaces here: ${made.error?.message ?? made.stderr}`;
  t.after(() => {
    spawnSync('ip', ['link', 'del', name]);
    spawnSync('ip', ['netns', 'del', name]);
  });
  try {
    ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'far0', 'netns', name);
    ip('addr', 'add', `${near}/30`, 'dev', name);
    ip('link', 'set', name, 'up');
    ip('-n', name, 'addr', 'add', `${far}/30`, 'dev', 'far0');
    ip('-n', name, 'link', 'set', 'far0', 'up');
  } catch (error) {
    return `no link between network namespaces here: ${(error as Error).message}`;
  }
  return {
    name,
    near,
    // Only the far end: this host is to hear nothing, not even that there is no network.
    cut: () => ip('-n', name, 'link', 'set', 'far0', 'arp', 'off', 'down'),
    restore: () => ip('-n', name, 'link', 'set', 'far0', 'arp', 'on', 'up'),
  };
}

describe('thousands of tasks on two local and two remote workers', () => {
  test('that were dialled, through a link that is cut and restored', async (t) => {
    const fixtures = fileURLToPath(new URL('./fixtures/', import.meta.url));
    const server = new RemoteServer({ allowModules: [fixtures], grace: 100 });
    t.after(() => server.terminate());
    await server.listen();
    const cable = await Cable.to(t, server.address?.port ?? 0);
    const remote = { host: { port: cable.port }, token: server.token };
    const manager = makeManager(t, { workers: 2, minWorkers: 2, remotes: [remote, remote] });
    await manager.ready();
    await cutAndRestore(t, manager, cable);
  });

  test('that dial, through a link that is cut and restored', async (t) => {
    const manager = makeManager(t, { workers: 2, minWorkers: 2, listen: { port: 0 } });
    await manager.ready();
    const { port } = manager.address as { port: number };
    const cable = await Cable.to(t, port);
    const start = joined(manager, 2);
    work(t, manager, ['--workers', '2'], `127.0.0.1:${cable.port}`);
    await start;
    await cutAndRestore(t, manager, cable);
  });

  async function cutAndRestore(t: TestContext, manager: ProcessManager, cable: Cable): Promise<void> {
    const tally = await Tally.of(t, manager, PROXIED, remotesOf(manager));
    const end = tally.run();
    for (const share of [0.2, 0.4, 0.6, 0.8]) {
      await both(tally, share * PROXIED);
      const gone = exits(manager, 2);
      cable.cut();
      await gone;
      const { done } = tally;
      // The local ones go on meanwhile.
      tally.allow(share * PROXIED + 200);
      await tally.until(() => tally.done >= Math.min(done + 100, share * PROXIED + 100));
      const back = joined(manager, 2);
      cable.restore();
      await back;
    }
    tally.allow(PROXIED);
    const { lost } = await end;
    const { tasks } = manager.stats();
    assert.deepEqual([tasks.done, tasks.failed, tasks.accepted], [PROXIED - lost, lost, PROXIED]);
    // Two workers had one task each whenever the link was cut; as a rule some of them may not be run again.
    assert.ok(lost <= 8);
    assert.ok(tally.remote > 200);
    const report = await manager.close();
    assert.equal(report.workers.length, 4);
  }

  test('in two network namespaces, through TLS, and a link that falls silent', async (t) => {
    const network = makeNetwork(t);
    if (typeof network === 'string') return t.skip(network);
    const { name, near, cut, restore } = network;
    const made = certificate(t, near);
    if (typeof made === 'string') return t.skip(made);
    const { key, cert, certFile } = made;
    const manager = makeManager(t, { workers: 2, minWorkers: 2, listen: { host: near, tls: { key, cert } } });
    await manager.ready();
    const start = joined(manager, 2);
    const options = ['--workers', '2', '--tls-ca', certFile];
    const program = work(t, manager, options, undefined, ['ip', 'netns', 'exec', name]);
    await start;
    const tally = await Tally.of(t, manager, TASKS, remotesOf(manager));
    const end = tally.run();
    // For a moment: nobody notices.
    await both(tally, 0.4 * TASKS);
    cut();
    const { done } = tally;
    tally.allow(0.5 * TASKS);
    await tally.until(() => tally.done > done + 100);
    restore();
    await both(tally, 0.7 * TASKS);
    assert.equal(manager.workers.length, 4);
    // For so long that both ends notice.
    const gone = exits(manager, 2);
    cut();
    tally.allow(0.8 * TASKS);
    await gone;
    await program.said(/trying again/);
    const back = joined(manager, 2);
    restore();
    await back;
    tally.allow(TASKS);
    const { lost } = await end;
    assert.ok(lost <= 2);
    assert.equal(manager.stats().tasks.done, TASKS - lost);
  });
});
