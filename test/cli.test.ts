import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { describe, test } from 'node:test';
import { Flight, type Outcome, Output } from '../lib/internals.js';
import { alive } from './fixtures/alive.js';
import { bosun, FIXTURES, feed, jsonLines, MAIN, Running, temporaryFolder } from './fixtures/command.js';

const FUNCTIONS = join(FIXTURES, 'cli-functions.mjs');
const SCHEDULE = join(FIXTURES, 'cli-schedule.mjs');

describe('bosun', () => {
  test('says its version and what it can do', async (t) => {
    const { version } = JSON.parse(readFileSync(join(FIXTURES, '../../package.json'), 'utf8')) as { version: string };
    assert.deepEqual(await bosun(t, '--version'), { code: 0, signal: null, stdout: `${version}\n`, stderr: '' });
    for (const args of [['--help'], ['run', '--help'], ['make', '--help'], ['graph', '--help'], ['help', 'map']]) {
      const { code, stdout, stderr } = await bosun(t, ...args);
      assert.equal(code, 0);
      assert.equal(stderr, '');
      assert.match(stdout, /Usage: bosun/);
      assert.match(stdout, /Examples:\n {2}\$ /);
    }
  });

  const throws = join(FIXTURES, 'cli-throws.mjs');
  const mistakes: [name: string, args: string[], text: RegExp][] = [
    ['an unknown command', ['frob'], /unknown command 'frob'/],
    ['an unknown option', ['map', FUNCTIONS, '--frob'], /unknown option '--frob' \(.*behind --\)/],
    ['run without a module', ['run'], /missing required argument 'module'/],
    ['map without a module', ['map'], /missing required argument 'module/],
    ['a module that does not exist', ['run', './no-such.mjs'], /there is no module \.\/no-such\.mjs/],
    ['a module that throws', ['map', throws, 'a'], /cli-throws\.mjs cannot be imported: SyntaxError: this module$/],
    ['a module without a default export', ['run', 'node:url'], /node:url exports no function 'default'/],
    [
      'an export that does not exist',
      ['map', `${FUNCTIONS}#nope`, 'a'],
      /exports no function 'nope'; it exports .*echo/,
    ],
    ['an export that is no function', ['map', `${FUNCTIONS}#notAFunction`, 'a'], /exports no function 'notAFunction'/],
    ['no number', ['run', SCHEDULE, '--workers', 'many'], /'-w, --workers <n>' argument 'many' is invalid/],
    ['no worker', ['run', SCHEDULE, '--workers', '0'], /workers is a whole number from 1 to 1024, not 0/],
    ['too many levels', ['run', SCHEDULE, '-p', '129'], /priorityLevels is a whole number from 1 to 128, not 129/],
    ['an empty window', ['map', FUNCTIONS, '--window', '0'], /--window is at least 1/],
    ['a set-up that does not exist', ['map', FUNCTIONS, '--setup', './no.mjs', 'a'], /there is no module \.\/no\.mjs/],
  ];
  for (const [name, args, text] of mistakes) {
    test(`refuses ${name} by one line and exit code 2`, async (t) => {
      const { code, stdout, stderr } = await bosun(t, ...args);
      assert.equal(code, 2);
      assert.equal(stdout, '');
      assert.match(stderr, /^bosun: [^\n]+\n$/);
      assert.match(stderr.trimEnd(), text);
    });
  }

  test('shows its help with exit code 2 when no command is given', async (t) => {
    const { code, stdout, stderr } = await bosun(t);
    assert.deepEqual([code, stdout], [2, '']);
    assert.match(stderr, /Usage: bosun/);
  });
});

describe('bosun run', () => {
  test('prints messages on standard output and a summary on standard error', async (t) => {
    const { code, stdout, stderr } = await bosun(
      t,
      'run',
      SCHEDULE,
      '-w',
      '1',
      'messages',
      'a',
      '--',
      '-b',
      '--workers',
    );
    assert.equal(code, 0);
    assert.deepEqual(jsonLines(stdout), ['a', '-b', '--workers']);
    assert.match(stderr, /^tasks {5}3 done\nmessages {2}3\ntime +\d+\.\d\d s\nspeed +[\d,.]+ tasks\/s\n/);
    assert.match(stderr, /worker +pid +tasks +share\n +1 +\d+ +3 +100\.0% +━+\n$/);
  });

  test('has as many levels of urgency as are asked for', async (t) => {
    const { code, stdout } = await bosun(t, 'run', SCHEDULE, 'urgency', '--priority-levels', '5', '--workers', '1');
    assert.equal(code, 0);
    assert.deepEqual(jsonLines(stdout), [0, 1, 2, 3, 4]);
  });

  test('tells a failed task with its stack, goes on, and exits with 1', async (t) => {
    const { code, stdout, stderr } = await bosun(t, 'run', SCHEDULE, 'failing');
    assert.equal(code, 1);
    assert.deepEqual(jsonLines(stdout), ['fine']);
    assert.match(stderr, /^bosun: task 1 'fail' failed in worker \d+ \(pid \d+\): RangeError: out of cheese\n/m);
    assert.match(stderr, /^ {4}at fail \(.*cli-schedule\.mjs:\d+:\d+\)/m);
    assert.match(stderr, /code: 'E_FIXTURE'/);
    assert.match(stderr, /^tasks {5}1 done, 1 failed$/m);
  });

  test('leaves a failure that the function has handled to the function', async (t) => {
    const { code, stderr } = await bosun(t, 'run', SCHEDULE, 'handled');
    assert.equal(code, 0);
    assert.match(stderr, /^tasks {5}0 done, 1 failed\n/);
  });

  test('writes what JSON does not know as the nearest that it does', async (t) => {
    const { stdout } = await bosun(t, 'run', SCHEDULE, 'odd');
    const [first, ...others] = jsonLines(stdout) as [{ error: { stack?: string } }, ...unknown[]];
    assert.match(first.error.stack ?? '', /^TypeError: no\n +at odd/);
    delete first.error.stack;
    assert.deepEqual(first, {
      bigint: '18446744073709551616',
      record: { k: [1, 'two'] },
      entries: [[1, { deep: '2' }]],
      buffer: 'aGk=',
      floats: [1.5, 2],
      date: '1970-01-01T00:00:00.000Z',
      regexp: '/x+/g',
      error: { name: 'TypeError', message: 'no', code: 'E', cause: 'because' },
      list: [null, null, 0],
      cycle: { name: 'cycle', self: '[Circular]' },
      twice: [{ a: 1 }, { a: 1 }],
    });
    assert.deepEqual(others, [null, '5']);
  });

  test('sends the consoles of the module and of the workers to standard error', async (t) => {
    const { code, stdout, stderr } = await bosun(t, 'run', '--quiet', SCHEDULE, 'consoles');
    assert.deepEqual([code, stdout], [0, '']);
    assert.deepEqual(stderr.split('\n').sort(), ['', 'the console of a worker', 'the console of the module']);
  });

  test('waits for a function that schedules late', async (t) => {
    const { code, stdout } = await bosun(t, 'run', SCHEDULE, 'late', '-w', '1');
    assert.equal(code, 0);
    assert.deepEqual(jsonLines(stdout), [0, 1, 2, 'last']);
  });

  for (const [program, text] of [
    ['throws', /^bosun: RangeError: the function threw\n {4}at .*cli-schedule/],
    ['floating', /^bosun: task 1 'fail' failed .*RangeError: floating/],
    ['reads', /^bosun: BosunError: bosun run reads messages\(\) itself/],
  ] as const) {
    test(`ends with 1 when the function ${program}`, async (t) => {
      const { code, stderr } = await bosun(t, 'run', SCHEDULE, program);
      assert.equal(code, 1);
      assert.match(stderr, text);
    });
  }

  test('prints failures and the summary as JSON with --json', async (t) => {
    const { code, stdout, stderr } = await bosun(t, 'run', '--json', SCHEDULE, 'failing', '-w', '1');
    assert.equal(code, 1);
    assert.deepEqual(jsonLines(stdout), ['fine']);
    const [failure, summary, ...others] = jsonLines(stderr) as Record<string, never>[];
    assert.deepEqual(others, []);
    const { stack, pid, ...error } = (failure as unknown as { error: { stack: string; pid: number } }).error;
    assert.match(stack, /^RangeError: out of cheese\n +at fail/);
    const expected = {
      name: 'RangeError',
      message: 'out of cheese',
      code: 'E_FIXTURE',
      at: 3,
      taskName: 'fail',
      taskId: 1,
    };
    assert.deepEqual(error, expected);
    const { durationMs, tasksPerSecond, ...rest } = summary as unknown as {
      durationMs: number;
      tasksPerSecond: number;
    };
    assert.ok(durationMs > 0 && tasksPerSecond > 0);
    assert.deepEqual(rest, {
      exitCode: 1,
      tasks: { done: 1, failed: 1, cancelled: 0 },
      messages: 1,
      workers: [{ worker: 1, pid, tasks: 2, share: 1 }],
    });
  });

  test('keeps one log file per worker where it is told to', async (t) => {
    const folder = join(temporaryFolder(t), 'logs');
    const { code, stderr } = await bosun(t, 'run', '-q', '-w', '1', '--log-directory', folder, SCHEDULE, 'consoles');
    assert.deepEqual([code, stderr], [0, 'the console of the module\n']);
    assert.deepEqual(readdirSync(folder), ['worker-1.log']);
    assert.match(readFileSync(join(folder, 'worker-1.log'), 'utf8'), /INFO {2}the console of a worker\n$/);
  });

  for (const [signal, exitCode] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    test(`lets running tasks finish at ${signal}, and exits with ${exitCode}`, async (t) => {
      const running = new Running(t, ['run', SCHEDULE, 'untilAborted']);
      const pid = Number((await running.until('stdout', /\d+\n/))[0]);
      assert.ok(alive(pid));
      running.child.kill(signal);
      const { code, stderr } = await running.ended;
      assert.equal(code, exitCode);
      assert.match(stderr, /^bosun: stopping/m);
      assert.match(stderr, /^cleaned up$/m);
      assert.ok(!alive(pid));
    });
  }

  test('does not tell the failures that Ctrl-C itself leads to', async (t) => {
    const running = new Running(t, ['run', SCHEDULE, 'unwatched', '-w', '1']);
    await running.until('stdout', /\d+\n/);
    running.child.kill('SIGINT');
    const { code, stderr } = await running.ended;
    assert.equal(code, 130);
    // Two processes write there.
    assert.match(stderr, /^(bosun: stopping[^\n]*\ncleaned up|cleaned up\nbosun: stopping[^\n]*)\ntasks /);
  });

  test('kills at the second Ctrl-C', async (t) => {
    const running = new Running(t, ['run', SCHEDULE, 'stubborn']);
    const pid = Number((await running.until('stdout', /\d+\n/))[0]);
    running.child.kill('SIGINT');
    await running.until('stderr', /stopping/);
    const asked = performance.now();
    running.child.kill('SIGINT');
    const { code, stderr } = await running.ended;
    assert.equal(code, 130);
    assert.match(stderr, /^tasks {5}0 done, 1 cancelled$/m);
    assert.ok(!alive(pid));
    // The manager's own ladder would take 6 s with this task.
    assert.ok(performance.now() - asked < 4_000);
  });
});

describe('bosun map', () => {
  test('applies the default export to every argument, in order', async (t) => {
    assert.deepEqual(await bosun(t, 'map', FUNCTIONS, 'a', 'b', '--', '-c'), {
      code: 0,
      signal: null,
      stdout: '"A"\n"B"\n"-C"\n',
      stderr: '',
    });
  });

  test('applies a named export, of any module, to every line of standard input', async (t) => {
    const input = '/a/b.txt\n\n/c/d e.tar\r\n/ü.md';
    const { code, stdout } = await feed(t, input, 'map', 'node:path#basename');
    assert.equal(code, 0);
    assert.deepEqual(jsonLines(stdout), ['b.txt', '', 'd e.tar', 'ü.md']);
  });

  test('keeps thousands of lines in order', async (t) => {
    const lines = Array.from({ length: 20_000 }, (_, i) => String(i));
    const { code, stdout } = await feed(t, `${lines.join('\n')}\n`, 'map', `${FUNCTIONS}#echo`, '--workers', '3');
    assert.equal(code, 0);
    assert.deepEqual(jsonLines(stdout), lines);
  });

  test('holds a result back until it is its turn', async (t) => {
    const file = join(temporaryFolder(t), 'go');
    const running = new Running(t, ['map', `${FUNCTIONS}#gate`, `wait:${file}`, 'b']);
    await running.until('stderr', /passed b/);
    writeFileSync(file, '');
    const { code, stdout } = await running.ended;
    assert.deepEqual([code, jsonLines(stdout)], [0, ['waited', 'b']]);
  });

  test('prints results as they come with --unordered', async (t) => {
    const file = join(temporaryFolder(t), 'go');
    const running = new Running(t, ['map', '--unordered', `${FUNCTIONS}#gate`, `wait:${file}`, 'b']);
    await running.until('stdout', /"b"\n/);
    writeFileSync(file, '');
    const { code, stdout } = await running.ended;
    assert.deepEqual([code, jsonLines(stdout)], [0, ['b', 'waited']]);
  });

  test('stops at the first failure, even while its input is open', async (t) => {
    const running = new Running(t, ['map', `${FUNCTIONS}#failOnBad`], 'pipe');
    running.child.stdin?.write('a\nb\nbad\nc\n');
    const { code, stdout, stderr } = await running.ended;
    assert.equal(code, 1);
    assert.deepEqual(jsonLines(stdout), ['a', 'b']);
    assert.match(stderr, /^bosun: input 3 "bad": task 3 'failOnBad' failed in .*: TypeError: no bad\n {4}at failOnBad/);
  });

  test('goes on with --keep-going, with one line for each failure', async (t) => {
    const { code, stdout, stderr } = await bosun(t, 'map', '-k', `${FUNCTIONS}#failOnBad`, 'a', 'bad1', 'b', 'bad2');
    assert.equal(code, 1);
    assert.deepEqual(jsonLines(stdout), ['a', 'b']);
    assert.equal(stderr, 'bosun: input 2 "bad1": TypeError: no bad1\nbosun: input 4 "bad2": TypeError: no bad2\n');
  });

  test('takes limits: --timeout, --retries and --concurrency', async (t) => {
    const options = ['-w', '1', '-c', '2', '-t', '1000', '-r', '2'];
    const { code, stdout, stderr } = await bosun(t, 'map', ...options, `${FUNCTIONS}#third`, 'a');
    assert.deepEqual([code, jsonLines(stdout)], [0, [[3, 1]]], stderr);
    const short = await bosun(t, 'map', '-t', '300', '-r', '1', `${FUNCTIONS}#third`, 'a');
    assert.equal(short.code, 1);
    assert.match(short.stderr, /task 1 'third' ran for longer than its timeout/);
  });

  test('prints inputs, failures and the summary with --json', async (t) => {
    const { code, stdout, stderr } = await bosun(t, 'map', '-k', '--json', `${FUNCTIONS}#failOnBad`, 'a', 'bad', 'b');
    assert.equal(code, 1);
    const [first, second, third, ...others] = jsonLines(stdout) as { error: Record<string, unknown> }[];
    assert.deepEqual(others, []);
    assert.deepEqual(first, { index: 0, input: 'a', value: 'a' });
    assert.deepEqual(third, { index: 2, input: 'b', value: 'b' });
    const { error, ...rest } = second as { error: Record<string, unknown> };
    assert.deepEqual(rest, { index: 1, input: 'bad' });
    assert.deepEqual([error['name'], error['message'], error['code']], ['TypeError', 'no bad', 'E_BAD']);
    const summary = JSON.parse(stderr) as Record<string, unknown>;
    assert.deepEqual(summary['tasks'], { done: 2, failed: 1, cancelled: 0 });
    assert.deepEqual([summary['exitCode'], summary['messages']], [1, 3]);
  });

  test('reads with --from-json what it has written', async (t) => {
    const values = [{ a: [1, null] }, 'text', 3, true];
    const input = values.map((value) => `${JSON.stringify(value)}\n`).join('');
    const { code, stdout } = await feed(t, input, 'map', '--from-json', `${FUNCTIONS}#echo`);
    assert.deepEqual([code, jsonLines(stdout)], [0, values]);
    const bad = await feed(t, '1\nnope\n', 'map', '--from-json', `${FUNCTIONS}#echo`);
    assert.deepEqual([bad.code, bad.stdout], [1, '1\n']);
    assert.match(bad.stderr, /^bosun: input 2 "nope": SyntaxError/);
  });

  test('sets its workers up', async (t) => {
    const setup = `${FUNCTIONS}#setup`;
    const { code, stdout } = await bosun(t, 'map', '--setup', setup, `${FUNCTIONS}#sessionOf`, 'a');
    assert.deepEqual([code, stdout], [0, '"hello"\n']);
  });

  test('says why when its workers cannot be set up', async (t) => {
    const failing = `${FUNCTIONS}#failOnBad`;
    const { code, stdout, stderr } = await bosun(t, 'map', '-k', '--setup', failing, FUNCTIONS, 'a', 'b');
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /^bosun: WorkerStartError: 6 workers within 10000 ms could not be set up/);
    assert.equal(stderr.match(/WorkerStartError:/g)?.length, 1);
  });

  test('ends at once and leaves no process when its reader has seen enough', async (t) => {
    const yes = spawn('yes', { stdio: ['ignore', 'pipe', 'ignore'] });
    t.after(() => yes.kill('SIGKILL'));
    const running = new Running(t, ['map', `${FUNCTIONS}#pid`, '--workers', '2', '--unordered'], yes.stdout);
    // Only the command may hold the pipe, so that its end is the end of `yes`.
    yes.stdout.destroy();
    await running.until('stdout', /(\d+\n){3}/);
    running.child.stdout?.destroy();
    const { code, signal, stdout, stderr } = await running.ended;
    assert.deepEqual([code, signal, stderr], [0, null, '']);
    if (yes.exitCode === null && yes.signalCode === null) await once(yes, 'exit');
    const pids = new Set(jsonLines(stdout.slice(0, stdout.lastIndexOf('\n'))) as number[]);
    assert.ok(pids.size >= 1);
    for (const pid of pids) assert.ok(!alive(pid), `worker ${pid} is alive`);
  });

  test('ends when nobody reads its failures any more', async (t) => {
    const yes = spawn('yes', ['bad'], { stdio: ['ignore', 'pipe', 'ignore'] });
    t.after(() => yes.kill('SIGKILL'));
    const running = new Running(t, ['map', '-k', `${FUNCTIONS}#failOnBad`], yes.stdout);
    await running.until('stderr', /input 2/);
    running.child.stderr?.destroy();
    const { code, signal, stdout } = await running.ended;
    assert.deepEqual([code, signal, stdout], [1, null, '']);
  });

  test('does not wait for running tasks that nobody will read', async (t) => {
    const file = join(temporaryFolder(t), 'never');
    const running = new Running(t, ['map', '-u', '-w', '2', `${FUNCTIONS}#gate`], 'pipe');
    running.child.stdin?.on('error', () => {});
    running.child.stdin?.write(`wait:${file}\na\n`);
    await running.until('stdout', /"a"\n/);
    running.child.stdout?.destroy();
    const asked = performance.now();
    running.child.stdin?.write('b\n');
    const { code } = await running.ended;
    assert.equal(code, 0);
    // The grace of a manager is 5 s.
    assert.ok(performance.now() - asked < 4_000);
  });

  test('drops what waits at Ctrl-C', async (t) => {
    const file = join(temporaryFolder(t), 'never');
    const running = new Running(t, ['map', `${FUNCTIONS}#gate`, '-w', '1', 'a', `wait:${file}`, 'c']);
    await running.until('stdout', /"a"\n/);
    running.child.kill('SIGINT');
    await running.until('stderr', /stopping/);
    writeFileSync(file, '');
    const { code, stdout, stderr } = await running.ended;
    assert.deepEqual([code, stdout], [130, '"a"\n']);
    assert.doesNotMatch(stderr, /passed c|input/);
  });

  const hasScript = existsSync('/usr/bin/script');
  for (const [name, env] of [
    ['colours', {}],
    ['none with NO_COLOR', { NO_COLOR: '1' }],
  ] as const) {
    test(`draws a progress line on a terminal, with ${name}`, { skip: !hasScript && 'needs script(1)' }, async (t) => {
      const file = join(temporaryFolder(t), 'go');
      const command = `stty rows 24 cols 100; "$NODE" "$MAIN" map "$FUNCTIONS#gate" a "wait:$FILE" > /dev/null`;
      const child = spawn('script', ['-qec', command, '/dev/null'], {
        stdio: ['pipe', 'pipe', 'ignore'],
        env: {
          PATH: process.env['PATH'],
          TERM: 'xterm-256color',
          NODE: process.execPath,
          MAIN,
          FUNCTIONS,
          FILE: file,
          ...env,
        },
      });
      t.after(() => child.kill('SIGKILL'));
      let screen = '';
      for await (const text of child.stdout.setEncoding('utf8') as AsyncIterable<string>) {
        screen += text;
        if (/50%.*1 done.*1 running/.test(screen)) writeFileSync(file, '');
      }
      const escape = '\u001b';
      assert.ok(screen.includes(`${escape}[1;23r`), 'the last row is kept apart');
      assert.ok(screen.indexOf(`${escape}[r`) > screen.lastIndexOf('━'), 'the row is given back after the last frame');
      assert.match(screen.slice(screen.indexOf(`${escape}[r`)), /2 done.*in .* s/);
      assert.equal(screen.includes(`${escape}[32m`), name === 'colours');
    });
  }
});

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('Output', () => {
  test('holds its writers up while its reader is slow', async () => {
    const taken: { text: string; done(): void }[] = [];
    const stream = new Writable({
      highWaterMark: 4,
      decodeStrings: false,
      write: (text: string, _encoding, done) => {
        taken.push({ text, done });
        if (taken.length > 1) done();
      },
    });
    const output = new Output(stream);
    assert.equal(output.write('one\n'), undefined);
    assert.equal(output.write('two\n'), undefined);
    await turn();
    assert.deepEqual(
      taken.map(({ text }) => text),
      ['one\ntwo\n'],
    );
    const waits = Array.from({ length: 20 }, () => output.write('more\n'));
    await turn();
    assert.ok(waits.every((wait) => wait instanceof Promise));
    assert.equal(taken.length, 1);
    assert.ok(stream.listenerCount('drain') <= 1 && stream.listenerCount('error') <= 1);
    const flushed = output.flush(new AbortController().signal);
    taken[0]?.done();
    await Promise.all(waits);
    await flushed;
    assert.equal(taken[1]?.text, 'more\n'.repeat(20));
  });

  test('lets its writers go when its reader is gone', async () => {
    const stream = new Writable({ highWaterMark: 1, write: () => {} });
    const output = new Output(stream);
    output.write('one\n');
    await turn();
    const wait = output.write('two\n');
    assert.ok(wait instanceof Promise);
    const flushed = output.flush(new AbortController().signal);
    stream.destroy(Object.assign(new Error('gone'), { code: 'EPIPE' }));
    await Promise.all([wait, flushed]);
    assert.equal((output.lost.reason as NodeJS.ErrnoException).code, 'EPIPE');
  });
});

describe('Flight', () => {
  /** Calls that end when the test says so. */
  function controlled(options: {
    readonly ordered: boolean;
    readonly window: number;
    readonly stopAtFailure?: boolean;
  }) {
    const calls: { resolve(value: unknown): void; reject(error: unknown): void }[] = [];
    const counts = { read: 0, most: 0 };
    function* endless(): Generator<readonly string[]> {
      for (;;) {
        counts.read += 2;
        yield [String(counts.read - 2), String(counts.read - 1)];
      }
    }
    const call = () => new Promise((resolve, reject) => calls.push({ resolve, reject }));
    const flight = new Flight({ inputs: endless(), call, stopAtFailure: false, ...options });
    return { calls, counts, outcomes: flight[Symbol.asyncIterator]() };
  }

  for (const ordered of [true, false]) {
    test(`reads no further than its window (${ordered ? 'ordered' : 'unordered'})`, async () => {
      const { calls, counts, outcomes } = controlled({ ordered, window: 5 });
      const first = outcomes.next();
      await turn();
      assert.deepEqual([calls.length, counts.read], [5, 6]);
      // A head that does not end holds everything back that is ordered, and so the reading.
      for (const call of calls.slice(1, 4)) call.resolve('done');
      await turn();
      if (ordered) {
        assert.equal(calls.length, 5);
        calls[0]?.resolve('done');
      }
      const { value } = (await first) as { value: readonly Outcome[] };
      assert.deepEqual(
        value.map(({ index }) => index),
        ordered ? [0, 1, 2, 3] : [1, 2, 3],
      );
      // Nothing is read until the consumer comes back, however long it takes.
      await turn();
      assert.equal(calls.length, 5);
      void outcomes.next();
      await turn();
      assert.equal(calls.length, ordered ? 9 : 8);
    });
  }

  test('reads nothing after a failure, and still gives what came before it', async () => {
    const { calls, outcomes } = controlled({ ordered: true, window: 4, stopAtFailure: true });
    const first = outcomes.next();
    await turn();
    calls[1]?.reject(new Error('no'));
    await turn();
    calls[0]?.resolve('before');
    const { value } = (await first) as { value: readonly Outcome[] };
    assert.deepEqual(
      value.map(({ index }) => index),
      [0, 1],
    );
    assert.ok('error' in (value[1] as Outcome));
    const rest = outcomes.next();
    await turn();
    assert.equal(calls.length, 4);
    for (const call of calls) call.resolve('after');
    await rest;
    assert.equal((await outcomes.next()).done, true);
  });
});
