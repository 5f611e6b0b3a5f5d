// @ts-check
// The report for people: what the crawl prints at its end.

import { relative } from 'node:path';
import { ratioOf } from './report.mjs';

/** @import { Duplicate, Report, Type } from './report.mjs' */

/** Types with less than this in all say nothing about how the type compresses. */
const TYPE_BYTES = 64 * 1024;
const TYPES = 4;
const DUPLICATES = 5;
const TROUBLES = 5;

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** @param {number} bytes */
export function formatBytes(bytes) {
  const power = bytes < 1000 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${UNITS[power]}`;
}

/** @param {number} count */
export function formatCount(count) {
  return count.toLocaleString('en');
}

/**
 * A name for a terminal, on one line. A file may be called anything, also "\n" or a sequence that clears the screen.
 *
 * @param {string} name
 */
export function printable(name) {
  return name.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

/** @param {Report} report */
export function formatReport(report) {
  const [root = '', ...others] = report.roots;
  /** @param {string} path */
  const nameOf = (path) => printable(others.length === 0 ? relative(root, path) || path : path);
  return [
    ...summary(report),
    ...duplicates(report, nameOf),
    ...types(report.types),
    ...workers(report),
    ...troubles(report, nameOf),
  ].join('\n');
}

/** @param {Report} report */
function* summary({ totals, quality, durationMs }) {
  const { files, found, directories, bytes, compressed, readBytes, resumed } = totals;
  const seconds = Math.max(durationMs, 1) / 1000;
  const of = files === found ? '' : ` of ${formatCount(found)} found`;
  const filesPerSecond = formatCount(Math.round((files - resumed) / seconds));
  yield line(
    'files',
    `${formatCount(files)}${of} in ${formatCount(directories)} ${directories === 1 ? 'directory' : 'directories'}`,
  );
  if (resumed > 0) yield line('', `${formatCount(resumed)} of them measured by an earlier run`);
  yield line('bytes', formatBytes(bytes));
  yield line('compressed', `${formatBytes(compressed)}, ${percent(ratioOf(totals))} (brotli, quality ${quality})`);
  yield line('duplicates', `${formatCount(totals.duplicates)} files waste ${formatBytes(totals.wastedBytes)}`);
  yield line('throughput', `${formatBytes(readBytes / seconds)}/s, ${filesPerSecond} files/s, ${seconds.toFixed(1)} s`);
}

/**
 * @param {Report} report
 * @param {(path: string) => string} nameOf
 */
function duplicates({ duplicates }, nameOf) {
  const shown = duplicates.filter(({ wastedBytes }) => wastedBytes > 0).slice(0, DUPLICATES);
  if (shown.length === 0) return [];
  return [
    '',
    ...table(
      ['most wasted by duplicates', 'copies', 'each', 'wasted'],
      shown.map(({ paths, size, wastedBytes }) => [
        nameOf(paths[0] ?? ''),
        formatCount(paths.length),
        formatBytes(size),
        formatBytes(wastedBytes),
      ]),
    ),
  ];
}

/** @param {readonly Type[]} all */
function types(all) {
  const known = all.filter(({ bytes }) => bytes >= TYPE_BYTES);
  if (known.length === 0) return [];
  const best = known.slice(0, Math.min(TYPES, Math.ceil(known.length / 2)));
  const worst = known.slice(best.length).slice(-TYPES);
  /** @param {Type} type */
  const row = (type) => [
    printable(type.extension),
    formatCount(type.files),
    formatBytes(type.bytes),
    percent(ratioOf(type)),
  ];
  return [
    '',
    ...table(['best compressible types', 'files', 'bytes', 'left'], best.map(row)),
    ...(worst.length === 0
      ? []
      : ['', ...table(['worst compressible types', 'files', 'bytes', 'left'], worst.map(row))]),
  ];
}

/** @param {Report} report */
function workers({ workers, durationMs }) {
  if (workers.length === 0) return [];
  const bytes = workers.reduce((sum, worker) => sum + worker.bytes, 0);
  return [
    '',
    ...table(
      ['workers', 'files', 'bytes', 'share', 'busy'],
      workers.map((worker) => [
        `pid ${worker.pid}`,
        formatCount(worker.files),
        formatBytes(worker.bytes),
        percent(bytes === 0 ? 0 : worker.bytes / bytes),
        percent(durationMs === 0 ? 0 : worker.busyMs / durationMs),
      ]),
    ),
  ];
}

/**
 * @param {Report} report
 * @param {(path: string) => string} nameOf
 */
function* troubles({ errors, skipped }, nameOf) {
  if (errors.length > 0) {
    yield '';
    yield `${formatCount(errors.length)} could not be measured:`;
    for (const { path, code, reason } of errors.slice(0, TROUBLES))
      yield `  ${nameOf(path)}: ${printable(reason)} (${code})`;
    if (errors.length > TROUBLES) yield `  and ${formatCount(errors.length - TROUBLES)} more: --out lists all of them`;
  }
  if (skipped.length === 0) return;
  /** @type {Map<string, number>} */
  const reasons = new Map();
  for (const { reason } of skipped) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  yield '';
  yield `skipped: ${[...reasons].map(([reason, count]) => `${reason} (${formatCount(count)})`).join(', ')}`;
}

/**
 * @param {string} label
 * @param {string} text
 */
function line(label, text) {
  return `${label.padEnd(12)}${text}`;
}

/** @param {number} part */
function percent(part) {
  return `${(part * 100).toFixed(1)} %`;
}

/** With four figures of 10 behind it a line fits a terminal of 80. */
const NAME_WIDTH = 40;
const FIGURE_WIDTH = 10;

/**
 * The end of a path says more than its beginning.
 *
 * @param {string} path
 */
function shorten(path) {
  const characters = [...path];
  return characters.length <= NAME_WIDTH ? path : `…${characters.slice(1 - NAME_WIDTH).join('')}`;
}

/**
 * The first column to the left, figures to the right.
 *
 * @param {readonly string[]} head
 * @param {readonly (readonly string[])[]} rows
 */
function table(head, rows) {
  return [head, ...rows].map((cells) =>
    cells.map((cell, i) => (i === 0 ? shorten(cell).padEnd(NAME_WIDTH) : cell.padStart(FIGURE_WIDTH))).join(''),
  );
}
