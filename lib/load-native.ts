// Loads the addon. The only file that knows where binaries are.

import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { NativeLoadError } from './errors.js';
import { PACKAGE_ROOT } from './package-root.js';

type Bindings = (options: { bindings: string; module_root: string; try: string[][] }) => unknown;

const require = createRequire(import.meta.url);

const BINARY = 'bosun.node';

/** Enough for the header of an executable, and for the name of what the system starts it with. */
const HEAD_BYTES = 4096;

/** @throws the system's error. */
function headOf(file: string): Buffer {
  const descriptor = openSync(file, 'r');
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    return head.subarray(0, readSync(descriptor, head, 0, HEAD_BYTES, 0));
  } finally {
    closeSync(descriptor);
  }
}

/** Of this Node.js: by what it was linked with, or else by its report, which takes milliseconds to make. */
function isMusl(): boolean {
  const [, library] = /\/ld-(linux|musl)-/.exec(headOf(process.execPath).toString('latin1')) ?? [];
  if (library !== undefined) return library === 'musl';
  // The report would look up the network interfaces too, which takes a while on some hosts.
  const report = process.report as typeof process.report & { excludeNetwork?: boolean };
  report.excludeNetwork = true;
  const { header } = report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime === undefined;
}

/** `linux-x64-glibc`, `linux-arm64-musl`, `darwin-arm64`, ... */
function platform(): string {
  const base = `${process.platform}-${process.arch}`;
  if (process.platform !== 'linux') return base;
  return `${base}-${isMusl() ? 'musl' : 'glibc'}`;
}

/** An ELF file ends with the table of its sections. Who opens one that is cut short is ended by the system (SIGBUS). */
function assertWhole(file: string): void {
  const head = headOf(file);
  const isElf64 = head.length >= 64 && head.readUInt32BE(0) === 0x7f454c46 && head[4] === 2 && head[5] === 1;
  if (!isElf64) return;
  const end = Number(head.readBigUInt64LE(0x28)) + head.readUInt16LE(0x3a) * head.readUInt16LE(0x3c);
  const { size } = statSync(file);
  if (size < end) throw new Error(`only ${size} of its ${end} bytes are there; install bosun again`);
}

/** What the system says when a library does not fit is for those who know how it looks for libraries. */
function explain({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'is not there';
  const [reason = ''] = message.split('\n');
  const [, glibc] = /version [`']GLIBC_([\d.]+)' not found/.exec(reason) ?? [];
  if (glibc !== undefined) return `needs glibc ${glibc}, which is newer than the one here (${reason})`;
  // The second is what musl says.
  if (/ld-linux|libc\.so\.6|^Error relocating .*: symbol not found/.test(reason))
    return `was compiled for glibc, which is not here (${reason})`;
  if (/\blibc\.so\b/.test(reason)) return `was compiled for musl, which is not here (${reason})`;
  return reason;
}

const COMPILE = `To compile one (python3, make and a C++20 compiler are needed):
  npm rebuild bosun
or, where install scripts are switched off:
  npx node-gyp rebuild -C ${JSON.stringify(PACKAGE_ROOT)}`;

/** @throws NativeLoadError */
export function loadNative(): unknown {
  const directory = process.env['BOSUN_NATIVE_DIR'];
  const bindings = require('bindings') as Bindings;
  const causes: Error[] = [];
  // One call for each place: `bindings` stops at the first file that exists and does not load.
  function* places(): Generator<[root: string, ...folders: string[]]> {
    if (directory !== undefined) yield [directory];
    yield [PACKAGE_ROOT, 'build', 'Release'];
    yield [PACKAGE_ROOT, 'prebuilds', platform()];
  }
  for (const [module_root, ...folders] of places()) {
    const file = join(module_root, ...folders, BINARY);
    try {
      assertWhole(file);
      return bindings({ bindings: BINARY, module_root, try: [['module_root', ...folders, 'bindings']] });
    } catch (cause) {
      causes.push(new Error(`${file}: ${explain(cause as Error)}`, { cause }));
    }
  }
  throw new NativeLoadError(
    `bosun has no native binary for ${platform()} that loads into Node.js ${process.versions.node}. Tried:\n` +
      `${causes.map(({ message }) => `  - ${message}`).join('\n')}\n${COMPILE}`,
    { cause: new AggregateError(causes, 'every place that was tried') },
  );
}
