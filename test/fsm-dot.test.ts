// The pictures of state machines.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FSM } from '../lib/index.js';
import { makeLight } from './fixtures/lights.js';

// biome-ignore lint/suspicious/noExplicitAny: misuse is what these tests are about
type Misuse = any;

const INVALID = { name: 'InvalidArgumentError', code: 'ERR_BOSUN_INVALID_ARGUMENT' };

/** The quoted and plain names, and the marks between them; throws where DOT would lose its way. */
function tokens(dot: string): string[] {
  const found = dot.match(/"(?:[^"\\]|\\.)*"|[A-Za-z_][A-Za-z_0-9]*|->|[{}[\]=,;]/gs) ?? [];
  const rest = found.reduce((text, token) => {
    const at = text.indexOf(token);
    assert.match(text.slice(0, at), /^\s*$/);
    return text.slice(at + token.length);
  }, dot);
  assert.match(rest, /^\s*$/);
  return found;
}

describe('asDot', () => {
  test('draws states in the order of the table, events sorted, the present state filled', () => {
    const light = makeLight({ state: 'GREEN' });
    const lines = [
      'digraph {',
      '  RED[label="RED"];',
      '  RED->DARK[label="fail"];',
      '  RED->GREEN[label="next"];',
      '  RED->RED[label="stay"];',
      '  GREEN[label="GREEN",style=filled,fillcolor=lightgray];',
      '  GREEN->DARK[label="fail"];',
      '  GREEN->YELLOW[label="next"];',
      '  YELLOW[label="YELLOW"];',
      '  YELLOW->DARK[label="fail"];',
      '  YELLOW->RED[label="next"];',
      '  DARK[label="DARK"];',
      '}',
    ];
    assert.equal(light.asDot(), lines.join('\n'));
    assert.equal(light.asDot({ sep: ' ' }), lines.join(' '));
    light.fire('fail');
    assert.match(light.asDot(), /GREEN\[label="GREEN"\];/);
    assert.match(light.asDot(), /DARK\[label="DARK",style=filled/);
  });

  test('names the graph, and draws what happened as it is told', () => {
    const light = makeLight({ history: true });
    light.fire('next');
    assert.match(light.asDot({ name: 'G' }), /^digraph G \{/);
    assert.match(light.asDot({ name: 'graph' }), /^digraph "graph" \{/);
    assert.match(light.asDot({ name: 'a "b"' }), /^digraph "a \\"b\\"" \{/);
    const styled = light.asDot({ historyStyle: { color: 'red', penwidth: '2' } });
    assert.deepEqual(styled.match(/.*penwidth.*/g), ['  RED->GREEN[label="next",color="red",penwidth="2"];']);
    assert.equal(makeLight({ state: 'GREEN' }).asDot({ historyStyle: { color: 'red' } }), light.asDot());
  });

  test('refuses options that it does not have', () => {
    const light = makeLight();
    for (const options of [null, 'G', { nam: 'G' }, { name: 5 }, { sep: 5 }, { sep: '}' }, { historyStyle: 'red' }]) {
      assert.throws(() => light.asDot(options as Misuse), INVALID);
    }
    assert.throws(() => light.asDot({ historyStyle: { color: 1 } as Misuse }), INVALID);
  });

  test('quotes what has to be quoted, and keeps names apart', () => {
    const machine = new FSM<string, string>({
      transitions: { 'a"b\\': { 'x\ny\\': 'Digraph' }, 'a\nb': { '\\n': 'a\\nb' }, '&lt;': { 'a & b': '1st' } },
    });
    assert.deepEqual(machine.asDot().split('\n').slice(1, -1), [
      '  "a\\"b\\\\"[label="a\\"b\\\\",style=filled,fillcolor=lightgray];',
      '  "a\\"b\\\\"->"Digraph"[label="x\\ny\\\\"];',
      '  "a\\nb"[label="a\\nb"];',
      '  "a\\nb"->"a\\\\nb"[label="\\\\n"];',
      '  "&lt;"[label="&amp;lt;"];',
      '  "&lt;"->"1st"[label="a & b"];',
      '  "Digraph"[label="Digraph"];',
      '  "a\\\\nb"[label="a\\\\nb"];',
      '  "1st"[label="1st"];',
    ]);
  });

  test('is whole whatever the names, and the same for the same machine', () => {
    const letter = fc.constantFrom('"', '\\', '\n', '\r', '\t', 'n', ' ', '}', ']', ';', '-', '>', '<', '&', 'é', '1');
    const text = fc.string({ unit: letter, maxLength: 6 });
    const table = fc.dictionary(text, fc.dictionary(text, text, { maxKeys: 3 }), { minKeys: 1, maxKeys: 4 });
    const property = fc.property(table, text, (transitions, name) => {
      const machine = new FSM<string, string>({ transitions });
      const dot = machine.asDot({ name });
      assert.equal(new FSM<string, string>({ transitions }).asDot({ name }), dot);
      const found = tokens(dot);
      const rows = Object.values(transitions);
      const states = new Set([...Object.keys(transitions), ...rows.flatMap((row) => Object.values(row))]);
      const edges = rows.flatMap((row) => Object.keys(row)).length;
      const count = (token: string) => found.filter((one) => one === token).length;
      assert.deepEqual(['->', ';', 'label', 'filled', '{', '}'].map(count), [
        edges,
        states.size + edges,
        states.size + edges,
        1,
        1,
        1,
      ]);
      const nodes = found.filter((_, i) => [';', '{'].includes(found[i - 1] as string) && found[i + 1] === '[');
      assert.equal(new Set(nodes).size, states.size);
    });
    fc.assert(property, { numRuns: 500 });
  });
});
