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

/**
 * What is in one file, from the bottom up: all that these import, and that is in no file before. Left to itself, rollup makes
 * one for each set of entries that share a module: 30 for a program that imports bosun, where these are six.
 */
const LAYERS = {
  worker: ['runtime/main', 'runtime/worker', 'runtime/thread', 'runtime/task-thread'],
  hand: ['crew/hand-main'],
  server: ['remote/main'],
  library: ['index'],
};

const input = Object.fromEntries(ENTRIES.map((name) => [name, join(FOLDER, `${name}.js`)]));

/** What entries import as they are loaded, and what that imports. */
function closure(names, getModuleInfo) {
  const found = new Set(names.map((name) => input[name]));
  for (const id of found) {
    for (const imported of getModuleInfo(id)?.importedIds ?? []) found.add(imported);
  }
  return found;
}

function layersOf(getModuleInfo) {
  const layers = new Map();
  const library = closure(LAYERS.library, getModuleInfo);
  // The command says its version, and how it is used, without the rest of the library.
  for (const id of closure(['cli/main'], getModuleInfo)) if (library.has(id)) layers.set(id, 'base');
  for (const [layer, names] of Object.entries(LAYERS)) {
    for (const id of closure(names, getModuleInfo)) if (!layers.has(id)) layers.set(id, layer);
  }
  // Entries are files of their own.
  for (const id of Object.values(input)) layers.delete(id);
  return layers;
}

let layers;

const bundle = await rollup({
  input,
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
  manualChunks(id, { getModuleInfo }) {
    layers ??= layersOf(getModuleInfo);
    return layers.get(id);
  },
});
