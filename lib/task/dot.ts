// Texts in the DOT language.

import { InvalidArgumentError } from '../errors.js';

/** Options of every graph. */
export interface DotOptions {
  /** Of the graph; none unless given. */
  readonly name?: string;
  /** Between the lines; a line end unless given. */
  readonly sep?: string;
}

/** A name that DOT takes as it is. */
const PLAIN = /^[A-Za-z_][A-Za-z_0-9]*$/;
/** In any case of letters. */
const KEYWORD = /^(node|edge|graph|digraph|subgraph|strict)$/i;

/** A name as an identifier: quoted unless it needs no quotes. Different names stay different. */
export function dotId(name: string): string {
  return PLAIN.test(name) && !KEYWORD.test(name) ? name : dotString(name);
}

/** A quoted identifier. A label made of it shows the text letter by letter, its line ends included. */
export function dotString(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`;
}

/** A label. What looks like an HTML entity would be drawn as the letter that it stands for. */
export function dotLabel(text: string): string {
  return dotString(text.replace(/&(?=#?\w+;)/g, '&amp;'));
}

/** What stands behind a node or an edge; the values are written as they are given. */
export function dotAttributes(attributes: Readonly<Record<string, string>>): string {
  return `[${Object.entries(attributes)
    .map(([name, value]) => `${dotId(name)}=${value}`)
    .join(',')}]`;
}

/** A graph of statements, each a line of its own. @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) */
export function dotGraph(lines: readonly string[], { name, sep = '\n' }: DotOptions): string {
  if (name !== undefined && typeof name !== 'string') throw new InvalidArgumentError("a graph's name is a string");
  // Anything else would become a part of the graph.
  if (typeof sep !== 'string' || !/^\s*$/.test(sep)) throw new InvalidArgumentError('sep is white space');
  const head = name === undefined ? 'digraph {' : `digraph ${dotId(name)} {`;
  return [head, ...lines.map((line) => `  ${line}`), '}'].join(sep);
}
