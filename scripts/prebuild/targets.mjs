// The platforms that binaries are released for.

import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The oldest glibc that the binaries run with: that of Debian 10, RHEL 8 and the official Node.js 20. */
export const GLIBC = '2.28';
/** The oldest macOS. */
export const MACOS = '11.0';

/** Each name is that of its folder in prebuilds/, as lib/load-native.ts makes it up; `zig` is how the compiler calls it. */
export const TARGETS = [
  { name: 'linux-x64-glibc', zig: `x86_64-linux-gnu.${GLIBC}`, format: 'elf', machine: 'X86-64' },
  { name: 'linux-arm64-glibc', zig: `aarch64-linux-gnu.${GLIBC}`, format: 'elf', machine: 'AArch64' },
  { name: 'linux-x64-musl', zig: 'x86_64-linux-musl', format: 'elf', machine: 'X86-64' },
  { name: 'linux-arm64-musl', zig: 'aarch64-linux-musl', format: 'elf', machine: 'AArch64' },
  { name: 'darwin-x64', zig: `x86_64-macos.${MACOS}`, format: 'mach-o', machine: 'x64' },
  { name: 'darwin-arm64', zig: `aarch64-macos.${MACOS}`, format: 'mach-o', machine: 'arm64' },
  { name: 'win32-x64', zig: 'x86_64-windows-gnu', format: 'pe', machine: 0x8664 },
];

/** Those with these names; all of them when there are none. */
export function targetsNamed(names) {
  for (const name of names) {
    if (TARGETS.some((target) => target.name === name)) continue;
    console.error(`${name} is none of ${TARGETS.map((target) => target.name).join(', ')}`);
    process.exit(2);
  }
  return names.length === 0 ? TARGETS : TARGETS.filter(({ name }) => names.includes(name));
}
