// Which lines of dist/lib the tests ran, in every process that they started: `npm run coverage [-- test files]`.
//
// Each process writes what it has run when it exits (NODE_V8_COVERAGE); workers do so now and then too, for many of them
// are killed. A function or a block counts as run when any of them has run it. Lines are those of the compiled file.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const lib = pathToFileURL(join(root, 'dist/lib/')).href;

/** The code of one file, and for each character whether any process has run it. */
const files = new Map();

function fileOf(url) {
  let file = files.get(url);
  if (file === undefined) {
    const text = readFileSync(fileURLToPath(url), 'utf8');
    file = { text, run: new Uint8Array(text.length) };
    files.set(url, file);
  }
  return file;
}

/** Ranges are nested: inner ones have the last word on their part. */
function addScript({ url, functions }) {
  const { text, run } = fileOf(url);
  const here = new Uint8Array(text.length);
  const ranges = functions.flatMap((f) => f.ranges);
  ranges.sort((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset);
  for (const { startOffset, endOffset, count } of ranges) here.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  for (let i = 0; i < here.length; i++) run[i] |= here[i];
}

/** The numbers of the lines with code, and of those that nobody ran to their end. */
function linesOf({ text, run }) {
  const code = [];
  const missed = [];
  let at = 0;
  let inComment = false;
  for (const [i, line] of text.split('\n').entries()) {
    const start = at + line.length - line.trimStart().length;
    const end = at + line.trimEnd().length;
    at += line.length + 1;
    const trimmed = line.trim();
    if (trimmed.startsWith('/*')) inComment = true;
    const isCode = !inComment && trimmed !== '' && !trimmed.startsWith('//') && /[^{}()[\];,\s]/.test(trimmed);
    if (trimmed.endsWith('*/')) inComment = false;
    if (!isCode) continue;
    code.push(i + 1);
    for (let j = start; j < end; j++) {
      if (run[j] === 1 || /[\s{}()[\];,]/.test(text[j])) continue;
      missed.push(i + 1);
      break;
    }
  }
  return { code, missed };
}

/** 3, 4, 5, 9 as 3-5, 9. */
function inRanges(numbers) {
  const ranges = [];
  for (const number of numbers) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === number - 1) last[1] = number;
    else ranges.push([number, number]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(' ');
}

const given = process.argv.slice(2);
const tests = readdirSync(join(root, 'dist/test')).filter((name) => name.endsWith('.test.js'));
const chosen = given.length > 0 ? given : tests.map((name) => join('dist/test', name));
const directory = mkdtempSync(join(tmpdir(), 'bosun-coverage-'));
try {
  const hook = new URL('coverage-hook.mjs', import.meta.url).href;
  const env = { ...process.env, NODE_V8_COVERAGE: directory, NODE_OPTIONS: `--import ${hook}` };
  const args = ['--test', '--test-timeout=300000', ...chosen.map((path) => resolve(path))];
  const { status } = spawnSync(process.execPath, args, { cwd: root, env, stdio: ['ignore', 'ignore', 'inherit'] });
  for (const name of readdirSync(directory)) {
    let result;
    try {
      ({ result } = JSON.parse(readFileSync(join(directory, name), 'utf8')));
    } catch {
      // It was killed while it wrote this.
      continue;
    }
    for (const script of result) if (script.url.startsWith(lib)) addScript(script);
  }
  const total = { code: 0, missed: 0 };
  for (const url of [...files.keys()].sort()) {
    const { code, missed } = linesOf(files.get(url));
    total.code += code.length;
    total.missed += missed.length;
    const share = ((1 - missed.length / Math.max(code.length, 1)) * 100).toFixed(1);
    const path = relative(join(root, 'dist/lib'), fileURLToPath(url));
    console.log(`${path.padEnd(34)} ${share.padStart(5)} % of ${String(code.length).padStart(4)}  ${inRanges(missed)}`);
  }
  console.log(
    `${'all'.padEnd(34)} ${((1 - total.missed / total.code) * 100).toFixed(1).padStart(5)} % of ${total.code}`,
  );
  if (status !== 0) {
    console.error('some tests failed: the table is that of a failed run');
    process.exitCode = 1;
  }
} finally {
  rmSync(directory, { recursive: true });
}
