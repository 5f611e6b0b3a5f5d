// Servers over ssh: with a program that does what ssh does, and with ssh itself where there is a daemon for it.

import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  RemoteContext,
  type RemoteServerProcess,
  RemoteWorker,
  type SshServerOptions,
  sshServer,
  type TunnelAddress,
  Worker,
  WorkerStartError,
  WorkerTerminatedError,
} from '../lib/index.js';
import { alive, untilGone } from './fixtures/alive.js';
import { makeDirectory } from './fixtures/scene.js';
import { at, running } from './fixtures/worker-kinds.js';

const FIXTURES = fileURLToPath(new URL('./fixtures/', import.meta.url));
const MAIN = fileURLToPath(new URL('../lib/cli/main.js', import.meta.url));
const CLIENT = join(FIXTURES, 'ssh-client.js');
const COMMAND = [process.execPath, MAIN];

let folder: string;
let fake: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'bosun-ssh-test-'));
  fake = join(folder, 'ssh');
  writeFileSync(fake, `#!/bin/sh\nexec '${process.execPath}' '${join(FIXTURES, 'fake-ssh.js')}' "$@"\n`);
  chmodSync(fake, 0o755);
});
after(() => {
  rmSync(folder, { recursive: true });
  assert.deepEqual(Worker.activeChildren(), []);
});

/** The folder that a server over there has made for its socket, by its command line; none where nobody can look. */
function socketFolder(words: readonly string[]): string {
  const path = words[words.indexOf('--tunnel') + 1];
  return words.includes('--tunnel') && path !== undefined ? dirname(path) : join(folder, 'none');
}

async function socketFolderOf({ address: host, token }: RemoteServerProcess<TunnelAddress>): Promise<string> {
  const worker = new RemoteWorker<[number, string[]]>({ host, token, target: at('parentOf') });
  await worker.wait();
  return socketFolder(worker.result?.[1] ?? []);
}

async function started(
  t: TestContext,
  options: Partial<SshServerOptions> = {},
): Promise<RemoteServerProcess<TunnelAddress>> {
  const server = await sshServer({ host: 'works', command: COMMAND, sshCommand: fake, ...options });
  t.after(() => server.terminate());
  return server;
}

/** Through everything that a user does with one. */
async function tryAll(t: TestContext, options: Partial<SshServerOptions>): Promise<void> {
  const server = await started(t, { root: FIXTURES, allowModules: ['worker-targets.js'], ...options });
  const { address: host, token } = server;
  const remote = { host, token };
  const square = new RemoteWorker<number>({ ...remote, target: './worker-targets.js#square', args: [7] });
  await square.wait();
  assert.equal(square.result, 49);
  const other = new RemoteWorker({ ...remote, target: './tasks.js#x' });
  await other.wait();
  assert.match(other.error?.message ?? '', /what it may load does not include it/);
  await using context = new RemoteContext({ ...remote, target: at('untilStopped') });
  const worker = context.worker();
  await running(worker);
  const { pid } = worker;
  const there = await socketFolderOf(server);
  await server.terminate();
  await worker.wait();
  assert.ok(worker.error instanceof WorkerTerminatedError);
  assert.deepEqual([alive(pid), alive(server.pid), server.isAlive()], [false, false, false]);
  assert.deepEqual([dirname(host.path), there].map(existsSync), [false, false]);
}

/** A program with a server and a worker: the pids of what it has started. */
async function program(t: TestContext, options: Partial<SshServerOptions>) {
  const child = spawn(process.execPath, [CLIENT, JSON.stringify({ host: 'works', command: COMMAND, ...options })], {
    stdio: ['ignore', 'pipe', 'inherit'],
    // One that is killed cannot remove its own end of the tunnel.
    env: { ...process.env, XDG_RUNTIME_DIR: await makeDirectory(t) },
  });
  t.after(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout as Readable });
  const [line] = (await Promise.race([once(lines, 'line'), once(lines, 'close')])) as [string?];
  assert.ok(line !== undefined);
  return { child, ...(JSON.parse(line) as { pids: number[]; words: string[] }) };
}

async function diesWithItsProgram(t: TestContext, options: Partial<SshServerOptions>): Promise<void> {
  const { child, pids, words } = await program(t, options);
  assert.ok(pids.length === 3 && pids.every(alive));
  child.kill('SIGKILL');
  await untilGone(pids);
  assert.equal(existsSync(socketFolder(words)), false);
}

describe('a server over something like ssh', () => {
  test('runs workers, and leaves nothing behind', (t) => tryAll(t, {}));

  test('ends with its program', (t) => diesWithItsProgram(t, { sshCommand: fake }));

  test('ends when ssh does, and its workers say so', async (t) => {
    const server = await started(t);
    const there = await socketFolderOf(server);
    const worker = new RemoteWorker({ target: at('untilStopped'), host: server.address, token: server.token });
    await running(worker);
    const { pid } = worker;
    process.kill(server.pid as number, 'SIGKILL');
    assert.equal((await server.exited).exitSignal, 'SIGKILL');
    await worker.wait();
    assert.equal(worker.hasError, true);
    await untilGone([pid]);
    while (existsSync(there)) await turn();
  });

  test('says why it did not start', async (t) => {
    const refused = async (options: Partial<SshServerOptions>, pattern: RegExp) => {
      await assert.rejects(started(t, options), (error: Error) => {
        assert.ok(error instanceof WorkerStartError);
        assert.match(error.message, pattern);
        return true;
      });
    };
    await refused({ host: 'refuses' }, /on refuses .*exit code 255: .*Permission denied \(publickey\)/);
    await refused({ sshCommand: join(folder, 'no-such-ssh') }, /ENOENT/);
    await refused(
      { command: [join(folder, 'no-such-bosun')] },
      /exit code 127; 'command' .*no-such-bosun: .*not found/s,
    );
    await refused({ command: [process.execPath, '-e', '0'] }, /exit code 0/);
    await refused({ host: 'hangs', connectTimeout: 2_000 }, /within 2000 ms: \d+$/);
    // It was killed.
    await refused({ host: 'hangs', connectTimeout: 0 }, /within 0 ms/);
  });

  test('takes nothing that ssh or a shell would take for something else', async () => {
    const invalid = { code: 'ERR_BOSUN_INVALID_ARGUMENT' };
    for (const options of [
      { host: '-oProxyCommand=touch /tmp/x' },
      { host: '' },
      { host: 'a b' },
      { host: 'a;b' },
      { host: 'a\nb' },
      { host: 'works', user: '-x' },
      { host: 'works', user: 'a b' },
      { host: 'works', command: [] },
      { host: 'works', command: ['a\nb'] },
      { host: 'works', command: 'bosun' },
      { host: 'works', allowModules: ['--tls-key'] },
      { host: 'works', identityFile: 5 },
      { host: 'works', unknown: 1 },
      {},
    ]) {
      await assert.rejects(sshServer({ sshCommand: fake, ...options } as never), invalid, JSON.stringify(options));
    }
    await assert.rejects(sshServer({ host: 'works', port: 0 }), { code: 'ERR_BOSUN_OUT_OF_RANGE' });
  });

  test('tells no secret to whoever lists processes', async (t) => {
    if (!existsSync('/proc/self/cmdline')) return t.skip('no /proc');
    const server = await started(t);
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      let line = '';
      try {
        line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      } catch {
        // It is gone.
      }
      assert.ok(!line.includes(server.token));
    }
  });
});

/** A daemon of this test's own, or the reason why there is none. */
async function daemon(t: TestContext): Promise<Partial<SshServerOptions> | string> {
  const sshd = ['/usr/sbin/sshd', '/usr/local/sbin/sshd', '/usr/bin/sshd'].find((path) => existsSync(path));
  if (sshd === undefined || spawnSync('ssh', ['-V']).error !== undefined) return 'no ssh and sshd here';
  const home = mkdtempSync(join(tmpdir(), 'bosun-sshd-'));
  t.after(() => rmSync(home, { recursive: true }));
  for (const name of ['host', 'user']) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(home, name)]);
  }
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  const config = [
    `ListenAddress 127.0.0.1:${port}`,
    `HostKey ${home}/host`,
    `AuthorizedKeysFile ${home}/user.pub`,
    'PidFile none',
    'StrictModes no',
    'UsePAM no',
    'PasswordAuthentication no',
  ];
  writeFileSync(join(home, 'sshd'), `${config.join('\n')}\n`);
  const [type = '', key = ''] = readFileSync(join(home, 'host.pub'), 'utf8').split(' ');
  writeFileSync(join(home, 'known'), `[127.0.0.1]:${port} ${type} ${key}\n`);
  writeFileSync(join(home, 'config'), `UserKnownHostsFile ${home}/known\nGlobalKnownHostsFile none\n`);
  const child = spawn(sshd, ['-D', '-e', '-f', join(home, 'sshd')], { stdio: ['ignore', 'ignore', 'pipe'] });
  const lines = createInterface({ input: child.stderr });
  const said: string[] = [];
  const isUp = await new Promise<boolean>((resolve) => {
    lines.on('line', (line) => {
      said.push(line);
      if (line.startsWith('Server listening')) resolve(true);
    });
    lines.once('close', () => resolve(false));
  });
  if (!isUp) return `sshd does not run here: ${said.join(' ')}`;
  t.after(async () => {
    child.kill();
    await once(child, 'close');
  });
  return {
    host: '127.0.0.1',
    user: userInfo().username,
    port,
    identityFile: join(home, 'user'),
    configFile: join(home, 'config'),
    sshCommand: 'ssh',
  };
}

describe('a server over ssh', () => {
  test('runs workers, leaves nothing behind, and ends with its program', async (t) => {
    const options = await daemon(t);
    if (typeof options === 'string') return t.skip(options);
    await tryAll(t, options);
    await diesWithItsProgram(t, options);
    await assert.rejects(started(t, { ...options, identityFile: MAIN }), /Permission denied/);
    await assert.rejects(started(t, { ...options, port: 1 }), /Connection refused/);
    await assert.rejects(started(t, { ...options, command: ['no-such-bosun'] }), /exit code 127/);
  });
});
