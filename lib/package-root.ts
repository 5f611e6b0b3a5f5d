// Where the files of the package are, from wherever the code was bundled to.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The nearest folder upwards with a package.json. */
function findRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

export const PACKAGE_ROOT = findRoot();

/** The compiled library. */
export const LIBRARY = join(PACKAGE_ROOT, 'dist', 'lib');

/** What processes and threads are started with. */
export type EntryName =
  | 'runtime/main'
  | 'runtime/worker'
  | 'runtime/thread'
  | 'runtime/task-thread'
  | 'remote/main'
  | 'crew/hand-main'
  | 'task/svg-thread'
  | 'cli/main';

export function entryFile(name: EntryName): string {
  return join(LIBRARY, `${name}.js`);
}
