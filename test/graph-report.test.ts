// The report about a graph, as one HTML file.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { type GraphNode, graphReport, type TaskState } from '../lib/index.js';
import { elementsOf, readXml, type XmlElement } from './fixtures/xml.js';

// biome-ignore lint/suspicious/noExplicitAny: misuse is what these tests are about
type Misuse = any;

const INVALID = { name: 'InvalidArgumentError', code: 'ERR_BOSUN_INVALID_ARGUMENT' };
const T0 = Date.UTC(2026, 0, 2, 3, 4, 5);

/** A task that ran from one time to another, in milliseconds from the first start. */
function ran(id: string, name: string, state: TaskState, requires: string[], from: number, to: number, more?: object) {
  return {
    id,
    name,
    state,
    requires,
    startedAt: T0 + from,
    endedAt: T0 + to,
    worker: 'worker 1',
    ...more,
  } as GraphNode;
}

const NODES: readonly GraphNode[] = [
  ran('t1', 'short', 'DONE', [], 0, 100),
  ran('t2', 'long', 'DONE', [], 0, 700, { worker: 'worker 2' }),
  ran('t3', 'join', 'DONE', ['t1', 't2'], 700, 1_000),
  ran('t4', 'bad', 'FAILED', ['t1'], 100, 200, { worker: undefined, error: 'Error: no\n    at bad (bad.js:1:1)' }),
  { id: 't5', name: 'after', state: 'FAILED', requires: ['t4'], error: "failed prerequisites: 'bad'" },
  { id: 't6', name: 'wait', state: 'PENDING', requires: [] },
];

async function report(nodes: readonly GraphNode[], title?: string): Promise<XmlElement> {
  return readXml(await graphReport({ nodes }, title === undefined ? {} : { title }), '<!doctype html>\n');
}

const texts = (root: XmlElement, name: string): string[] => elementsOf(root, name).map(({ text }) => text.trim());

function section(root: XmlElement, id: string): XmlElement {
  return (
    elementsOf(root, 'section').find(({ attributes }) => attributes['id'] === id) ?? assert.fail(`no section ${id}`)
  );
}

describe('graphReport', () => {
  test('tells how it was: counts, times, who ran what', async () => {
    const root = await report(NODES, 'The <build>');
    assert.deepEqual(texts(root, 'h1'), ['The <build>']);
    assert.match(root.text, /6 tasks: 3 done, 2 failed, 1 pending/);
    const figures = elementsOf(root, 'div').filter(({ children }) => children[0]?.name === 'dt');
    assert.deepEqual(
      figures.map(({ children }) => children.map(({ text }) => text)),
      [
        ['Wall time', '1.00 s'],
        ['Work', '1.20 s'],
        ['Tasks at a time, on average', '1.20'],
        ['Ran on', '2 workers and here'],
        ['Critical path', '1.00 s'],
      ],
    );
    assert.equal(elementsOf(root, 'time')[0]?.attributes['datetime'], '2026-01-02T03:04:05.000Z');
    const rows = elementsOf(section(root, 'tasks'), 'tr').slice(1);
    assert.deepEqual(
      rows.map(({ children }) => children.map(({ text }) => text.trim())),
      [
        ['short', 'DONE', '+0 ms', '0.10 s', 'worker 1'],
        ['long ◆', 'DONE', '+0 ms', '0.70 s', 'worker 2'],
        ['join ◆', 'DONE', '+0.70 s', '0.30 s', 'worker 1'],
        ['bad', 'FAILED', '+0.10 s', '0.10 s', 'here'],
        ['after', 'FAILED', '', '', ''],
        ['wait', 'PENDING', '', '', ''],
      ],
    );
    const bars = elementsOf(section(root, 'workers'), 'title').map(({ text }) => text);
    assert.deepEqual(bars, ['bad: FAILED, 0.10 s', 'short: DONE, 0.10 s', 'join: DONE, 0.30 s', 'long: DONE, 0.70 s']);
  });

  test('has the longest chain of times as the critical path, in the picture too', async () => {
    const root = await report(NODES);
    assert.deepEqual(texts(section(root, 'critical-path'), 'li'), ['long 0.70 s (70%)', 'join 0.30 s (30%)']);
    const groups = elementsOf(section(root, 'graph'), 'g');
    const marked = groups.filter(
      ({ attributes }) => attributes['class']?.startsWith('node') && /highlight/.test(attributes['class']),
    );
    assert.deepEqual(marked.map((group) => texts(group, 'title')[0]).toSorted(), ['join: DONE', 'long: DONE']);
  });

  test('has errors whole, those of tasks that were not begun behind the others', async () => {
    const errors = section(await report(NODES), 'errors');
    assert.deepEqual(texts(errors, 'pre'), ['Error: no\n    at bad (bad.js:1:1)', "failed prerequisites: 'bad'"]);
    assert.deepEqual(texts(errors, 'summary'), ['1 task was not begun']);
    assert.deepEqual(texts(elementsOf(errors, 'details')[0] as XmlElement, 'h3'), ['after FAILED']);
  });

  test('any name and error is text, and nothing but the file is needed', async () => {
    const evil = `</script><img src="x" onerror='alert(1)'>&lt;</title></style>--><svg onload=alert(1)>\0\u001b[31m\ud800]]>`;
    const nodes = NODES.map((node) => ({ ...node, name: evil, error: evil, worker: evil, key: evil }));
    const text = await graphReport(
      { nodes: [...nodes, { ...(nodes[0] as GraphNode), id: `${evil} t` }] },
      { title: evil },
    );
    const root = readXml(text, '<!doctype html>\n');
    for (const name of ['script', 'img', 'iframe', 'link', 'object', 'form', 'base']) {
      assert.deepEqual(elementsOf(root, name), [], name);
    }
    const all = elementsIn(root);
    const attributes = all.flatMap((element) => Object.entries(element.attributes));
    assert.deepEqual(
      attributes.filter(([name]) => /^on|^style$|^src$/.test(name)),
      [],
    );
    for (const [name, value] of attributes) if (/href$/.test(name)) assert.match(value, /^#/);
    assert.equal(texts(root, 'h1')[0], `${evil.slice(0, evil.indexOf('\0'))}\ufffd\ufffd[31m\ufffd]]>`);
    const [policy] = all.filter(({ attributes }) => attributes['http-equiv'] === 'Content-Security-Policy');
    const style = elementsOf(root, 'style');
    assert.equal(style.length, 1);
    const hash = createHash('sha256')
      .update(style[0]?.text ?? '')
      .digest('base64');
    assert.match(policy?.attributes['content'] ?? '', /default-src 'none'/);
    assert.ok(policy?.attributes['content']?.includes(`style-src 'sha256-${hash}'`));
  });

  test('every link leads somewhere, and what can be scrolled can be reached by keys', async () => {
    const root = await report(NODES);
    const all = elementsIn(root);
    const ids = all.flatMap(({ attributes }) => attributes['id'] ?? []);
    assert.equal(new Set(ids).size, ids.length);
    const links = elementsOf(root, 'a').map(({ attributes }) => decodeURIComponent(attributes['href']?.slice(1) ?? ''));
    assert.ok(links.length > 6);
    for (const link of links) assert.ok(ids.includes(link), link);
    for (const { attributes } of all.filter(({ attributes }) => attributes['class'] === 'scroll')) {
      assert.equal(attributes['tabindex'], '0');
      assert.ok(attributes['aria-label']);
    }
    for (const { attributes } of elementsOf(root, 'svg'))
      assert.ok(attributes['role'] === 'img' && attributes['aria-label']);
    assert.equal(root.attributes['lang'], 'en');
  });

  test('says so when nothing has run, and when there is nothing', async () => {
    const waiting = await report([NODES[5] as GraphNode]);
    assert.match(waiting.text, /Nothing has run yet/);
    assert.match(waiting.text, /The one task is pending/);
    const empty = await report([]);
    assert.match(empty.text, /The graph has no tasks/);
    assert.deepEqual(elementsOf(empty, 'section'), []);
    const all = await report(NODES.slice(0, 3));
    assert.match(all.text, /All 3 tasks are done/);
  });

  test('leaves out the picture of 5 000 tasks, and what a browser could not show, and says so', async () => {
    const large = Array.from({ length: 12_000 }, (_, i) =>
      ran(`t${i}`, `task ${i}`, 'DONE', i > 0 ? [`t${i - 1}`] : [], i, i + (i % 7), { worker: `worker ${i % 4}` }),
    );
    const root = await report(large);
    assert.match(section(root, 'graph').text, /There is no picture: 12,?000 tasks/);
    assert.match(section(root, 'workers').text, /The 5,?000 longest of 12,?000 are shown/);
    assert.match(section(root, 'tasks').text, /The first 10,?000 of 12,?000 are listed/);
    assert.equal(elementsOf(section(root, 'tasks'), 'tr').length, 10_001);
  });

  test('takes snapshots that no run could have made', async () => {
    const odd: GraphNode[] = [
      ran('t1', 'a', 'DONE', ['t2', 't9'], 5, 1),
      ran('t2', 'b', 'DONE', ['t1'], 0, 0),
      ran('t3', 'c', 'RUNNING', ['t3'], 10, 0, { endedAt: undefined }),
    ];
    const root = await report(odd);
    assert.equal(elementsOf(section(root, 'tasks'), 'tr').length, 4);
    assert.deepEqual(texts(root, 'dd').slice(0, 2), ['10 ms', '0 ms']);
  });

  test('refuses what is no snapshot, and ends with its signal', async () => {
    for (const bad of [
      undefined,
      {},
      { nodes: [{ ...NODES[0], startedAt: Number.NaN }] },
      { nodes: [{ ...NODES[0], startedAt: 1e300 }] },
    ]) {
      await assert.rejects(graphReport(bad as Misuse), INVALID);
    }
    for (const options of [null, { titel: 'a' }, { title: 5 }, { signal: 1 }]) {
      await assert.rejects(graphReport({ nodes: [] }, options as Misuse), INVALID);
    }
    const stop = new AbortController();
    const promise = graphReport({ nodes: NODES }, { signal: stop.signal });
    stop.abort(new Error('enough'));
    await assert.rejects(promise, { message: 'enough' });
  });
});

function elementsIn(root: XmlElement): XmlElement[] {
  const all: XmlElement[] = [];
  const left = [root];
  for (let element = left.pop(); element !== undefined; element = left.pop()) {
    all.push(element);
    left.push(...element.children.toReversed());
  }
  return all;
}
