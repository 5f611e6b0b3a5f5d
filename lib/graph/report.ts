// A graph's run as one HTML file that a person can open, keep and send.

import { builtin } from '../builtin.js';
import { InvalidArgumentError, PictureError } from '../errors.js';
import { checkKnown, checkSignal, ownOptions } from '../own-options.js';
import { checkSnapshot } from '../task/graph-nodes.js';
import type { GraphNode, GraphSnapshot } from '../task/graph-snapshot.js';
import { graphAsSvg } from '../task/graph-svg.js';
import { criticalPathOf } from './critical-path.js';
import { gantt } from './gantt.js';
import { figuresOf } from './graph-figures.js';
import { escapeText, Html, html } from './html.js';
import { criticalSection, errorSection, summary, taskTable, verdict } from './report-parts.js';
import { REPORT_STYLE } from './report-style.js';

/** Options of a report. */
export interface GraphReportOptions {
  /** The heading; `Task graph` unless given. */
  readonly title?: string;
  /** Ends the work; none unless given. */
  readonly signal?: AbortSignal;
}

/** A picture of more tasks or edges shows nothing, and takes long. */
const MOST_DRAWN = 200;
const MOST_EDGES = 600;
/** Some graphs are too tangled, small as they are. */
const DRAWING_MS = 10_000;

/** Points. The letters of a wider picture become too small on a page. */
const WIDEST = 1_600;

/** More bars make a page that browsers are slow with. */
const MOST_BARS = 5_000;

/**
 * One HTML file about a graph: counts by state, times, a picture, who ran what when, the critical path, all tasks, and errors
 * whole. It needs nothing but itself: no script, no network, and its Content-Security-Policy allows neither. Names and errors
 * may hold anything. The picture is left out, and the report says so, above 200 tasks or 600 edges, and when it would take
 * more than 10 s.
 *
 * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT). Also whatever is the reason of `signal`.
 */
export async function graphReport(snapshot: GraphSnapshot, options?: GraphReportOptions): Promise<string> {
  const given = ownOptions(options, 'the options of a report');
  checkKnown(given, ['title', 'signal'], 'a report');
  const { title = 'Task graph', signal } = given;
  if (typeof title !== 'string') throw new InvalidArgumentError("a report's title is a string");
  checkSignal(signal)?.throwIfAborted();
  const nodes = checkSnapshot(snapshot);
  const figures = figuresOf(nodes);
  const path = criticalPathOf(nodes);
  const critical = new Set(path.nodes.map(({ id }) => id));
  const ran = nodes.filter(({ startedAt }) => startedAt !== undefined);
  const sections = [
    section('errors', 'Errors', errorSection(nodes)),
    section('graph', 'Graph', nodes.length > 0 ? await picture(nodes, [...critical], signal) : undefined),
    section('workers', 'Workers', ran.length > 0 ? schedule(ran) : undefined),
    section('critical-path', 'Critical path', path.nodes.length > 0 ? criticalSection(path, figures) : undefined),
    section('tasks', 'Tasks', nodes.length > 0 ? taskTable(nodes, figures, critical) : undefined),
  ].filter((part) => part !== undefined);
  const body = html`<header>
<h1>${title}</h1>
${figures.begin === undefined ? html`<p class="when">Nothing has run yet.</p>` : when(figures.begin)}
<p class="verdict">${verdict(nodes, figures)}</p>
${ran.length > 0 ? summary(figures, path) : undefined}
<nav aria-label="Sections"><ul>${sections.map(({ id, name }) => html`<li><a href="#${id}">${name}</a></li>`)}</ul></nav>
</header>
<main>
${sections.map(({ content }) => content)}</main>`;
  return page(title, body).text;

  function schedule(all: readonly GraphNode[]): Html {
    const shown = all.length > MOST_BARS ? all.toSorted(byLength).slice(0, MOST_BARS) : all;
    const note =
      shown === all ? undefined : html`<p class="note">The ${MOST_BARS} longest of ${all.length} are shown.</p>\n`;
    return html`${note}<div class="scroll" tabindex="0" role="region" aria-label="Workers">${gantt(shown, figures, critical)}</div>`;
  }
}

const byLength = (a: GraphNode, b: GraphNode): number => lengthOf(b) - lengthOf(a);
const lengthOf = ({ startedAt = 0, endedAt = Number.POSITIVE_INFINITY }: GraphNode): number => endedAt - startedAt;

interface Section {
  readonly id: string;
  readonly name: string;
  readonly content: Html;
}

function section(id: string, name: string, content: Html | undefined): Section | undefined {
  if (content === undefined) return undefined;
  return {
    id,
    name,
    content: html`<section id="${id}" aria-labelledby="${id}-title">\n<h2 id="${id}-title">${name}</h2>\n${content}\n</section>\n`,
  };
}

async function picture(
  nodes: readonly GraphNode[],
  highlight: string[],
  signal: AbortSignal | undefined,
): Promise<Html> {
  const edges = nodes.reduce((sum, { requires }) => sum + requires.length, 0);
  const leftOut = (why: string): Html => html`<p class="note">There is no picture: ${why}. See the table of tasks.</p>`;
  if (nodes.length > MOST_DRAWN || edges > MOST_EDGES) {
    return leftOut(`${nodes.length} tasks with ${edges} requirements are too many for one`);
  }
  const limit = AbortSignal.timeout(DRAWING_MS);
  try {
    const svg = await graphAsSvg(
      { nodes },
      { timings: true, highlight, signal: signal === undefined ? limit : AbortSignal.any([signal, limit]) },
    );
    const isWide = Number(/^<svg width="([\d.]+)pt"/.exec(svg)?.[1]) > WIDEST;
    const note = isWide ? html`<p class="note">Point at a task for its name.</p>\n` : undefined;
    return html`${note}<div class="scroll" tabindex="0" role="region" aria-label="Picture of the graph">${new Html(named(svg, nodes))}</div>`;
  } catch (error) {
    signal?.throwIfAborted();
    if (limit.aborted) return leftOut('the graph is too tangled to be drawn in ten seconds');
    if (error instanceof PictureError) return leftOut('Graphviz has given up on the graph');
    throw error;
  }
}

/** Titles are what a pointer shows: names instead of ids. Those of edges tell nothing that is not seen. */
function named(svg: string, nodes: readonly GraphNode[]): string {
  const names = new Map(nodes.map(({ id, name, state }) => [escapeText(id), `${name}: ${state}`]));
  return svg
    .replace('<svg ', '<svg class="graph-picture" role="img" aria-label="The tasks and what they require" ')
    .replace(/<title>([^<]*)<\/title>\n?/g, (_, id: string) => {
      const name = names.get(id);
      return name === undefined ? '' : `<title>${escapeText(name)}</title>\n`;
    });
}

function when(begin: number): Html {
  const iso = new Date(begin).toISOString();
  return html`<p class="when">Begun <time datetime="${iso}">${iso.slice(0, 19).replace('T', ' ')} UTC</time></p>`;
}

function page(title: string, body: Html): Html {
  const hash = builtin('node:crypto').createHash('sha256').update(REPORT_STYLE).digest('base64');
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>${title}</title>
<style>${new Html(REPORT_STYLE)}</style>
</head>
<body>
${body}
</body>
</html>
`;
}
