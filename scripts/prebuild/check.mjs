// Are the binaries in prebuilds/ what they have to be? `npm run prebuilds:check [-- names]`; exit code 1 when one is
// missing or is not, so that nothing is published.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { GLIBC, MACOS, ROOT, targetsNamed } from './targets.mjs';

const MAX_BYTES = 1_000_000;

const EXPORTS = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];

/** The libraries that each kind may need; all else is inside. */
const LIBRARIES = {
  glibc: /^(libc\.so\.6|libm\.so\.6|libpthread\.so\.0|libdl\.so\.2|librt\.so\.1|ld-linux-[a-z0-9-]+\.so\.\d)$/,
  musl: /^libc\.so$/,
  macos: /^\/usr\/lib\/libSystem\.B\.dylib$/,
  windows: /^(node\.exe|kernel32\.dll|ws2_32\.dll|msvcrt\.dll)$/i,
};

/** Compares 2.9 with 2.28 by their numbers. */
function isNewer(version, limit) {
  const [[a = 0, b = 0], [c = 0, d = 0]] = [version, limit].map((text) => text.split('.').map(Number));
  return a !== c ? a > c : b > d;
}

function* faultsOfElf(file, { name, machine }) {
  const text = execFileSync('readelf', ['-hdSVW', '--dyn-syms', file], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
    maxBuffer: 1 << 24,
  });
  const all = (pattern) => [...text.matchAll(pattern)].map(([, found]) => found);
  if (!new RegExp(`Machine: .*${machine}`).test(text)) yield `is not for ${machine}`;
  const libraries = LIBRARIES[name.endsWith('-musl') ? 'musl' : 'glibc'];
  for (const library of all(/\(NEEDED\).*\[(.+)\]/g)) if (!libraries.test(library)) yield `needs ${library}`;
  if (/\((RPATH|RUNPATH)\)/.test(text)) yield 'has an RPATH';
  if (!/NODELETE/.test(text)) yield 'may be unloaded';
  for (const version of new Set(all(/GLIBC_([\d.]+)/g))) {
    if (name.endsWith('-musl')) yield 'needs glibc';
    else if (isNewer(version, GLIBC)) yield `needs glibc ${version}`;
  }
  if (/\] \.(symtab|debug_\w+) /.test(text)) yield 'is not stripped';
  const exported = all(/ (?:GLOBAL|WEAK) +DEFAULT +\d+ (\S+)$/gm).toSorted();
  if (String(exported) !== String(EXPORTS)) yield `exports ${exported.join(', ') || 'nothing'}`;
}

/** The load commands of a 64-bit Mach-O file: its header and these are all that is looked at. */
function commandsOf(bytes) {
  const commands = [];
  for (let i = 0, at = 32; i < bytes.readUInt32LE(16); i++) {
    const length = bytes.readUInt32LE(at + 4);
    commands.push({ kind: bytes.readUInt32LE(at), body: bytes.subarray(at, at + length) });
    at += length;
  }
  return commands;
}

const MACH_O = { x64: 0x01000007, arm64: 0x0100000c };
const COMMAND = {
  SYMTAB: 0x2,
  DYLIB: 0xc,
  SEGMENT: 0x19,
  CODE_SIGNATURE: 0x1d,
  BUILD_VERSION: 0x32,
  RPATH: 0x8000001c,
};
const WEAK_DEFINES = 0x8000;

function* faultsOfMachO(file, { machine }) {
  const bytes = readFileSync(file);
  if (bytes.readUInt32LE(0) !== 0xfeedfacf || bytes.readUInt32LE(4) !== MACH_O[machine]) {
    yield `is not for ${machine}`;
    return;
  }
  const commands = commandsOf(bytes);
  const of = (kind) => commands.filter((command) => command.kind === kind).map(({ body }) => body);
  for (const body of of(COMMAND.DYLIB)) {
    const library = textAt(body, body.readUInt32LE(8));
    if (!LIBRARIES.macos.test(library)) yield `needs ${library}`;
  }
  if (of(COMMAND.RPATH).length > 0) yield 'has an RPATH';
  const [version] = of(COMMAND.BUILD_VERSION);
  const oldest = version && `${version.readUInt16LE(14)}.${version[13]}`;
  if (oldest === undefined || isNewer(oldest, MACOS)) yield `needs macOS ${oldest}`;
  // The kernel ends a process that loads unsigned code.
  if (machine === 'arm64' && of(COMMAND.CODE_SIGNATURE).length === 0) yield 'is not signed';
  if (of(COMMAND.SEGMENT).some((body) => textAt(body, 8).startsWith('__DWARF'))) yield 'has debug information';
  // Its linker keeps the names of all functions. Nobody else's are bound to them as long as this is not set.
  if ((bytes.readUInt32LE(24) & WEAK_DEFINES) !== 0) yield 'shares its functions with other libraries';
  const names = textOfSymbols(bytes, of(COMMAND.SYMTAB)[0]);
  for (const name of EXPORTS) if (!names.includes(`\0_${name}\0`)) yield `does not define ${name}`;
}

function textAt(bytes, at) {
  return bytes.toString('latin1', at, bytes.indexOf(0, at));
}

function textOfSymbols(bytes, table) {
  const start = table.readUInt32LE(16);
  return bytes.toString('latin1', start, start + table.readUInt32LE(20));
}

/** In a 64-bit file of Windows the lists are named by where they will be in memory. */
function* faultsOfPe(file, { name, machine }) {
  const bytes = readFileSync(file);
  const header = bytes.readUInt32LE(0x3c);
  const optional = header + 24;
  if (bytes.toString('latin1', header, header + 4) !== 'PE\0\0' || bytes.readUInt16LE(header + 4) !== machine) {
    yield `is not for ${name}`;
    return;
  }
  const sections = Array.from({ length: bytes.readUInt16LE(header + 6) }, (_, i) => {
    const at = optional + bytes.readUInt16LE(header + 20) + i * 40;
    return {
      address: bytes.readUInt32LE(at + 12),
      size: bytes.readUInt32LE(at + 16),
      offset: bytes.readUInt32LE(at + 20),
    };
  });
  const offsetOf = (address) => {
    const section = sections.find((one) => address >= one.address && address < one.address + one.size);
    return section === undefined ? bytes.length : address - section.address + section.offset;
  };
  const [exported, imported] = [112, 120].map((at) => offsetOf(bytes.readUInt32LE(optional + at)));
  for (let at = imported; bytes.readUInt32LE(at + 12) !== 0; at += 20) {
    const library = textAt(bytes, offsetOf(bytes.readUInt32LE(at + 12)));
    if (!LIBRARIES.windows.test(library)) yield `needs ${library}`;
  }
  const list = offsetOf(bytes.readUInt32LE(exported + 32));
  const names = Array.from({ length: bytes.readUInt32LE(exported + 24) }, (_, i) =>
    textAt(bytes, offsetOf(bytes.readUInt32LE(list + i * 4))),
  );
  for (const wanted of EXPORTS) if (!names.includes(wanted)) yield `does not export ${wanted}`;
}

const FAULTS = { elf: faultsOfElf, 'mach-o': faultsOfMachO, pe: faultsOfPe };

/** True when all of them are there and right; says what is wrong, and how large each is. */
export function check(targets) {
  let isFine = true;
  for (const target of targets) {
    const file = join(ROOT, 'prebuilds', target.name, 'bosun.node');
    const faults = [];
    if (!existsSync(file)) {
      faults.push('is missing: npm run prebuilds');
    } else {
      const { size } = statSync(file);
      if (size > MAX_BYTES) faults.push(`is too large: ${size} bytes`);
      faults.push(...FAULTS[target.format](file, target));
      if (faults.length === 0) console.log(`${target.name}: fine, ${size} bytes`);
    }
    for (const fault of faults) console.error(`${target.name} ${fault}`);
    isFine = isFine && faults.length === 0;
  }
  return isFine;
}

if (import.meta.main ?? process.argv[1] === import.meta.filename) {
  if (!check(targetsNamed(process.argv.slice(2)))) process.exit(1);
}
