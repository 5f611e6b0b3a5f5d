// @ts-check
// The report: its schema, how it is made, how it is written.

import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { extname } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** @import { Tally } from './tally.mjs' */
/** @import { FileResult, Skipped, Trouble } from './tasks.mjs' */

/**
 * What `--out` writes, one file a line. Bytes are bytes, times are milliseconds.
 *
 * @typedef {object} Report
 * @property {1} schema
 * @property {boolean} complete false when it was interrupted, or when a task failed: something may be missing
 * @property {string[]} roots
 * @property {number} quality of brotli
 * @property {string} startedAt ISO 8601
 * @property {number} durationMs of this run, without those that it resumed
 * @property {Totals} totals
 * @property {Duplicate[]} duplicates by the bytes they waste, most first
 * @property {Type[]} types by how well they compress, best first
 * @property {Worker[]} workers of this run
 * @property {Trouble[]} errors what could not be measured, and why
 * @property {Skipped[]} skipped links, fifos, sockets, devices
 * @property {FileResult[]} files in the order in which they were finished
 *
 * @typedef {object} Totals
 * @property {number} directories
 * @property {number} found files that the walk has met
 * @property {number} files of these, the measured ones
 * @property {number} resumed of these, the ones that an earlier run had measured
 * @property {number} bytes
 * @property {number} compressed
 * @property {number} readBytes what this run itself has read
 * @property {number} duplicates files whose content another file has
 * @property {number} wastedBytes
 *
 * @typedef {object} Duplicate Files of one content. Empty files waste nothing and are left out.
 * @property {string} sha256
 * @property {number} size
 * @property {number} wastedBytes `size` for each copy but one; further names of one copy (hard links) cost nothing
 * @property {string[]} paths
 *
 * @typedef {{ extension: string, files: number, bytes: number, compressed: number }} Type
 * @typedef {{ pid: number, files: number, bytes: number, busyMs: number }} Worker
 */

/**
 * @param {Tally} tally
 * @param {{ roots: string[], quality: number, startedAt: Date, durationMs: number, interrupted: boolean }} run
 * @returns {Report}
 */
export function makeReport(tally, { roots, quality, startedAt, durationMs, interrupted }) {
  const { directories, found, bytes, compressed, readBytes, resumed, files, errors, skipped } = tally;
  const duplicates = findDuplicates(files);
  const totals = {
    directories,
    found,
    files: files.length,
    resumed,
    bytes,
    compressed,
    readBytes,
    duplicates: duplicates.reduce((sum, { paths }) => sum + paths.length - 1, 0),
    wastedBytes: duplicates.reduce((sum, { wastedBytes }) => sum + wastedBytes, 0),
  };
  return {
    schema: 1,
    complete: !interrupted && tally.failures === 0,
    roots,
    quality,
    startedAt: startedAt.toISOString(),
    durationMs: Math.round(durationMs),
    totals,
    duplicates,
    types: groupTypes(files),
    workers: [...tally.workers.values()].sort((a, b) => a.pid - b.pid),
    errors,
    skipped,
    files,
  };
}

/**
 * @param {readonly FileResult[]} files
 * @returns {Duplicate[]}
 */
function findDuplicates(files) {
  /** @type {Map<string, FileResult[]>} */
  const contents = new Map();
  for (const file of files) {
    const same = contents.get(file.sha256);
    if (same !== undefined) same.push(file);
    else if (file.size > 0) contents.set(file.sha256, [file]);
  }
  return [...contents]
    .filter(([, copies]) => copies.length > 1)
    .map(([sha256, copies]) => {
      const size = copies[0]?.size ?? 0;
      const stored = new Set(copies.map(({ inode, path }) => inode ?? path));
      return { sha256, size, wastedBytes: size * (stored.size - 1), paths: copies.map(({ path }) => path).sort() };
    })
    .sort((a, b) => b.wastedBytes - a.wastedBytes);
}

/**
 * @param {readonly FileResult[]} files
 * @returns {Type[]}
 */
function groupTypes(files) {
  /** @type {Map<string, Type>} */
  const types = new Map();
  for (const { path, size, compressed } of files) {
    const extension = extname(path).toLowerCase() || '(none)';
    const type = types.get(extension) ?? { extension, files: 0, bytes: 0, compressed: 0 };
    type.files += 1;
    type.bytes += size;
    type.compressed += compressed;
    types.set(extension, type);
  }
  return [...types.values()].sort((a, b) => ratioOf(a) - ratioOf(b));
}

/**
 * What is left after compression: 0.25 is a quarter.
 *
 * @param {{ bytes: number, compressed: number }} sizes
 */
export function ratioOf({ bytes, compressed }) {
  return bytes === 0 ? 1 : compressed / bytes;
}

/**
 * Writes the report. A reader of `path` sees an old report or the whole new one, never a part of it.
 *
 * @param {string} path
 * @param {Report} report
 */
export async function writeReport(path, report) {
  const unfinished = `${path}.${randomUUID()}`;
  try {
    await pipeline(linesOf(report), createWriteStream(unfinished, { flags: 'wx' }));
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}

/**
 * Piece by piece: the text of a million files is longer than a string can be.
 *
 * @param {Report} report
 */
function* linesOf({ files, ...summary }) {
  yield `${JSON.stringify(summary, null, 2).slice(0, -2)},\n  "files": [`;
  for (const [i, file] of files.entries()) yield `${i === 0 ? '' : ','}\n    ${JSON.stringify(file)}`;
  yield '\n  ]\n}\n';
}
