// Runs at `npm install`: keeps a prebuilt binary that loads, otherwise compiles the addon for this machine.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** True when the packed loader finds a binary that this Node.js accepts. A clone is not compiled yet and always compiles. */
function prebuiltLoads() {
  const loader = join(root, 'dist', 'lib', 'index.js');
  if (!existsSync(loader) || existsSync(join(root, 'tsconfig.json'))) return false;
  // In a child: a binary for another libc may crash the process that tries it.
  const code = `await import(${JSON.stringify(pathToFileURL(loader).href)})`;
  return spawnSync(process.execPath, ['--input-type=module', '-e', code], { stdio: 'ignore' }).status === 0;
}

/** The project's own node-gyp in a clone, else the one that npm offers to install scripts. */
function nodeGyp() {
  try {
    return createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
  } catch {
    return process.env.npm_config_node_gyp;
  }
}

if (!prebuiltLoads()) {
  const gyp = nodeGyp();
  const command = gyp ? [process.execPath, gyp] : ['node-gyp'];
  const run = spawnSync(command[0], [...command.slice(1), 'configure', 'build', '--silent'], {
    cwd: root,
    stdio: 'inherit',
  });
  if (run.status !== 0) {
    console.error(
      'bosun: no prebuilt binary loads on this system and compiling the addon failed (the reason is above).\n' +
        'It needs python3, make and a C++20 compiler; then run: npm rebuild bosun',
    );
    process.exit(1);
  }
}
