// Puts the compiled library into few files: to find and read a module costs a process half a millisecond, and each worker
// is a process. Runs behind tsc, whose declarations stay.

import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rollup } from '@rollup/wasm-node';

const FOLDER = fileURLToPath(new URL('../dist/lib', import.meta.url));

/** What is started or imported by its name; all else is inside of these or of what they share. */
const ENTRIES = [
  'index',
  'internals',
  'runtime/main',
  'runtime/worker',
  'runtime/thread',
  'runtime/task-thread',
  'remote/main',
  'crew/hand-main',
  'task/svg-thread',
  'cli/main',
];

const bundle = await rollup({
  input: Object.fromEntries(ENTRIES.map((name) => [name, join(FOLDER, `${name}.js`)])),
  external: (id) => !/^[./]/.test(id),
  onLog(_level, log) {
    throw new Error(log.message);
  },
});
// Everything has been read.
for (const name of readdirSync(FOLDER, { recursive: true })) {
  if (/\.js(\.map)?$/.test(name)) rmSync(join(FOLDER, name));
}
await bundle.write({
  dir: FOLDER,
  format: 'es',
  chunkFileNames: 'shared/[name]-[hash].js',
  hoistTransitiveImports: false,
});
