// The graph of the build: what requires what. `npx bosun graph examples/build/graph.mjs --svg graph.svg` draws it, and
// `npx bosun make examples/build/graph.mjs` makes it.

import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Task } from 'bosun';

export const PAGES = fileURLToPath(new URL('./pages/', import.meta.url));

/** @type {readonly import('./steps.mjs').Kind[]} */
const KINDS = ['br', 'gz'];

/**
 * @param {string} name
 * @param {string} step
 * @param {unknown[]} args
 */
const task = (name, step, args) => Task.from(new URL('./steps.mjs', import.meta.url), step, args, { name });

/**
 * @param {string} [pages] the folder of the pages
 * @param {string} [out] where the files go
 */
export default function buildGraph(pages = PAGES, out = join(tmpdir(), 'bosun-build')) {
  const files = readdirSync(pages).filter((file) => file.endsWith('.md'));
  const compiled = files.map((file) => task(`compile ${file}`, 'compile', [join(pages, file), out]));
  const bundle = task('bundle', 'bundle', [compiled.map(({ name }) => name), out]);
  for (const page of compiled) bundle.require(page);
  const packed = KINDS.map((kind) => bundle.andThen(task(`compress ${kind}`, 'compress', [kind])));
  const check = task('check', 'check', [KINDS, out]).require(bundle);
  for (const file of packed) check.require(file);
  return check;
}
