// A host that is gone without a word: neither its workers nor who waits for it stay; and who is only busy loses nothing.

import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { certificate } from './fixtures/certificate.js';
import { programOf } from './fixtures/own-process.js';

const PREPARE = 'ip link set lo up && ip addr add 10.99.0.1/32 dev lo && iptables -L -n >/dev/null';

/** In a network namespace: what it prints, or the reason why there is none. */
async function inOwnNetwork(t: TestContext, mode: string): Promise<unknown> {
  const tried = spawnSync('unshare', ['-n', 'sh', '-c', PREPARE], { encoding: 'utf8' });
  if (tried.status !== 0) return `no network namespace with iptables here: ${tried.error?.message ?? tried.stderr}`;
  const tls = certificate(t);
  if (typeof tls === 'string') return tls;
  const program = [process.execPath, programOf('half-open-program'), mode, tls.keyFile, tls.certFile];
  const { stdout } = await promisify(execFile)('unshare', [
    '-n',
    'sh',
    '-c',
    `${PREPARE} && exec "$@"`,
    '-',
    ...program,
  ]);
  return JSON.parse(stdout);
}

describe('between hosts', { concurrency: true }, () => {
  test('a worker whose client is lost ends, and its client hears of it, with words on their way too', async (t) => {
    const said = await inOwnNetwork(t, 'lost');
    if (typeof said === 'string') return t.skip(said);
    assert.deepEqual(said, [true, true]);
  });

  test('a client and a target that are busy for longer than a host may be silent lose nothing', async (t) => {
    const said = await inOwnNetwork(t, 'busy');
    if (typeof said === 'string') return t.skip(said);
    assert.deepEqual(said, [true, 100, 1]);
  });
});
