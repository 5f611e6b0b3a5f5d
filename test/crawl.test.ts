// The crawl of examples/, run as a program, against `find` and `sha256sum`.

import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import {
  type CrawledFile,
  type CrawlReport,
  readReport,
  readStateLines,
  runs,
  startCrawl,
  stateLines,
} from './fixtures/crawl-program.js';
import {
  countDirectories,
  hashesOf,
  makeDirectory,
  makeFlatTree,
  makeOddTree,
  makeText,
  underFileModes,
} from './fixtures/crawl-tree.js';

/** Files of a flat tree, and results after which a crawl of it is interrupted. */
const FILES = 160;
const ENOUGH = 20;

/** Every file exactly once, with the hash that `sha256sum` sees. */
function assertSameFiles(files: readonly CrawledFile[], hashes: ReadonlyMap<string, string>): void {
  assert.deepEqual(
    files.map(({ path, sha256 }) => `${sha256} ${path}`).sort(),
    [...hashes].map(([path, sha256]) => `${sha256} ${path}`).sort(),
  );
}

function assertNoneRuns(files: readonly CrawledFile[]): void {
  for (const pid of new Set(files.map((file) => file.pid))) assert.equal(runs(pid), false, `worker ${pid} is left`);
}

/** Those of a process that was killed end by themselves, a moment later. */
async function untilNoneRuns(files: readonly CrawledFile[]): Promise<void> {
  while (files.some((file) => runs(file.pid))) await turn();
}

describe('examples/crawl', { skip: process.platform !== 'linux' && 'needs find and sha256sum of Linux' }, () => {
  test('reports what find and sha256sum say, and why the rest was left out', async (t) => {
    const prefix = underFileModes();
    const tree = await makeOddTree(t);
    const out = join(makeDirectory(t), 'report.json');
    const { code, stdout, stderr } = await startCrawl([tree.root, '--workers', '2', '--out', out], prefix).end;
    assert.equal(code, 0, stderr);

    const hashes = hashesOf(tree.root);
    const errors: [string, string][] = [[tree.broken, 'ENOENT']];
    if (prefix !== undefined) {
      hashes.delete(tree.unreadable);
      errors.push([tree.unreadable, 'EACCES']);
    }
    const report = readReport(out);
    assert.equal(report.complete, true);
    assertSameFiles(report.files, hashes);
    assert.deepEqual(
      Object.fromEntries(report.errors.map(({ path, code }) => [path, code])),
      Object.fromEntries(errors),
    );
    assert.deepEqual(Object.fromEntries(report.skipped.map(({ path, reason }) => [path, reason])), tree.skipped);
    assertTotals(report, tree.root);

    // Four names of one content, two of which are the same copy.
    assert.equal(report.totals.duplicates, 3);
    assert.equal(report.totals.wastedBytes, 2 * 70_000);
    assert.deepEqual(
      report.duplicates.map(({ paths }) => paths.length),
      [4],
    );
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is what is tested
    assert.doesNotMatch(stdout + stderr, /[\u0000-\u0009\u000b-\u001f]/);
    assert.match(stdout, /^files {7}\d+ of \d+ found in 5 directories$/m);
    assert.match(stdout, /broken: broken link: no such file or directory \(ENOENT\)/);
    assertNoneRuns(report.files);
  });

  test('reports a file that vanishes, and goes on', async (t) => {
    const root = makeFlatTree(t, 24, 300_000);
    const gone = join(root, 'later', 'gone.txt');
    mkdirSync(join(root, 'later'));
    writeFileSync(gone, 'x');
    const state = makeState(t);
    const crawl = startCrawl([root, '-w', '1', '-q', '9', '-r', state, '-o', `${state}.report`]);
    // One worker measures in the order in which files were found, and finds all of them first.
    await stateLines(state, 5);
    unlinkSync(gone);
    assert.equal((await crawl.end).code, 0);
    const report = readReport(`${state}.report`);
    assert.deepEqual(report.errors, [{ path: gone, code: 'ENOENT', reason: 'no such file or directory' }]);
    assertSameFiles(report.files, hashesOf(root));
  });

  test('goes on after SIGINT: each file is measured once over both runs', async (t) => {
    const { root, state, args } = makeResumable(t);
    const first = startCrawl(args);
    await stateLines(state, ENOUGH);
    first.child.kill('SIGINT');
    const { code, stderr } = await first.end;
    assert.equal(code, 130, stderr);
    assert.match(stderr, /interrupted: run the same again to go on/);
    assert.equal(readReport(`${state}.report`).complete, false);
    const before = readStateLines(state);
    assert.equal(readReport(`${state}.report`).totals.files, before.length);
    assert.ok(before.length < FILES, 'it was finished before it was stopped');
    assertNoneRuns(before);

    assert.equal((await startCrawl(args).end).code, 0);
    const report = readReport(`${state}.report`);
    assert.equal(report.complete, true);
    assert.equal(report.totals.resumed, before.length);
    assertSameFiles(report.files, hashesOf(root));
    assertSameFiles(readStateLines(state), hashesOf(root));
    assertNoneRuns(report.files);
  });

  test('goes on after SIGKILL, with a torn line, a changed file and a removed one', async (t) => {
    const { root, state, args } = makeResumable(t);
    const first = startCrawl(args);
    await stateLines(state, ENOUGH);
    first.child.kill('SIGKILL');
    assert.equal((await first.end).signal, 'SIGKILL');
    const before = readStateLines(state);
    assert.ok(before.length < FILES, 'it was finished before it was stopped');
    await untilNoneRuns(before);

    const [changed, removed] = before as [CrawledFile, CrawledFile];
    writeFileSync(changed.path, 'something else');
    unlinkSync(removed.path);
    appendFileSync(state, `{"path":"${join(root, 'file-0.txt')}","size":`);

    assert.equal((await startCrawl(args).end).code, 0);
    const report = readReport(`${state}.report`);
    const hashes = hashesOf(root);
    assert.equal(report.totals.resumed, before.length - 2);
    assertSameFiles(report.files, hashes);
    const old = [changed, removed].map(({ path, sha256 }) => `${sha256} ${path}`);
    const lines = readStateLines(state).filter(({ path, sha256 }) => !old.includes(`${sha256} ${path}`));
    assertSameFiles(lines, hashes);
    assertNoneRuns(lines);

    // Nothing is left to do.
    assert.equal((await startCrawl(args).end).code, 0);
    assert.equal(readReport(`${state}.report`).totals.resumed, hashes.size);
    assert.deepEqual(readReport(`${state}.report`).workers, []);
  });

  test('loses at most the file that a killed worker was reading', async (t) => {
    const { root, state, args } = makeResumable(t);
    const crawl = startCrawl(args);
    const [line] = (await stateLines(state, ENOUGH)) as [CrawledFile];
    process.kill(line.pid, 'SIGKILL');
    const { code } = await crawl.end;
    const report = readReport(`${state}.report`);
    assert.equal(code, report.errors.length);
    assert.equal(report.complete, report.errors.length === 0);
    const hashes = hashesOf(root);
    assert.ok(report.errors.length <= 1);
    for (const { path, code } of report.errors) {
      assert.equal(code, 'ERR_BOSUN_WORKER_LOST');
      assert.ok(hashes.delete(path), path);
    }
    assertSameFiles(report.files, hashes);
  });

  test('refuses what is no state file, and leaves it as it is', async (t) => {
    const path = join(makeDirectory(t), 'package.json');
    writeFileSync(path, '{ "name": "mine" }');
    const { code, stderr } = await startCrawl([makeDirectory(t), '--resume', path]).end;
    assert.equal(code, 1);
    assert.match(stderr, /is not the state of a crawl/);
    assert.equal(readFileSync(path, 'utf8'), '{ "name": "mine" }');
  });

  test('explains itself, and wrong usage', async (t) => {
    const help = await startCrawl(['--help']).end;
    assert.equal(help.code, 0);
    assert.match(help.stdout, /--resume <file>[\s\S]*Examples:/);
    for (const args of [['/no/such/directory'], ['--workers', '0'], ['--quality', '12'], ['--nonsense']]) {
      const { code, stdout, stderr } = await startCrawl(args).end;
      assert.equal(code, 2, args.join(' '));
      assert.match(stderr, /^error: /);
      assert.equal(stdout, '');
    }
    const empty = await startCrawl([makeDirectory(t)]).end;
    assert.equal(empty.code, 0);
    assert.match(empty.stdout, /^files {7}0 in 1 directory$/m);
  });
});

/** The sums are those of the parts. */
function assertTotals({ totals, files, types, workers, errors }: CrawlReport, root: string): void {
  const sum = (items: readonly object[], key: string): number =>
    items.reduce((total, item) => total + Number((item as Record<string, number>)[key]), 0);
  assert.equal(totals.directories, countDirectories(root));
  assert.equal(totals.files, files.length);
  assert.equal(totals.found, files.length + errors.filter(({ reason }) => !reason.startsWith('broken')).length);
  assert.equal(totals.bytes, sum(files, 'size'));
  assert.equal(totals.compressed, sum(files, 'compressed'));
  for (const parts of [types, workers]) {
    assert.equal(sum(parts, 'files'), totals.files);
    assert.equal(sum(parts, 'bytes'), totals.bytes);
  }
  assert.equal(sum(types, 'compressed'), totals.compressed);
}

/** An empty state file is a state file, and one that can be watched from the beginning. */
function makeState(t: TestContext): string {
  const state = join(makeDirectory(t), 'state.json');
  writeFileSync(state, '');
  return state;
}

function makeResumable(t: TestContext): { root: string; state: string; args: string[] } {
  const root = makeFlatTree(t, FILES - 1, 100_000);
  writeFileSync(join(root, 'last\u2028\n.txt'), makeText(100_000, FILES));
  const state = makeState(t);
  return { root, state, args: [root, '-w', '2', '-q', '7', '-r', state, '-o', `${state}.report`] };
}
