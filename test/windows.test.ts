// What is different on Windows, as far as another system can show it: a process that is told that it runs there.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const PRETEND = 'data:text/javascript,Object.defineProperty(process,"platform",{value:"win32"})';

describe('on Windows', () => {
  test('what needs Unix sockets says so; workers are reached by streams over sockets of the addon', async () => {
    const program = fileURLToPath(new URL('./fixtures/as-windows.js', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', PRETEND, program]);
    const { address, ...rest } = JSON.parse(stdout);
    assert.equal(address.host, '127.0.0.1');
    assert.deepEqual(rest, {
      refused: Array(3).fill('ERR_BOSUN_UNSUPPORTED'),
      isEcho: true,
      lengths: Array.from({ length: 20 }, (_, i) => 100_000 * i),
      lost: 'ERR_BOSUN_WORKER_LOST',
    });
  });
});
