// bosun graph and bosun make.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { alive } from './fixtures/alive.js';
import { bosun, FIXTURES, jsonLines, MAIN, Running, temporaryFolder } from './fixtures/command.js';
import { elementsOf, readXml } from './fixtures/xml.js';

const GRAPH = join(FIXTURES, 'cli-graph.mjs');

describe('bosun graph', () => {
  test('draws the default export as DOT on standard output, and runs nothing', async (t) => {
    assert.deepEqual(await bosun(t, 'graph', GRAPH), {
      code: 0,
      signal: null,
      stderr: '',
      stdout: [
        'digraph "cli-graph.mjs" {',
        '  t1[style=filled,fillcolor=white,label="a\\nPENDING"];',
        '  t1->t3;',
        '  t2[style=filled,fillcolor=white,label="b\\nPENDING"];',
        '  t2->t3;',
        '  t3[style=filled,fillcolor=white,label="sum\\nPENDING"];',
        '}\n',
      ].join('\n'),
    });
  });

  test('draws one export, or one target with what it requires', async (t) => {
    const single = await bosun(t, 'graph', GRAPH, '--export', 'single');
    assert.deepEqual([single.code, single.stdout.match(/label="[^"]*"/g)], [0, ['label="alone\\nPENDING"']]);
    const target = await bosun(t, 'graph', GRAPH, 'the b', '--dot');
    assert.deepEqual(target.stdout.match(/label="[^"]*"/g), ['label="b\\nPENDING"']);
  });

  test('writes an SVG and a report to files, or to standard output', async (t) => {
    const folder = temporaryFolder(t);
    const [svg, html] = [join(folder, 'a.svg'), join(folder, 'a.html')];
    const { code, stdout, stderr } = await bosun(t, 'graph', GRAPH, '--svg', svg, '--html', html);
    assert.deepEqual([code, stdout], [0, '']);
    assert.equal(stderr, `bosun: drew ${svg}\nbosun: drew ${html}\n`);
    assert.equal(elementsOf(readXml(readFileSync(svg, 'utf8')), 'g').length, 6);
    const report = readXml(readFileSync(html, 'utf8'), '<!doctype html>\n');
    assert.match(report.text, /Nothing has run yet.*All 3 tasks are pending/s);
    const piped = await bosun(t, 'graph', GRAPH, '--svg', '-');
    assert.equal(piped.stdout, readFileSync(svg, 'utf8'));
  });

  test('draws again when the module has changed', async (t) => {
    const folder = temporaryFolder(t);
    const [module, svg] = [join(folder, 'tasks.mjs'), join(folder, 'out.svg')];
    const program = (name: string) => `import { single } from ${JSON.stringify(GRAPH)};
      export default single.andThen(${JSON.stringify(name)}, () => {});`;
    writeFileSync(module, program('before'));
    const running = new Running(t, ['graph', module, '--svg', svg, '--watch']);
    await running.until('stderr', /drew/);
    assert.match(readFileSync(svg, 'utf8'), />before</);
    writeFileSync(module, program('after'));
    await running.until('stderr', /drew[\s\S]*drew/);
    assert.match(readFileSync(svg, 'utf8'), />after</);
    running.child.kill('SIGINT');
    const { code, stdout } = await running.ended;
    assert.deepEqual([code, stdout], [130, '']);
  });

  const mistakes: [name: string, args: string[], text: RegExp][] = [
    ['an export that is none', ['graph', GRAPH, '-e', 'nope'], /exports no 'nope'; it exports .*single/],
    ['an export that has no tasks', ['make', GRAPH, '-e', 'nothing'], /'nothing' of .* is no task, list or record/],
    ['a function that throws', ['make', GRAPH, '-e', 'fail'], /the function of .* failed: RangeError/],
    ['an unknown target', ['make', GRAPH, 'nope'], /there is no task 'nope'; there are a, the b, all, b, sum$/],
    ['a module without tasks', ['graph', 'node:path'], /is no task, list or record|exports no tasks/],
    ['a file that cannot be written', ['graph', GRAPH, '--svg', '/no/such/a.svg'], /cannot be written/],
    ['--watch without a file', ['graph', GRAPH, '--watch'], /--watch draws into files/],
    ['no jobs', ['make', GRAPH, '-j', '0'], /--jobs is at least 1/],
  ];
  for (const [name, args, text] of mistakes) {
    test(`refuses ${name} by one line and exit code 2`, async (t) => {
      const { code, stdout, stderr } = await bosun(t, ...args);
      assert.equal(code, 2, stderr);
      assert.equal(stdout, '');
      assert.match(stderr, /^bosun: [^\n]+\n$/);
      assert.match(stderr.trimEnd(), text);
    });
  }
});

describe('bosun make', () => {
  test('makes all that is exported, prints the values, and tells each transition', async (t) => {
    const { code, stdout, stderr } = await bosun(t, 'make', GRAPH, '--workers', '1');
    assert.equal(code, 0);
    assert.deepEqual(jsonLines(stdout), [1, 2, 3]);
    const lines = stderr.trimEnd().split('\n');
    for (const name of ['a', 'b', 'sum']) {
      const own = lines.filter((line) => line.startsWith(`${name} `));
      assert.deepEqual(own, [
        `${name} PENDING->queue->QUEUED`,
        `${name} QUEUED->dispatch->RUNNING`,
        `${name} RUNNING->done->DONE`,
      ]);
    }
    assert.match(lines.at(-1) as string, /^3 done in \d/);
  });

  test('makes a target by its name, in a list or a record, and what it requires', async (t) => {
    const all = await bosun(t, 'make', GRAPH, 'sum', '-q');
    assert.deepEqual(all, { code: 0, signal: null, stdout: '3\n', stderr: '' });
    const list = await bosun(t, 'make', GRAPH, 'third', 'second', '-e', 'list', '-q');
    assert.deepEqual([list.code, jsonLines(list.stdout), list.stderr], [0, [{ three: 3 }], '']);
  });

  test('tells failures with their stacks, makes what it can, and exits with 1', async (t) => {
    const { code, stdout, stderr } = await bosun(t, 'make', GRAPH, '-e', 'failing', '-w', '1', '-q');
    assert.equal(code, 1);
    assert.deepEqual(jsonLines(stdout), ['fine']);
    assert.match(
      stderr,
      /^bosun: task \d+ 'bad' failed in worker \d+ \(pid \d+\): RangeError: out of cheese\n {4}at fail/m,
    );
    assert.match(stderr, /^bosun: task 'local' failed: TypeError: not here either\n {4}at .*cli-graph\.mjs/m);
    // It is not to blame.
    assert.doesNotMatch(stderr, /'after'/);
  });

  test('prints records with --json, and the summary last', async (t) => {
    const { code, stdout, stderr } = await bosun(t, 'make', GRAPH, '-e', 'failing', '-w', '1', '--json');
    assert.equal(code, 1);
    const records = jsonLines(stdout) as { task: string; state: string; value?: unknown; error?: { name: string } }[];
    const byName = Object.fromEntries(records.map((record) => [record.task, record]));
    assert.deepEqual(byName['good'], { task: 'good', state: 'DONE', value: 'fine' });
    assert.deepEqual([byName['after']?.state, byName['after']?.error?.name], ['FAILED', 'TaskError']);
    assert.deepEqual([byName['local']?.state, byName['local']?.error?.name], ['FAILED', 'TypeError']);
    const lines = jsonLines(stderr) as Record<string, Record<string, unknown>>[];
    const failures = lines.slice(0, -1).map(({ task, error }) => [task, error?.['name']]);
    assert.deepEqual(failures.toSorted(), [
      ['bad', 'RangeError'],
      ['local', 'TypeError'],
    ]);
    const { exitCode, tasks } = lines.at(-1) as unknown as { exitCode: number; tasks: unknown };
    assert.deepEqual([exitCode, tasks], [1, { done: 1, failed: 3, cancelled: 0 }]);
  });

  test('stops at the first failure when it is told to', async (t) => {
    const { code, stderr } = await bosun(t, 'make', GRAPH, '-e', 'noted', '--fail-fast', '-w', '1');
    assert.equal(code, 1);
    assert.doesNotMatch(stderr, /three .*RUNNING/);
  });

  test('refuses a circle, and names it', async (t) => {
    const { code, stderr } = await bosun(t, 'make', GRAPH, '-e', 'circle', '-q');
    assert.equal(code, 1);
    assert.match(stderr, /^bosun: CycleError: /);
  });

  for (const [where, name] of [
    ['in workers', 'slow'],
    ['in this process', 'slowHere'],
  ] as const) {
    test(`lets tasks ${where} finish at Ctrl-C, and exits with 130`, async (t) => {
      const running = new Running(t, ['make', GRAPH, '-e', name]);
      const [, pid] = await running.until('stderr', /running (?:in (\d+)|here)\n/);
      running.child.kill('SIGINT');
      const { code, stderr } = await running.ended;
      assert.equal(code, 130);
      assert.match(stderr, /^bosun: stopping/m);
      assert.match(stderr, /^cleaned up$/m);
      assert.match(stderr, /RUNNING->cancel->CANCELLED/);
      if (pid !== undefined) assert.ok(!alive(Number(pid)));
    });
  }

  test('ends quietly when its reader has seen enough', async (t) => {
    const running = new Running(t, ['make', GRAPH, '-e', 'many', '-q']);
    running.child.stdout?.destroy();
    const { code, stderr } = await running.ended;
    assert.deepEqual([code, stderr], [0, '']);
  });

  test('writes a report about a run that has failed, too', async (t) => {
    const file = join(temporaryFolder(t), 'report.html');
    const { code } = await bosun(t, 'make', GRAPH, '-e', 'failing', '-q', '--report', file);
    assert.equal(code, 1);
    const { text } = readXml(readFileSync(file, 'utf8'), '<!doctype html>\n');
    assert.match(text, /4 tasks: 1 done, 3 failed/);
    assert.match(text, /RangeError: out of cheese/);
    assert.match(text, /worker \d/);
  });

  test('goes on where a run had failed, by its journal', async (t) => {
    const folder = temporaryFolder(t);
    const [journal, log, gate] = ['journal', 'log', 'gate'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const run = () =>
      new Running(t, ['make', GRAPH, '-e', 'noted', '-q', '--journal', journal], 'ignore', { LOG: log, GATE: gate })
        .ended;
    const first = await run();
    assert.equal(first.code, 1);
    assert.match(first.stderr, /two has to wait/);
    assert.equal(readFileSync(log, 'utf8'), 'one\ntwo\n');
    writeFileSync(gate, '');
    assert.deepEqual(await run(), { code: 0, signal: null, stdout: '"three"\n', stderr: '' });
    assert.equal(readFileSync(log, 'utf8'), 'one\ntwo\ntwo\nthree\n');
    // All is done.
    assert.deepEqual(await run(), { code: 0, signal: null, stdout: '"three"\n', stderr: '' });
    assert.equal(readFileSync(log, 'utf8'), 'one\ntwo\ntwo\nthree\n');
    const other = await bosun(t, 'make', GRAPH, '-q', '--journal', journal);
    assert.equal(other.code, 2);
    assert.match(other.stderr, /^bosun: [^\n]* is of another graph[^\n]*\n$/);
  });

  const hasScript = existsSync('/usr/bin/script');
  test('draws a tree that stays within the terminal, and leaves it behind', {
    skip: !hasScript && 'needs script(1)',
  }, async (t) => {
    const gate = join(temporaryFolder(t), 'gate');
    const command = `stty rows 12 cols 60; "$NODE" "$MAIN" make "$GRAPH" -e many`;
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { PATH: process.env['PATH'], TERM: 'xterm', NO_COLOR: '1', NODE: process.execPath, MAIN, GRAPH, GATE: gate },
    });
    t.after(() => child.kill('SIGKILL'));
    let screen = '';
    for await (const text of child.stdout.setEncoding('utf8') as AsyncIterable<string>) {
      screen += text;
      if (/▶ .*root.*40 done, 1 running/s.test(screen)) writeFileSync(gate, '');
    }
    const escape = '\u001b';
    assert.ok(screen.includes(`${escape}[1;3r`), 'nine rows are kept apart');
    const drawn = screen.slice(0, screen.lastIndexOf(`${escape}[r`));
    const frame = drawn.slice(drawn.lastIndexOf(`${escape}[?7l`));
    assert.match(frame, /… 34 more: 34 done/);
    // A name moves no cursor.
    assert.ok(!screen.includes(`${escape}[31m`));
    const rest = screen.slice(screen.lastIndexOf(`${escape}[r`));
    assert.match(rest, /✔ .*root.*\r\n.*✔ leaf 0 [\s\S]*more: \d+ done\r\n41 done in /);
  });
});
