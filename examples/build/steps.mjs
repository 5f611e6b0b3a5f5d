// What the tasks do. Each step reads files and writes files, in whatever worker is free, and returns what the next ones need.

import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, brotliDecompress, gunzip, gzip } from 'node:zlib';
import { currentContext } from 'bosun';
import { toHtml } from './markdown.mjs';

const CODECS = {
  br: { pack: promisify(brotliCompress), unpack: promisify(brotliDecompress) },
  gz: { pack: promisify(gzip), unpack: promisify(gunzip) },
};

/** @typedef {keyof typeof CODECS} Kind */

/** @param {Buffer} bytes */
const hashOf = (bytes) => createHash('sha256').update(bytes).digest('hex');

/**
 * What a task that this one requires has returned.
 *
 * @template T
 * @param {string} name
 * @returns {T}
 */
const resultOf = (name) => /** @type {import('bosun').TaskContext} */ (currentContext()).resultOf(name);

/**
 * A page of Markdown becomes a piece of HTML.
 *
 * @param {string} source
 * @param {string} out the folder
 * @returns {Promise<string>} the file
 */
export async function compile(source, out) {
  const name = basename(source, '.md');
  const html = toHtml(await readFile(source, 'utf8'), basename(source));
  const file = join(out, `${name}.part.html`);
  await mkdir(out, { recursive: true });
  await writeFile(file, `<section id="${name}">\n${html}</section>\n`);
  return file;
}

/**
 * All pages become one file.
 *
 * @param {readonly string[]} pages the tasks that have compiled them
 * @param {string} out
 */
export async function bundle(pages, out) {
  const parts = await Promise.all(pages.map((page) => readFile(/** @type {string} */ (resultOf(page)), 'utf8')));
  const bytes = Buffer.from(`<!doctype html>\n<meta charset="utf-8">\n<title>Site</title>\n${parts.join('')}`);
  const file = join(out, 'site.html');
  await writeFile(file, bytes);
  return { file, hash: hashOf(bytes) };
}

/**
 * @param {Kind} kind
 * @returns {Promise<string>} the file
 */
export async function compress(kind) {
  const { file } = /** @type {{ file: string }} */ (resultOf('bundle'));
  const packed = `${file}.${kind}`;
  await writeFile(packed, await CODECS[kind].pack(await readFile(file)));
  return packed;
}

/**
 * Both compressed files hold the bundle, and every link in it leads somewhere.
 *
 * @param {readonly Kind[]} kinds
 * @param {string} out
 */
export async function check(kinds, out) {
  const { file, hash } = /** @type {{ file: string, hash: string }} */ (resultOf('bundle'));
  /** @type {Record<string, number>} */
  const sizes = {};
  for (const kind of kinds) {
    const packed = await readFile(/** @type {string} */ (resultOf(`compress ${kind}`)));
    if (hashOf(await CODECS[kind].unpack(packed)) !== hash)
      throw new Error(`site.html.${kind} does not hold site.html`);
    sizes[kind] = packed.length;
  }
  const html = await readFile(file, 'utf8');
  const places = new Set([...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => `#${id}`));
  const broken = [...html.matchAll(/ href="([^"]+)"/g)].filter(
    ([, place]) => place !== undefined && !places.has(place),
  );
  if (broken.length > 0) throw new Error(`links lead nowhere: ${broken.map(([, place]) => place).join(', ')}`);
  await writeFile(
    join(out, 'manifest.json'),
    `${JSON.stringify({ hash, sizes, files: (await readdir(out)).sort() })}\n`,
  );
  return { hash, sizes };
}
