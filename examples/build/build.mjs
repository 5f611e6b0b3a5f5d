// A build that fails, is repaired, and goes on: only what had failed is run again.
//
//     node examples/build/build.mjs [report.html]

import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { graphReport, makeNow, snapshotOf, TaskError, withManager } from 'bosun';
import buildGraph, { PAGES } from './graph.mjs';

const [report] = process.argv.slice(2);
const folder = await mkdtemp(join(tmpdir(), 'bosun-build-'));
const pages = join(folder, 'pages');
await cp(PAGES, pages, { recursive: true });

const check = buildGraph(pages, join(folder, 'out'));
const all = new Set([check]);
// What is added meanwhile is gone through as well.
for (const task of all) for (const other of task.required) all.add(other);
/** @type {string[]} */
let ran = [];
for (const task of all) task.on('RUNNING', () => ran.push(task.name));

await withManager({ workers: 2 }, async (manager) => {
  await makeNow(check, { queue: manager });
  console.log(`${ran.length} tasks have run, and check is ${check.state}`);

  const failed = [...all].filter(({ state }) => state === 'FAILED');
  for (const task of failed) {
    const error = await task.result.catch((reason) => reason);
    // The others are FAILED because of it.
    if (!(error instanceof TaskError)) console.log(`${task.name} has failed: ${error.cause.message}`);
  }

  // Somebody looks at it, and puts it right.
  const trouble = join(pages, 'trouble.md');
  await writeFile(trouble, `# Trouble\n\n${await readFile(trouble, 'utf8')}`);
  for (const task of failed) task.retry();
  ran = [];
  await makeNow(check, { queue: manager });
  console.log(`repaired: ${ran.length} tasks have run, and check is ${check.state}`);
  const { sizes } = /** @type {{ sizes: object }} */ (await check.result);
  console.log(`${Object.keys(sizes).map((kind) => `site.html.${kind}`)} are whole, and every link leads somewhere`);
});
if (report !== undefined) await writeFile(report, await graphReport(snapshotOf(all), { title: 'A small site' }));
await rm(folder, { recursive: true });
