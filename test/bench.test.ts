// bench:check on results that were not measured: what it makes of them.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

interface Run {
  readonly scenario: string;
  readonly contestant: string;
  readonly round: number;
  readonly values?: Readonly<Record<string, number>>;
  readonly unavailable?: string;
  readonly failed?: string;
}

interface Verdict {
  readonly bar: { readonly id: string; readonly atLeast?: number; readonly atMost?: number };
  readonly state: 'met' | 'missed' | 'not available';
  readonly value?: number;
  readonly low?: number;
  readonly high?: number;
  readonly detail?: string;
  readonly reason?: string;
}

const peers = new URL('../../bench/peers/', import.meta.url);
const { BARS, judge, margin } = (await import(new URL('bars.mjs', peers).href)) as {
  BARS: readonly Verdict['bar'][];
  judge(results: { runs: readonly Run[] }): Verdict[];
  margin(verdict: Verdict): number;
};

/** One run for each value: the first is of round 0. */
function runs(scenario: string, contestant: string, key: string, values: readonly number[]): Run[] {
  return values.map((value, round) => ({ scenario, contestant, round, values: { [key]: value } }));
}

function verdict(id: string, measured: readonly Run[]): Verdict {
  const found = judge({ runs: measured }).find(({ bar }) => bar.id === id);
  assert.ok(found, `there is no bar '${id}'`);
  return found;
}

describe('the bars', () => {
  test('have an id of their own and one direction', () => {
    assert.equal(new Set(BARS.map(({ id }) => id)).size, BARS.length);
    for (const { id, atLeast, atMost } of BARS)
      assert.equal(Number(atLeast !== undefined) + Number(atMost !== undefined), 1, id);
  });

  test('take the median of the ratios of the rounds, over the peer with the best median', () => {
    const found = verdict('noop-1/bosun', [
      ...runs('noop-1', 'bosun', 'atOnce', [600, 70, 900]),
      ...runs('noop-1', 'piscina', 'atOnce', [100, 10, 90]),
      ...runs('noop-1', 'tinypool-processes', 'atOnce', [1, 1, 1_000]),
      ...runs('noop-1', 'unix-socket', 'atOnce', [9_000, 9_000, 9_000]),
    ]);
    assert.deepEqual(
      { value: found.value, low: found.low, high: found.high, detail: found.detail, state: found.state },
      { value: 7, low: 6, high: 10, detail: 'piscina', state: 'met' },
    );
  });

  test('compare only rounds in which both were measured', () => {
    const [first, , last] = runs('noop-1', 'piscina', 'atOnce', [100, 100, 100]) as [Run, Run, Run];
    const failed = { scenario: 'noop-1', contestant: 'piscina', round: 1, failed: 'ended by SIGKILL' };
    const found = verdict('noop-1/bosun', [
      ...runs('noop-1', 'bosun', 'atOnce', [500, 9_000, 700]),
      first,
      failed,
      last,
    ]);
    assert.equal(found.value, 6);
    assert.equal(found.high, 7);
  });

  test('are missed on the wrong side only, and a bar of 0 by anything', () => {
    const share = (value: number) => verdict('blocked', runs('blocked', 'bosun', 'share', [value])).state;
    assert.deepEqual([share(0.949), share(0.95)], ['missed', 'met']);
    const first = (ours: number) =>
      verdict('startup/first', [
        ...runs('startup', 'bosun', 'firstResultMs', [ours]),
        ...runs('startup', 'tinypool-processes', 'firstResultMs', [100]),
      ]);
    assert.deepEqual([first(121).state, first(120).state], ['missed', 'met']);
    assert.equal(margin(first(60)), 2);
    const idle = (value: number) => verdict('idle', runs('idle', 'bosun', 'wakeUpsPerSecond', [value]));
    assert.deepEqual([idle(0.4).state, idle(0).state], ['missed', 'met']);
    assert.deepEqual([margin(idle(0.4)), margin(idle(0))], [0, 1]);
  });

  test('of what should be flat are the largest median over the smallest', () => {
    const sizes = [10_000, 100_000, 300_000, 1_000_000];
    const found = verdict(
      'queued/flat',
      sizes.flatMap((count, i) => runs(`queued-${count}`, 'bosun', 'netUs', [2, 2 + i / 10, 9])),
    );
    assert.equal(found.value, 1.15);
    assert.equal(found.state, 'met');
  });

  test('that were not measured are not met, and say why', () => {
    const piscina = runs('latency', 'piscina', 'p50', [20]);
    const refused = { scenario: 'latency', contestant: 'bosun-spin', round: 0, unavailable: "'spin' is no option" };
    const found = verdict('latency/piscina', [...piscina, refused]);
    assert.deepEqual([found.state, found.reason], ['not available', "'spin' is no option"]);
    for (const { bar, state, reason } of judge({ runs: [] }))
      assert.equal(state, 'not available', `${bar.id}: ${reason}`);
  });
});

test('bench:check fails for a missed bar and says by how much', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'bosun-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'results.json');
  const about = { commit: 'abc', processor: 'none', cores: 2, node: '20.0.0', rounds: 1 };
  writeFileSync(file, JSON.stringify({ ...about, runs: runs('memory', 'bosun', 'bytesPerTask', [500]) }));
  const { status, stdout } = spawnSync(process.execPath, [fileURLToPath(new URL('check.mjs', peers)), file], {
    encoding: 'utf8',
  });
  assert.equal(status, 1);
  assert.match(stdout, /^MISSED .*: 500 B \(<= 400 B\): 25 % above the bar$/m);
  assert.match(stdout, /0 met, 1 missed, \d+ not available/);
});
