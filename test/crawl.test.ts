// The crawl of examples/, run as a program, against `find` and `sha256sum`.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { assertNoneRuns, assertSameFiles, ENOUGH, FILES, makeResumable, makeState } from './fixtures/crawl-check.js';
import { type CrawlReport, readReport, readStateLines, startCrawl, stateLines } from './fixtures/crawl-program.js';
import {
  countDirectories,
  hashesOf,
  makeDirectory,
  makeFlatTree,
  makeOddTree,
  underFileModes,
} from './fixtures/crawl-tree.js';

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
