// The pages tell the truth: every block of code is compiled and run, and prints what the page says that it prints.
//
// What a program prints stands in a text block behind it, or as a comment behind console.log(...). A block whose first line is
// `// name.js` is a file that the others of its page may import. Two comments in the source of a page, which readers do not
// see, say otherwise: `<!-- run before: code -->` and `<!-- parsed only: why -->`.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Block, blocksOf, pages, readPage } from './fixtures/pages.js';
import { missingFor, PagesProject, placeOf } from './fixtures/pages-project.js';

/** What each language of a block means; no other may be used. */
const LANGUAGES = {
  js: 'program',
  ts: 'program',
  json: 'json',
  sh: 'shell',
  console: 'session',
  text: 'prose',
  // docs/protocol.md, by test/protocol.test.ts.
  payloads: 'elsewhere',
  session: 'elsewhere',
  python: 'elsewhere',
  // By scripts/docs/check.mjs, which has a parser.
  yaml: 'elsewhere',
} as const;

const all = pages().flatMap(blocksOf);
const kindOf = ({ language }: Block): string | undefined => LANGUAGES[language as keyof typeof LANGUAGES];
const programs = all.filter((block) => kindOf(block) === 'program');

/** A file that others of its page import need not be run by itself. */
const isImported = ({ page, name }: Block): boolean =>
  name !== undefined &&
  programs.some((other) => other.page === page && other.text.includes(`./${name.replace(/\.ts$/, '.js')}`));

let project: PagesProject;
before(async () => {
  project = await PagesProject.make(programs);
  await mkdir(join(project.folderOf('README.md'), 'deep', 'deeper'), { recursive: true });
  await writeFile(join(project.folderOf('README.md'), 'deep', 'deeper', 'file'), '');
});
after(() => rm(project.folder, { recursive: true }));

const sha256 = async (name: string): Promise<string> =>
  createHash('sha256')
    .update(await project.read('README.md', name))
    .digest('hex');

/** What programs print that a page cannot show. */
const PRINTS: Record<string, () => Promise<string[]>> = {
  'README.md main.js': async () => [await sha256('main.js'), await sha256('work.js')],
  'README.md list.js': async () => ['deep/deeper/file', 'list.js'],
  'docs/cancelling.md limits.js': async () => [await sha256('work.js')],
  'README.md workers.js': async () => [await sha256('main.js'), `[ 'main.js' ] ${await sha256('main.js')}`],
  'README.md graph.js': async () => [`${await sha256('main.js')}  main.js\n${await sha256('work.js')}  work.js`],
};

async function prints(block: Block, stdout: string): Promise<void> {
  if (block.output !== undefined) assert.equal(stdout, block.output);
  const lines = stdout.split('\n').map((line) => line.trim());
  for (const [, said] of block.text.matchAll(/console\.log\(.*\);? \/\/ (.*)$/gm)) {
    assert.ok(lines.includes(said as string), `${placeOf(block)}: no line is '${said}' in:\n${stdout}`);
  }
  for (const part of (await PRINTS[`${block.page} ${block.name}`]?.()) ?? []) assert.ok(stdout.includes(part), stdout);
}

const parse = (script: string) => execFileSync('bash', ['-n'], { input: script, stdio: ['pipe', 'ignore', 'pipe'] });

const CHECKS: Record<string, (block: Block) => unknown> = {
  json: ({ text }) => JSON.parse(text),
  shell: ({ text }) => parse(text),
  session: ({ text }) => parse([...text.matchAll(/^\$ (.*)$/gm)].map(([, command]) => command).join('\n')),
};

describe('the pages', () => {
  test('have blocks of known languages only, and programs among them', () => {
    assert.ok(programs.length > 20);
    for (const block of all) assert.ok(kindOf(block), `${placeOf(block)}: what is '${block.language}'?`);
  });

  test('have no block that a fence or a comment hides from this test', () => {
    for (const page of pages()) {
      const fences = readPage(page).match(/^ *```/gm)?.length ?? 0;
      const seen = blocksOf(page).reduce((sum, { output }) => sum + (output === undefined ? 2 : 4), 0);
      assert.equal(seen, fences, page);
      const marks = readPage(page).match(/<!-- (run before|parsed only)/g)?.length ?? 0;
      const used = blocksOf(page).filter((block) => block.before !== '' || block.parsedOnly !== undefined).length;
      assert.equal(used, marks, page);
    }
  });

  test('have no traces of a merge', () => {
    for (const page of [...pages(), 'CHANGELOG.md']) {
      assert.doesNotMatch(readPage(page), /^(<<<<<<<|=======$|>>>>>>>|> > > )/m, page);
    }
  });

  test('have data and commands that can be read', () => {
    for (const block of all) CHECKS[kindOf(block) as string]?.(block);
  });

  test('name scripts that there are', () => {
    const { scripts } = JSON.parse(readPage('package.json')) as { scripts: Record<string, string> };
    for (const page of pages()) {
      for (const [, name] of readPage(page).matchAll(/npm run ([\w:]+)/g)) {
        assert.ok(Object.hasOwn(scripts, name as string), `${page}: npm run ${name}`);
      }
    }
  });
});

describe('the programs of', { concurrency: 4 }, () => {
  let compiled: Promise<string[]>;
  before(() => {
    compiled = project.compile();
  });

  test('all pages compile', async () => {
    assert.deepEqual(await compiled, []);
  });

  for (const page of new Set(programs.map((block) => block.page))) {
    test(page, async (t) => {
      const runnable = programs.filter((block) => block.page === page && !block.parsedOnly && !isImported(block));
      for (const block of runnable.filter(missingFor)) {
        await t.test(placeOf(block), { skip: `${missingFor(block)} is not installed` }, () => {});
      }
      const blocks = runnable.filter((block) => missingFor(block) === undefined);
      if (blocks.some(({ language }) => language === 'ts')) await compiled;
      const outputs = blocks.length === 0 ? [] : await project.run(page, blocks);
      for (const [index, block] of blocks.entries()) {
        await t.test(placeOf(block), async () => {
          const output = outputs[index];
          if (typeof output !== 'string') throw output ?? new Error('did not run: one before it failed');
          await prints(block, output);
        });
      }
    });
  }
});
