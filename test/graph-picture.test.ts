// The pictures of graphs of tasks: DOT and SVG.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  FSM,
  type GraphNode,
  type GraphSnapshot,
  graphAsDot,
  graphAsSvg,
  makeNow,
  snapshotOf,
  Task,
  TaskQueue,
  type TaskState,
  tasksAsDot,
  tasksAsSvg,
} from '../lib/index.js';
import { TASK_TRANSITIONS } from '../lib/internals.js';
import { elementsOf, readXml } from './fixtures/xml.js';

// biome-ignore lint/suspicious/noExplicitAny: misuse is what these tests are about
type Misuse = any;

const INVALID = { name: 'InvalidArgumentError', code: 'ERR_BOSUN_INVALID_ARGUMENT' };

const STATES = Object.keys(TASK_TRANSITIONS) as TaskState[];

function node(id: string, name: string, state: TaskState = 'PENDING', more: Partial<GraphNode> = {}): GraphNode {
  return { id, name, state, requires: [], ...more };
}

const PAIR: GraphSnapshot = { nodes: [node('t1', 't1'), node('t2', 't2', 'PENDING', { requires: ['t1'] })] };

describe('graphAsDot', () => {
  test('has a line for each task and one for each edge', () => {
    const lines = [
      'digraph G {',
      '  t1[style=filled,fillcolor=white,label="t1\\nPENDING"];',
      '  t1->t2;',
      '  t2[style=filled,fillcolor=white,label="t2\\nPENDING"];',
      '}',
    ];
    assert.equal(graphAsDot(PAIR, { name: 'G' }), lines.join('\n'));
    assert.equal(graphAsDot(PAIR, { name: 'G', sep: ' ' }), lines.join(' '));
    assert.equal(graphAsDot({ nodes: [] }), 'digraph {\n}');
  });

  test('colours tasks by their states', () => {
    const dot = graphAsDot({ nodes: STATES.map((state, i) => node(`t${i}`, 'a', state)) });
    const colours = [...dot.matchAll(/fillcolor=(\w+),label="a\\n(\w+)"/g)].map(([, colour, state]) => [state, colour]);
    assert.deepEqual(colours, [
      ['PREPARE', 'white'],
      ['PENDING', 'white'],
      ['QUEUED', 'white'],
      ['RUNNING', 'yellow'],
      ['DONE', 'green'],
      ['FAILED', 'red'],
      ['CANCELLED', 'gray'],
      ['ABORT', 'darkred'],
    ]);
  });

  test('sorts the edges of a task by the names of those that require it', () => {
    const nodes = [
      node('t1', 'root'),
      node('t2', 'c', 'PENDING', { requires: ['t1'] }),
      node('t3', 'a', 'PENDING', { requires: ['t1', 't1'] }),
      node('t4', 'b', 'PENDING', { requires: ['t3', 't1', 't2'] }),
      node('t5', 'a', 'PENDING', { requires: ['t1'] }),
    ];
    const edges = graphAsDot({ nodes }).match(/\w+->\w+/g);
    assert.deepEqual(edges, ['t1->t3', 't1->t5', 't1->t4', 't1->t2', 't2->t4', 't3->t4']);
  });

  test('has the edges of tasks that are not drawn, behind the others', () => {
    const nodes = [
      node('t2', 'b', 'PENDING', { requires: ['t1'] }),
      node('t3', 'a', 'PENDING', { requires: ['t1', 't2'] }),
    ];
    assert.deepEqual(graphAsDot({ nodes }).match(/\S+->\S+/g), ['t2->t3;', 't1->t3;', 't1->t2;']);
    assert.doesNotMatch(graphAsDot({ nodes }), /t1\[/);
  });

  test('tells how long tasks have run when it is asked to', () => {
    const nodes = [
      node('t1', 'a', 'DONE', { startedAt: 1_000, endedAt: 1_042 }),
      node('t2', 'b', 'FAILED', { startedAt: 1_000, endedAt: 2_234 }),
      node('t3', 'c', 'RUNNING', { startedAt: 1_000 }),
      node('t4', 'd', 'DONE', { startedAt: 0, endedAt: 0.25 }),
      node('t5', 'e', 'DONE', { startedAt: 0, endedAt: 3_725_000 }),
    ];
    const labels = [...graphAsDot({ nodes }, { timings: true }).matchAll(/label="(.*)"/g)].map(([, label]) => label);
    const expected = [
      'a\\nDONE\\n42 ms',
      'b\\nFAILED\\n1.23 s',
      'c\\nRUNNING',
      'd\\nDONE\\n0.3 ms',
      'e\\nDONE\\n1:02:05 h',
    ];
    assert.deepEqual(labels, expected);
    assert.doesNotMatch(graphAsDot({ nodes }), /ms|1\.23/);
  });

  test('quotes what has to be quoted', () => {
    const nodes = [node('graph', 'say "a\\n"\nb'), node('t 2', '&lt;', 'PENDING', { requires: ['graph'] })];
    assert.deepEqual(graphAsDot({ nodes }, { name: 'strict' }).split('\n'), [
      'digraph "strict" {',
      '  "graph"[style=filled,fillcolor=white,label="say \\"a\\\\n\\"\\nb\\nPENDING"];',
      '  "graph"->"t 2";',
      '  "t 2"[style=filled,fillcolor=white,label="&amp;lt;\\nPENDING"];',
      '}',
    ]);
  });

  test('refuses what is no snapshot, and options that it does not have', async () => {
    const bad: Misuse[] = [
      undefined,
      null,
      [],
      {},
      { nodes: 5 },
      { nodes: [{}] },
      { nodes: [node('t1', 'a', 'NO' as Misuse)] },
      { nodes: [node('t1', 'a', 'toString' as Misuse)] },
      { nodes: [{ ...node('t1', 'a'), requires: [1] }] },
      { nodes: [node('t1', 'a'), node('t1', 'b')] },
    ];
    for (const snapshot of bad) {
      assert.throws(() => graphAsDot(snapshot), INVALID);
      await assert.rejects(graphAsSvg(snapshot), INVALID);
    }
    for (const options of [null, 'G', { nam: 'G' }, { name: 5 }, { sep: '}' }, { timings: 1 }, { highlight: [] }]) {
      assert.throws(() => graphAsDot(PAIR, options as Misuse), INVALID);
    }
    for (const options of [null, { sep: ' ' }, { highlight: 't1' }, { signal: 5 }]) {
      await assert.rejects(graphAsSvg(PAIR, options as Misuse), INVALID);
    }
  });

  test('a chain of 100 000 tasks is drawn', () => {
    const nodes = Array.from({ length: 100_000 }, (_, i) =>
      node(`t${i}`, 'a', 'DONE', { requires: i > 0 ? [`t${i - 1}`] : [] }),
    );
    assert.equal(graphAsDot({ nodes }).match(/->/g)?.length, 99_999);
  });
});

describe('pictures of tasks', () => {
  test('have the edges to those that require them, and those themselves if they are to be followed', async () => {
    const t1 = new Task('t1', () => {});
    const t2 = t1.andThen('t2', () => {});
    t2.andThen('t3', () => {});
    const line = (id: string) => `  ${id}[style=filled,fillcolor=white,label="${id}\\nPENDING"];`;
    assert.deepEqual(tasksAsDot(t1, { name: 'G' }).split('\n'), ['digraph G {', line('t1'), '  t1->t2;', '}']);
    assert.equal(tasksAsDot(t2).match(/->/g)?.length, 1);
    const all = ['digraph {', line('t1'), '  t1->t2;', line('t2'), '  t2->t3;', line('t3'), '}'];
    assert.deepEqual(tasksAsDot([t1], { followBlocking: true }).split('\n'), all);
    assert.equal(tasksAsDot([t1, t2], { sep: ' ' }).match(/->/g)?.length, 2);
    const titles = elementsOf(readXml(await tasksAsSvg(t1, { followBlocking: true })), 'title').map(({ text }) => text);
    assert.deepEqual(titles.filter((title) => /^t/.test(title)).toSorted(), ['t1', 't1->t2', 't2', 't2->t3', 't3']);
    for (const bad of [5, undefined, [{}]] as Misuse[]) assert.throws(() => tasksAsDot(bad), INVALID);
    assert.throws(() => tasksAsDot(t1, { follow: true } as Misuse), INVALID);
    await assert.rejects(tasksAsSvg(t1, { sep: ' ' } as Misuse), INVALID);
  });

  test('are what a task, a queue, and a class of its own say', async () => {
    class Step extends Task<void> {
      static override readonly dotFillColors = { ...Task.dotFillColors, PENDING: '#eeeeff' };
      override run(): void {}
      override dotNodeLabel(): string {
        return `step "${this.name}"\n\n<${this.state}>`;
      }
    }
    const step = new Step({ name: 'one' });
    const next = step.andThen('two', () => {});
    const line = `  t1[style=filled,fillcolor="#eeeeff",label="step \\"one\\"\\n\\n<PENDING>"];`;
    assert.deepEqual(step.asDot().split('\n'), ['digraph {', line, '  t1->t2;', '}']);
    assert.equal(step.asDot({ followBlocking: true }), Task.tasksAsDot([step, next]));
    assert.equal(new TaskQueue([step, next]).asDot({ name: 'Q' }), tasksAsDot([step, next], { name: 'Q' }));
    const texts = elementsOf(readXml(await step.asSvg()), 'text').map(({ text }) => text);
    assert.deepEqual(
      texts.filter((text) => text?.trim() !== ''),
      ['step "one"', '<PENDING>'],
    );
    assert.equal(await Task.tasksAsSvg([step]), await step.asSvg());
    // What its states lead to.
    assert.match(FSM.prototype.asDot.call(step), /PENDING->RUNNING\[label="dispatch"\]/);
  });

  test('follow the states, and are green in the end', async () => {
    const root = new Task('root', () => 1);
    const left = root.andThen('left', async () => {});
    const right = root.andThen('right', () => 2);
    const end = new Task('end', () => 3).require(left).require(right);
    const all = [root, left, right, end];
    const fills = () => [...graphAsDot(snapshotOf(all)).matchAll(/fillcolor=(\w+)/g)].map(([, colour]) => colour);
    const expected = () =>
      all.map(({ state }) => (state === 'DONE' ? 'green' : state === 'RUNNING' ? 'yellow' : 'white'));
    // What a callback throws fails nothing.
    const seen: (readonly [drawn: unknown, expected: unknown])[] = [];
    for (const task of all) task.on('any', () => seen.push([fills(), expected()]));
    assert.deepEqual(fills(), ['white', 'white', 'white', 'white']);
    await makeNow(all);
    assert.equal(seen.length, 8);
    for (const [drawn, states] of seen) assert.deepEqual(drawn, states);
    assert.equal(graphAsDot(snapshotOf(all)).match(/label="\w+\\nDONE"/g)?.length, 4);
    assert.deepEqual(fills(), ['green', 'green', 'green', 'green']);
    const groups = elementsOf(readXml(await graphAsSvg(snapshotOf(all))), 'g');
    assert.equal(groups.filter(({ attributes }) => attributes['class'] === 'node DONE').length, 4);
  });
});

describe('graphAsSvg', () => {
  test('is well-formed and has one group, title and state for each task', async () => {
    const svg = await graphAsSvg({ nodes: STATES.map((state, i) => node(`t${i}`, `task ${i}`, state)) }, { name: 'G' });
    const root = readXml(svg);
    assert.equal(root.name, 'svg');
    const groups = elementsOf(root, 'g').filter(({ attributes }) => attributes['class']?.startsWith('node '));
    assert.deepEqual(
      groups.map((group) => elementsOf(group, 'title').map(({ text }) => text)),
      STATES.map((_, i) => [`t${i}`]),
    );
    assert.deepEqual(
      groups.map(({ attributes }) => attributes['class']),
      STATES.map((state) => `node ${state}`),
    );
    assert.deepEqual(
      groups.map((group) => elementsOf(group, 'text').map(({ text }) => text)),
      STATES.map((state, i) => [`task ${i}`, state]),
    );
  });

  test('highlights tasks and the edges between them', async () => {
    const nodes = [
      node('t1', 'a'),
      node('t2', 'b', 'DONE', { requires: ['t1'] }),
      node('t3', 'c', 'DONE', { requires: ['t2', 't1'] }),
    ];
    const root = readXml(await graphAsSvg({ nodes }, { highlight: ['t1', 't2'] }));
    const titles = elementsOf(root, 'g')
      .filter(({ attributes }) => attributes['class']?.split(' ').includes('highlight'))
      .map((group) => elementsOf(group, 'title')[0]?.text);
    assert.deepEqual(titles.toSorted(), ['t1', 't1->t2', 't2']);
  });

  test('is well-formed whatever the names are, and shows them', async () => {
    const names = [
      '<b>"a" & \'b\'</b>',
      '&lt;',
      '&#60;script>',
      '\0\u0007\u001b[31m',
      '\ud800',
      '',
      'a\\nb',
      '</text><script>',
      'é漢😀',
    ];
    const nodes = names.map((name, i) => node(`t${i}`, name));
    const root = readXml(await graphAsSvg({ nodes }, { name: '<G & "H">' }));
    const drawn = elementsOf(root, 'text').map(({ text }) => text);
    for (const name of [...names.slice(0, 3), ...names.slice(6)]) assert.ok(drawn.includes(name), name);
    assert.deepEqual(elementsOf(root, 'script'), []);
  });

  test('draws tasks without names, and names with empty lines', async () => {
    for (const name of ['', '\n', 'a\n\nb']) {
      assert.match(await graphAsSvg({ nodes: [node('t0', name, 'DONE')] }), /<title>t0<\/title>/);
    }
  });

  test('draws what DOT says, for random graphs', async () => {
    const graph = fc.array(fc.tuple(fc.string({ maxLength: 5 }), fc.array(fc.nat(), { maxLength: 3 })), {
      maxLength: 8,
    });
    const property = fc.asyncProperty(graph, async (rows) => {
      const nodes = rows.map(([name, others], i) =>
        node(`t${i}`, name, 'DONE', { requires: i === 0 ? [] : [...new Set(others.map((other) => `t${other % i}`))] }),
      );
      const titles = elementsOf(readXml(await graphAsSvg({ nodes })), 'title').map(({ text }) => text);
      const expected = nodes.flatMap(({ id, requires }) => [id, ...requires.map((other) => `${other}->${id}`)]);
      assert.deepEqual(titles.filter((title) => /^t\d/.test(title)).toSorted(), expected.toSorted());
    });
    await fc.assert(property, { numRuns: 5 });
  });

  test('ends when its signal does, and leaves the event loop free meanwhile', async () => {
    // Minutes of work: each of the later tasks requires many of the earlier ones.
    const nodes = Array.from({ length: 600 }, (_, i) =>
      node(`t${i}`, 'a', 'DONE', {
        requires: Array.from({ length: Math.min(i, 12) }, (_, k) => `t${(i * 7 + k * 31) % i}`),
      }),
    );
    const stop = new AbortController();
    const svg = graphAsSvg({ nodes }, { signal: stop.signal });
    let turns = 0;
    const turn = () => {
      if (++turns === 100) stop.abort(new Error('enough'));
      else setImmediate(turn);
    };
    turn();
    await assert.rejects(svg, { message: 'enough' });
    assert.equal(turns, 100);
    await assert.rejects(graphAsSvg(PAIR, { signal: stop.signal }), { message: 'enough' });
  });
});
