// The tasks of a graph as lines of text: what is made first, indented below it what it requires.

import { count, duration } from '../figures.js';
import { countStates, countsText, stateWord } from '../graph/state-counts.js';
import type { GraphNode } from '../task/graph-snapshot.js';
import type { TaskState } from '../task/task-states.js';
import { legalText } from '../task/xml-text.js';
import type { Paint, Palette } from './paint.js';

/** How a state looks, and how much it is worth a line: the lowest are shown first. */
const LOOKS: { readonly [state in TaskState]: { sign: string; rank: number } } = {
  RUNNING: { sign: '▶', rank: 0 },
  FAILED: { sign: '✖', rank: 1 },
  ABORT: { sign: '✖', rank: 1 },
  CANCELLED: { sign: '⊘', rank: 2 },
  QUEUED: { sign: '…', rank: 3 },
  DONE: { sign: '✔', rank: 4 },
  PENDING: { sign: '·', rank: 5 },
  PREPARE: { sign: '·', rank: 5 },
};

const RANKS = 6;

/** Deep graphs stay within the screen. */
const MOST_INDENT = 10;

/** A task and how deep below a root it is drawn. */
export interface TreeRow {
  readonly id: string;
  readonly depth: number;
}

/** Each task once: below the first of those that require it. Roots are tasks that nobody requires, in the order of the nodes. */
export function treeOf(nodes: readonly GraphNode[]): TreeRow[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const required = new Set(nodes.flatMap(({ requires }) => requires));
  const rows: TreeRow[] = [];
  const left = nodes
    .filter(({ id }) => !required.has(id))
    .map(({ id }) => ({ id, depth: 0 }))
    .reverse();
  for (let row = left.pop(); row !== undefined; row = left.pop()) {
    const node = byId.get(row.id);
    if (node === undefined) continue;
    byId.delete(row.id);
    rows.push(row);
    for (const id of node.requires.toReversed()) left.push({ id, depth: row.depth + 1 });
  }
  return rows;
}

/**
 * At most `most` lines. When there are more tasks, those that run and those that have failed are shown rather than others, and
 * the last line counts the rest.
 *
 * @param now milliseconds since the epoch, for how long running tasks have been running.
 */
export function treeLines(
  rows: readonly TreeRow[],
  nodes: ReadonlyMap<string, GraphNode>,
  most: number,
  paint: Palette,
  now: number,
): string[] {
  const shown = rows.length <= most ? rows : choose(rows, nodes, most - 1);
  const lines = shown.map(({ id, depth }) => {
    const node = nodes.get(id) as GraphNode;
    return `${'  '.repeat(Math.min(depth, MOST_INDENT))}${lineOf(node, paint, now)}`;
  });
  if (shown.length < rows.length) {
    const isShown = new Set(shown.map(({ id }) => id));
    const rest = rows.filter(({ id }) => !isShown.has(id)).map(({ id }) => nodes.get(id) as GraphNode);
    lines.push(paint.dim(`… ${count(rest.length)} more: ${countsText(countStates(rest))}`));
  }
  return lines;
}

/** A name on a line of a terminal: it moves no cursor there. */
export function nameOf(name: string): string {
  return legalText(name).replace(/\s+/g, ' ');
}

/** By rank, and within one in the order of the tree. */
function choose(rows: readonly TreeRow[], nodes: ReadonlyMap<string, GraphNode>, most: number): TreeRow[] {
  const rankOf = ({ id }: TreeRow): number => LOOKS[(nodes.get(id) as GraphNode).state].rank;
  const room = new Array<number>(RANKS).fill(0);
  for (const row of rows) room[rankOf(row)] = (room[rankOf(row)] as number) + 1;
  let left = Math.max(0, most);
  for (let rank = 0; rank < RANKS; rank++) {
    room[rank] = Math.min(room[rank] as number, left);
    left -= room[rank] as number;
  }
  return rows.filter((row) => {
    const rank = rankOf(row);
    room[rank] = (room[rank] as number) - 1;
    return (room[rank] as number) >= 0;
  });
}

function lineOf({ name, state, startedAt, endedAt, worker }: GraphNode, paint: Palette, now: number): string {
  const { sign } = LOOKS[state];
  const paintOf: { readonly [state in TaskState]?: Paint } = {
    RUNNING: paint.yellow,
    DONE: paint.green,
    FAILED: paint.red,
    ABORT: paint.red,
  };
  const color = paintOf[state] ?? paint.dim;
  const ran = startedAt === undefined ? undefined : duration(Math.max(0, (endedAt ?? now) - startedAt));
  const details = [
    state === 'DONE' || state === 'RUNNING' || state === 'PENDING' ? undefined : stateWord(state),
    ran,
    startedAt === undefined ? undefined : worker,
  ].filter((text) => text !== undefined);
  const isWaiting = state === 'PENDING' || state === 'PREPARE' || state === 'QUEUED';
  const text = isWaiting ? paint.dim(nameOf(name)) : nameOf(name);
  return `${color(sign)} ${text}${details.length === 0 ? '' : ` ${paint.dim(details.join(' · '))}`}`;
}
