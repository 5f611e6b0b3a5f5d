// Targets in TypeScript: with a loader, with a Node.js that needs none, and with neither.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { ProcessManager, RemoteServer, RemoteWorker, Worker, type WorkerException } from '../lib/index.js';

let folder: string;
let execArgv: string[];
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'bosun-ts-'));
  writeFileSync(join(folder, 'square.ts'), 'export const square = (x: number): number => x ** 2;\n');
  writeFileSync(join(folder, 'outer.mjs'), "export { square } from './square.ts';\n");
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  // What a loader does, as little of it as the file above needs.
  const hooks = `
    import { readFileSync } from 'node:fs';
    import { fileURLToPath } from 'node:url';
    export async function load(url, context, next) {
      if (!url.endsWith('.ts')) return next(url, context);
      const source = readFileSync(fileURLToPath(url), 'utf8').replaceAll(': number', '');
      return { format: 'module', source, shortCircuit: true };
    }`;
  writeFileSync(join(folder, 'hooks.mjs'), hooks);
  writeFileSync(
    join(folder, 'loader.mjs'),
    "import { register } from 'node:module'; register('./hooks.mjs', import.meta.url);",
  );
  execArgv = ['--import', pathToFileURL(join(folder, 'loader.mjs')).href];
});
after(() => rmSync(folder, { recursive: true }));

/** By itself. */
const strips = Boolean((process.features as { typescript?: unknown }).typescript);

function isHelpful(error: unknown): void {
  const { code, message } = error as NodeJS.ErrnoException;
  assert.equal(code, 'ERR_BOSUN_NOT_PORTABLE');
  assert.match(message, /square\.ts.*--import/s);
}

describe('a target in TypeScript', () => {
  for (const type of ['process', 'thread'] as const) {
    test(`runs in a ${type} that has a loader`, async () => {
      const target = join(folder, 'square.ts#square');
      const worker = Worker.create<number>(type, { target, args: [3], execArgv });
      await worker.wait();
      assert.deepEqual([worker.result, worker.error], [9, undefined]);
    });

    test(`runs in a ${type} without one, or is told what it takes`, async () => {
      for (const file of ['square.ts', 'outer.mjs']) {
        const worker = Worker.create<number>(type, { target: join(folder, `${file}#square`), args: [3] });
        await worker.wait();
        if (strips) assert.equal(worker.result, 9);
        else isHelpful(worker.error);
      }
    });
  }

  test('is told so as a task, and on a server', async (t) => {
    if (strips) return t.skip('this Node.js runs it');
    const manager = new ProcessManager({ workers: 1 });
    t.after(() => manager.close());
    const run = manager.run({ module: join(folder, 'square.ts'), export: 'square' }, [3]);
    await assert.rejects(run, (error: WorkerException) => {
      isHelpful(error.cause);
      return true;
    });
    const server = new RemoteServer({ root: folder });
    t.after(() => server.terminate());
    const worker = new RemoteWorker({ target: './square.ts#square', host: await server.listen(), token: server.token });
    await worker.wait();
    isHelpful(worker.error);
  });
});
