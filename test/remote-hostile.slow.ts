// What strangers, and clients with the token, may do to a server: nothing that others notice.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { encodeFrame, FRAME, PersistentRemoteWorker, Worker } from '../lib/index.js';
import { encodePayload } from '../lib/internals.js';
import { at } from './fixtures/worker-kinds.js';

const FIXTURES = fileURLToPath(new URL('./fixtures/', import.meta.url));
const MAIN = fileURLToPath(new URL('../lib/cli/main.js', import.meta.url));
const TOKEN = 'long enough to be one, and secret';

let folder: string;
let child: ChildProcess;
let port: number;
const refusals: string[] = [];

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bosun-hostile-'));
  symlinkSync(FIXTURES, join(folder, 'fixtures'));
  writeFileSync(join(folder, 'token'), TOKEN);
  writeFileSync(join(folder, 'outside.mjs'), 'export const f = () => "outside";');
  const args = ['serve', '--port', '0', '--allow', FIXTURES, '--root', FIXTURES, '--token-file', join(folder, 'token')];
  child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  createInterface({ input: child.stderr as Readable }).on('line', (line) => {
    if (line.includes('[BOSUN_W005]')) refusals.push(line);
  });
  const [line] = (await once(createInterface({ input: child.stdout as Readable }), 'line')) as [string];
  port = Number(line.split(':').pop());
});
after(async () => {
  child.kill();
  await once(child, 'close');
  rmSync(folder, { recursive: true });
  assert.deepEqual(Worker.activeChildren(), []);
});
beforeEach(() => {
  refusals.length = 0;
});

const START = 0x68;
const hello = (token = TOKEN): Uint8Array => encodeFrame(FRAME.HELLO, Buffer.from(token));
const frame = (type: number, value: unknown): Uint8Array => encodeFrame(type, Uint8Array.from(encodePayload(value)));
const details = { args: [3], hasKwargs: false, persistent: false, diesOnError: true };
const start = (module: unknown, exportName: unknown): Uint8Array => frame(START, [{ module, exportName }, details]);

/** Says something, and waits until it is sent away; what it was told. */
async function say(...parts: readonly Uint8Array[]): Promise<string> {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  for (const part of parts) socket.write(part);
  // Not `once`: to be reset is an end as well.
  await new Promise((resolve) => socket.once('close', resolve));
  return Buffer.concat(chunks).toString('latin1');
}

/** The server has told of them: standard error comes a moment later. */
async function refused(count: number, pattern: RegExp): Promise<void> {
  while (refusals.length < count) await turn();
  assert.ok(
    refusals.every((line) => pattern.test(line)),
    refusals.find((line) => !pattern.test(line)),
  );
  assert.equal(refusals.length, count);
}

/** Whoever is honest notices nothing of what happens meanwhile. */
async function unaffected(body: () => Promise<void>): Promise<void> {
  await using worker = new PersistentRemoteWorker<number>({
    target: at('square'),
    host: { port },
    token: TOKEN,
  });
  assert.equal(await worker.call(2), 4);
  let isOver = false;
  const ended = body().finally(() => {
    isOver = true;
  });
  ended.catch(() => {});
  for (let i = 0; !isOver; i++) {
    assert.equal(await worker.call(i), i ** 2);
    await turn();
  }
  await ended;
  assert.equal(await worker.call(3), 9);
}

/** Numbers that look random, from a seed that can be used again. */
function* numbers(seed: number): Generator<number, never> {
  for (let x = seed; ; ) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    yield x >>> 0;
  }
}

const descriptors = () => readdirSync(`/proc/${child.pid}/fd`).length;

const residentKib = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]);

/** A connection that kept so much would show. */
const LEAK_KIB = 64;

describe('a server', () => {
  test('outlives a thousand who connect and go', (t) =>
    unaffected(async () => {
      const storm = async (count: number) => {
        for (let i = 0; i < count; i += 50) {
          await Promise.all(
            Array.from({ length: 50 }, async () => {
              const socket = connect(port, '127.0.0.1').on('error', () => {});
              await once(socket, 'connect');
              socket.destroy();
            }),
          );
        }
      };
      await storm(100);
      while (refusals.length < 100) await turn();
      const then = existsSync('/proc/self/fd') ? { open: descriptors(), kib: residentKib() } : undefined;
      await storm(1_000);
      await refused(1_100, /went away without a token|too many others/);
      if (then === undefined) return t.diagnostic('no /proc: descriptors were not counted');
      assert.equal(descriptors(), then.open);
      assert.ok(residentKib() - then.kib < 1_000 * LEAK_KIB);
    }));

  test('lets those in who say their token while others say nothing', async (t) => {
    const silent: Socket[] = [];
    t.after(() => {
      for (const socket of silent) socket.destroy();
    });
    for (let i = 0; i < 200; i++) {
      const socket = connect(port, '127.0.0.1').on('error', () => {});
      silent.push(socket);
      await once(socket, 'connect');
    }
    await unaffected(async () => {
      for (const socket of silent) socket.destroy();
    });
    await refused(200, /too many others|went away|sent no token/);
  });

  test('sends away who talks at random, before the token and behind it', () =>
    unaffected(async () => {
      const seed = (Date.now() % 2 ** 31) + 1;
      const random = numbers(seed);
      const bytes = () =>
        Buffer.from(Array.from({ length: 9 + (random.next().value % 200) }, () => random.next().value));
      try {
        for (let i = 0; i < 50; i++) {
          const [first, second] = [bytes(), bytes()];
          // Neither the start of a hello, nor that of a frame that may still come.
          first[0] = 0xff;
          await say(first);
          second.fill(0xff, 1, 9);
          await say(hello(), second);
        }
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
      await refused(100, /no hello|frame/i);
    }));

  test('tells nothing to who has a wrong token, and says so once', () =>
    unaffected(async () => {
      for (const token of ['', 'x', TOKEN.slice(0, -1), `${TOKEN}x`, TOKEN.toUpperCase()]) {
        assert.equal(await say(hello(token), start('worker-targets.js', 'square')), '');
      }
      await refused(5, /its token is wrong/);
    }));

  test('takes one hello and one start; who repeats the bytes of another runs something of their own', () =>
    unaffected(async () => {
      const whole = Buffer.concat([hello(), start('worker-targets.js', 'square')]);
      const [first, second] = [await say(whole), await say(whole)];
      assert.ok(first.length > 0 && second.length > 0);
      await say(hello(), hello());
      await say(hello(), hello(), start('worker-targets.js', 'square'));
      const forEver = start('worker-targets.js', 'untilStopped');
      await say(hello(), forEver, hello());
      await say(hello(), forEver, forEver);
      await refused(4, /client says first|payload/);
      // With the token, and then silent.
      await say(hello());
      await refused(5, /client says first|payload|said nothing/);
    }));

  test('reads no frame that is too long', () =>
    unaffected(async () => {
      for (const length of [2n ** 32n, 2n ** 63n, 2n ** 64n - 1n]) {
        const header = Buffer.alloc(9);
        header[0] = START;
        header.writeBigUInt64LE(length, 1);
        await say(hello(), header);
        header[0] = FRAME.HELLO;
        await say(header);
      }
      await refused(6, /too long|longer|bytes/);
    }));

  test('loads no module from elsewhere, whatever it is called', () =>
    unaffected(async () => {
      symlinkSync(join(folder, 'outside.mjs'), join(folder, 'link.mjs'));
      const inside = pathToFileURL(FIXTURES).href;
      const names = [
        '../../etc/passwd.js',
        '../../../../../../../../etc/passwd',
        '/etc/passwd',
        join(folder, 'outside.mjs'),
        join(folder, 'link.mjs'),
        join(folder, 'fixtures', '..', 'outside.mjs'),
        '..%2f..%2fetc%2fpasswd.js',
        '%2e%2e/%2e%2e/etc/passwd',
        `${inside}..%2f..%2f..%2fetc/passwd`,
        `${inside}%2e%2e/%2e%2e/package.json`,
        pathToFileURL(join(folder, 'outside.mjs')).href,
        'file://elsewhere/x.js',
        'data:text/javascript,export const f = () => 1',
        'node:child_process',
        'http://127.0.0.1/x.js',
        'worker-targets.js\0.txt',
        '..',
        '__proto__',
        'x\n(node:1) [BOSUN_W005] Warning: forged',
      ];
      for (const name of names) {
        const told = await say(hello(), start(name, 'f'));
        assert.match(told, /NotPortableError/, name);
        assert.doesNotMatch(told, /outside"|root:/, name);
      }
      await refused(names.length, /this host (has no|does not load)|remote worker runs/);
    }));

  test('calls nothing that is no export, and is not fooled by names', () =>
    unaffected(async () => {
      for (const name of ['__proto__', 'constructor', 'then', '', 5, null, {}, ['square']]) {
        const told = await say(hello(), start('worker-targets.js', name));
        assert.match(told, /InvalidArgumentError|NotPortableError/, String(name));
      }
      await refused(8, /an export is named|remote worker runs/);
      for (const name of ['toString', 'hasOwnProperty', 'valueOf', 'no such']) {
        assert.match(await say(hello(), start('worker-targets.js', name)), /exports no function/);
      }
      const polluted = JSON.parse('{ "module": "worker-targets.js", "exportName": "square", "__proto__": { "x": 1 } }');
      assert.doesNotMatch(await say(hello(), frame(START, [polluted, details])), /NotPortable/);
    }));
});
