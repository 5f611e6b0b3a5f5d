// The crawl of examples/, killed in the middle of it.

import assert from 'node:assert/strict';
import { appendFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  assertNoneRuns,
  assertSameFiles,
  ENOUGH,
  FILES,
  makeResumable,
  untilNoneRuns,
} from './fixtures/crawl-check.js';
import { type CrawledFile, readReport, readStateLines, startCrawl, stateLines } from './fixtures/crawl-program.js';
import { hashesOf } from './fixtures/crawl-tree.js';

describe('examples/crawl', { skip: process.platform !== 'linux' && 'needs find and sha256sum of Linux' }, () => {
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
});
