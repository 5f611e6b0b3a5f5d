// The states of a graph's tasks in the last rows of the terminal, while they change.

import { clock } from '../figures.js';
import { countStates, countsText } from '../graph/state-counts.js';
import type { GraphNode, GraphSnapshot } from '../task/graph-snapshot.js';
import { BottomRows } from './bottom-rows.js';
import type { View } from './job.js';
import { type Palette, paletteOf } from './paint.js';
import { type TreeRow, treeLines, treeOf } from './state-tree.js';

const FRAME_MS = 100;

/** Of the time, as large graphs take long to look at. */
const MOST_SHARE = 0.1;

/** Draws on standard error, which is a terminal, until it is stopped; then the tree as it is stays there. */
export class LiveTree implements View {
  readonly shown = true;
  readonly #look: () => GraphSnapshot;
  readonly #tree: readonly TreeRow[];
  readonly #startedAt = performance.now();
  readonly #rows: BottomRows;
  #timer: NodeJS.Timeout | undefined;

  /** @param look has the same tasks every time. */
  constructor(look: () => GraphSnapshot) {
    this.#look = look;
    this.#tree = treeOf(look().nodes);
    // One more for the counts.
    this.#rows = new BottomRows(process.stderr, this.#tree.length + 1);
    this.#rows.take();
    this.#draw();
  }

  stop(): void {
    clearTimeout(this.#timer);
    const { height } = this.#rows;
    this.#rows.release();
    process.stderr.write(`${this.#lines(this.#nodes(), height, paletteOf(process.stderr)).join('\n')}\n`);
  }

  #draw(): void {
    const begun = performance.now();
    const paint = paletteOf(process.stderr);
    const nodes = this.#nodes();
    const elapsed = clock(Math.floor((begun - this.#startedAt) / 1000));
    const counts = `${countsText(countStates(nodes.values()))} · ${elapsed}`;
    const lines = this.#rows.height === 1 ? [] : this.#lines(nodes, this.#rows.height - 1, paint);
    this.#rows.write([...lines, paint.dim(counts)].join('\n'));
    const cost = performance.now() - begun;
    this.#timer = setTimeout(() => this.#draw(), Math.max(FRAME_MS, cost / MOST_SHARE));
    this.#timer.unref();
  }

  #nodes(): Map<string, GraphNode> {
    return new Map(this.#look().nodes.map((node) => [node.id, node]));
  }

  #lines(nodes: ReadonlyMap<string, GraphNode>, most: number, paint: Palette): string[] {
    return treeLines(this.#tree, nodes, most, paint, Date.now());
  }
}
