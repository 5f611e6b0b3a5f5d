// The picture of a graph of tasks as SVG, by Graphviz as WebAssembly: no other program is needed.

import { builtin } from '../builtin.js';
import { InvalidArgumentError, PictureError } from '../errors.js';
import { checkKnown, checkSignal, ownOptions } from '../own-options.js';
import { entryFile } from '../package-root.js';
import { dotString } from './dot.js';
import { type Decoration, decoratedDot, type GraphDotOptions } from './graph-dot.js';
import { checkSnapshot } from './graph-nodes.js';
import type { GraphNode, GraphSnapshot } from './graph-snapshot.js';
import { legalText } from './xml-text.js';

/** Options of a graph's picture as SVG. */
export interface GraphSvgOptions extends Omit<GraphDotOptions, 'sep'> {
  /** The ids of tasks that stand out, and the edges from each to the next, such as those of a critical path; none unless given. */
  readonly highlight?: readonly string[];
  /** Ends the drawing; none unless given. */
  readonly signal?: AbortSignal;
}

/** What the thread is told. */
export interface Drawing {
  readonly dot: string;
  readonly attributes: Readonly<Record<string, string | number>>;
}

/** Above so many nodes and edges Graphviz is told to be quick: seconds become minutes otherwise. */
const LARGE = 400;

/** Fewer rounds for straight edges with fewer bends and crossings; straight lines. */
const QUICK = { nslimit: 1, nslimit1: 1, mclimit: 0.2, splines: 'line' };

/**
 * A graph of tasks as SVG, from `<svg` on: for each task a `<g class="node STATE">` whose `<title>` is its id. It is drawn in
 * a thread of its own, by `@viz-js/viz` (Graphviz), which takes memory while it runs and nothing before and after. Hundreds
 * of tasks take a second, thousands with several edges each may take minutes: see `signal`.
 *
 * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT)
 * @throws PictureError (ERR_BOSUN_PICTURE) when Graphviz gives up. Also whatever is the reason of `signal`.
 */
export function graphAsSvg(snapshot: GraphSnapshot, options?: GraphSvgOptions): Promise<string> {
  return decoratedSvg(snapshot, options);
}

/** The same with other labels and more attributes of nodes. */
export async function decoratedSvg(
  snapshot: GraphSnapshot,
  options: GraphSvgOptions | undefined,
  decoration: Partial<Decoration> = {},
): Promise<string> {
  const given = ownOptions(options, 'the options of a picture');
  checkKnown(given, ['name', 'timings', 'highlight', 'signal'], "a graph's picture");
  const { highlight = [], signal, ...graph } = given;
  if (!Array.isArray(highlight)) throw new InvalidArgumentError('highlight is an array of ids of tasks');
  checkSignal(signal)?.throwIfAborted();
  const steps = new Map(highlight.map((id, i) => [id, highlight[i + 1]]));
  const nodes = checkSnapshot(snapshot);
  const dot = decoratedDot({ nodes }, graph, {
    label: (node) => withoutEmptyLines(decoration.label?.(node) ?? `${node.name}\n${node.state}`),
    node: (node) => ({
      fontname: FONT,
      class: dotString(steps.has(node.id) ? `${node.state} highlight` : node.state),
      ...(node.state === 'ABORT' && { fontcolor: 'white' }),
      ...(steps.has(node.id) && STRONG),
      ...decoration.node?.(node),
    }),
    edge: (from, to) => (steps.has(from) && steps.get(from) === to ? { class: 'highlight', ...STRONG } : {}),
  });
  const size = nodes.length + countEdges(nodes);
  const svg = await draw({ dot: legalText(dot), attributes: size > LARGE ? QUICK : {} }, signal);
  // What is before is for files alone; an SVG in UTF-8 needs none of it.
  return svg.slice(svg.indexOf('<svg'));
}

/** This build of Graphviz reads beyond its memory for some labels with empty lines, and fails with an error of WebAssembly. */
function withoutEmptyLines(label: string): string {
  return label.replace(/^$/gm, ' ');
}

/** One that every viewer has; Graphviz makes room for its letters. */
const FONT = dotString('Helvetica,Arial,sans-serif');

const STRONG = { penwidth: '3' };

function countEdges(nodes: readonly GraphNode[]): number {
  return nodes.reduce((sum, { requires }) => sum + requires.length, 0);
}

function draw(drawing: Drawing, signal: AbortSignal | undefined): Promise<string> {
  const { Worker } = builtin('node:worker_threads');
  return new Promise((resolve, reject) => {
    // Nothing of the program's own: a thread that only draws needs no hooks, and may be needed where there are no flags.
    const thread = new Worker(entryFile('task/svg-thread'), { workerData: drawing, execArgv: [], env: {} });
    const stop = (): void => {
      reject(signal?.reason);
      void thread.terminate();
    };
    signal?.addEventListener('abort', stop, { once: true });
    thread.once('message', resolve);
    thread.once('error', (cause) => reject(new PictureError('the graph could not be drawn', { cause })));
    thread.once('exit', () => {
      signal?.removeEventListener('abort', stop);
      // Nothing changes for who has been told already.
      reject(new PictureError('the graph could not be drawn: the thread that did it has ended'));
    });
  });
}
