// docs/errors.md has each code once, with the class that bears it, and no others.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import * as bosun from '../lib/index.js';

const ROOT = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');

const errors = read('lib/errors.ts');
/** The first two cells of each row that begins with a code. */
const rows = [...read('docs/errors.md').matchAll(/^\| `((?:ERR_)?BOSUN_\w+)` +\| ([^|]+) \|/gm)].map(
  ([, code, second]) => ({ code: code as string, second: (second as string).trim() }),
);
const codesOf = (prefix: string): string[] =>
  rows
    .map(({ code }) => code)
    .filter((code) => code.startsWith(prefix))
    .sort();

describe('docs/errors.md', () => {
  test('has every code, once', () => {
    const declared = /export type ErrorCode =([^;]*);/.exec(errors)?.[1]?.match(/ERR_BOSUN_\w+/g) ?? [];
    assert.ok(declared.length > 30);
    assert.deepEqual(codesOf('ERR_'), [...declared].sort());
  });

  test('names the class that bears the code, which is exported', () => {
    for (const body of errors.split(/^export class /m).slice(1)) {
      const name = /^\w+/.exec(body)?.[0] as string;
      assert.ok(Object.hasOwn(bosun, name), name);
      const code = /'(ERR_BOSUN_\w+)'/.exec(body)?.[1];
      if (code === undefined) continue;
      const row = rows.find((one) => one.code === code);
      assert.match(row?.second ?? '', new RegExp(`^${name}\\b`), code);
    }
  });

  test('has every process warning, once', () => {
    const files = readdirSync(new URL('lib', ROOT), { recursive: true, encoding: 'utf8' });
    const sources = files.filter((file) => file.endsWith('.ts')).map((file) => read(`lib/${file}`));
    const used = new Set(sources.flatMap((source) => source.match(/\bBOSUN_W\d+/g) ?? []));
    assert.ok(used.size > 5);
    assert.deepEqual(codesOf('BOSUN_W'), [...used].sort());
  });
});
