// Who ran what when, as SVG: a row for each worker, a bar for each task.

import { duration } from '../figures.js';
import type { GraphNode } from '../task/graph-snapshot.js';
import { type GraphFigures, HERE } from './graph-figures.js';
import { type Html, html } from './html.js';

const WIDTH = 1000;
const LEFT = 90;
const ROW = 22;
const GAP = 6;
const TOP = 22;
/** Letters are so wide, roughly. */
const LETTER = 6.6;
/** A bar is seen however short its task was. */
const LEAST = 1.5;

interface Bar {
  readonly node: GraphNode;
  readonly from: number;
  readonly to: number;
  readonly lane: number;
}

/** `known` has at least one task that has begun. A task that still runs reaches to the end. */
export function gantt(nodes: readonly GraphNode[], known: GraphFigures, critical: ReadonlySet<string>): Html {
  const begin = known.begin ?? 0;
  const end = begin + known.wallMs;
  // The outline of the last bar has to fit, too.
  const scale = (WIDTH - 2 - LEFT) / Math.max(known.wallMs, 1e-3);
  const x = (time: number): number => rounded(LEFT + (time - begin) * scale);
  const rows = known.workers.map((worker) => ({ worker, bars: lanesOf(nodes, worker, end) }));
  let y = TOP;
  const parts: Html[] = [];
  for (const { worker, bars } of rows) {
    const height = ROW * bars.reduce((most, { lane }) => Math.max(most, lane + 1), 1) + GAP;
    parts.push(html`<text x="0" y="${y + 15}">${worker}</text>\n`);
    for (const { node, from, to, lane } of bars) {
      const left = x(from);
      const width = rounded(Math.max(LEAST, x(to) - left));
      const text = `${node.name}: ${node.state}, ${duration(to - from)}`;
      const className = critical.has(node.id) ? `bar ${node.state} highlight` : `bar ${node.state}`;
      const top = y + lane * ROW;
      const letters = Math.floor((width - 8) / LETTER);
      const label = node.name.length <= letters ? node.name : letters > 3 ? `${node.name.slice(0, letters - 1)}…` : '';
      parts.push(
        html`<g class="${className}"><title>${text}</title><rect x="${left}" y="${top}" width="${width}" height="${ROW - 3}" rx="2"/>`,
      );
      if (label !== '') parts.push(html`<text x="${left + 4}" y="${top + 14}">${label}</text>`);
      parts.push(html`</g>\n`);
    }
    y += height;
  }
  const ticks = ticksOf(known.wallMs).map((ms) => {
    const at = x(begin + ms);
    const anchor = at > WIDTH - 40 ? 'end' : at < LEFT + 10 ? 'start' : 'middle';
    return html`<line x1="${at}" y1="${TOP - 4}" x2="${at}" y2="${y}"/><text x="${at}" y="12" text-anchor="${anchor}">${ms === 0 ? '0' : duration(ms)}</text>\n`;
  });
  return html`<svg class="gantt" role="img" aria-label="Which worker ran which task when; the table has the same" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}">
<g class="axis">${ticks}</g>
${parts}</svg>`;
}

/** Tasks that a worker ran at the same time are one below the other: each in the first lane that is free. */
function lanesOf(nodes: readonly GraphNode[], worker: string, end: number): Bar[] {
  const free: number[] = [];
  return nodes
    .filter((node) => node.startedAt !== undefined && (node.worker ?? HERE) === worker)
    .map((node) => ({
      node,
      from: node.startedAt as number,
      to: Math.max(node.startedAt as number, node.endedAt ?? end),
    }))
    .sort((a, b) => a.from - b.from)
    .map(({ node, from, to }) => {
      const known = free.findIndex((time) => time <= from);
      const lane = known === -1 ? free.length : known;
      free[lane] = to;
      return { node, from, to, lane };
    });
}

/** At most ten round numbers. */
function ticksOf(ms: number): number[] {
  const least = Math.max(ms, 1e-3) / 8;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= least) as number) * power;
  return Array.from({ length: Math.floor(ms / step) + 1 }, (_, i) => i * step);
}

function rounded(value: number): number {
  return Number(value.toFixed(2));
}
