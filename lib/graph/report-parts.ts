// The parts of a report that are words and tables.

import { count, duration } from '../figures.js';
import { runTime } from '../task/graph-nodes.js';
import type { GraphNode } from '../task/graph-snapshot.js';
import type { CriticalPath } from './critical-path.js';
import { type GraphFigures, HERE } from './graph-figures.js';
import { type Html, html } from './html.js';
import { countsText, stateWord } from './state-counts.js';

/** A row of a browser's table costs it kilobytes. */
export const MOST_ROWS = 10_000;

const percent = (part: number, whole: number): string => `${Math.round((part / whole) * 100)}%`;

/** `5 tasks: 3 done, 1 failed, 1 pending`. */
export function verdict({ length }: readonly GraphNode[], { states }: GraphFigures): string {
  const [only] = states.keys();
  if (only === undefined) return 'The graph has no tasks.';
  if (length === 1) return `The one task is ${stateWord(only)}.`;
  if (states.size === 1) return `All ${count(length)} tasks are ${stateWord(only)}.`;
  return `${count(length)} tasks: ${countsText(states)}`;
}

/** The figures beside each other. */
export function summary({ wallMs, workMs, parallelism, workers }: GraphFigures, path: CriticalPath): Html {
  const cell = (name: string, value: string) => html`<div><dt>${name}</dt><dd>${value}</dd></div>\n`;
  return html`<dl>
${cell('Wall time', duration(wallMs))}${cell('Work', duration(workMs))}${cell('Tasks at a time, on average', parallelism.toFixed(2))}${cell('Ran on', places(workers))}${cell('Critical path', duration(path.ms))}</dl>`;
}

function places(workers: readonly string[]): string {
  const others = workers.filter((worker) => worker !== HERE).length;
  const words = others === 0 ? [] : [others === 1 ? '1 worker' : `${count(others)} workers`];
  return [...words, ...(others < workers.length ? [HERE] : [])].join(' and ');
}

/** The chain as a list, and what it means. */
export function criticalSection({ nodes, ms }: CriticalPath, { wallMs }: GraphFigures): Html {
  const items = nodes.map((node) => {
    const own = runTime(node) ?? 0;
    return html`<li>${link(node)} ${duration(own)} (${percent(own, ms)})</li>\n`;
  });
  const share = wallMs > 0 ? ` That is ${percent(ms, wallMs)} of the wall time.` : '';
  return html`<p>Each of these required the one before it: together they ran for ${duration(ms)}, and no number of workers makes the whole quicker than that.${share}</p>
<ol>
${items}</ol>`;
}

/** All tasks, in the order of the snapshot. */
export function taskTable(
  nodes: readonly GraphNode[],
  { begin = 0 }: GraphFigures,
  critical: ReadonlySet<string>,
): Html {
  const rows = nodes.slice(0, MOST_ROWS).map((node) => {
    const { id, name, state, startedAt, worker } = node;
    const ms = runTime(node);
    return html`<tr id="${anchor(id)}"><th scope="row">${name}${critical.has(id) ? html` <span class="critical" title="on the critical path">◆</span>` : undefined}</th><td>${badge(state)}</td><td class="number">${startedAt === undefined ? '' : `+${duration(startedAt - begin)}`}</td><td class="number">${ms === undefined ? '' : duration(ms)}</td><td>${startedAt === undefined ? '' : (worker ?? HERE)}</td></tr>\n`;
  });
  const more = nodes.length > MOST_ROWS ? ` The first ${count(MOST_ROWS)} of ${count(nodes.length)} are listed.` : '';
  return html`<table>
<caption>Starts are counted from the first one; ◆ is on the critical path.${more}</caption>
<thead><tr><th scope="col">Task</th><th scope="col">State</th><th scope="col" class="number">Start</th><th scope="col" class="number">Duration</th><th scope="col">Worker</th></tr></thead>
<tbody>
${rows}</tbody>
</table>`;
}

/** Whole. Those of tasks that could not be begun, mostly because of the others, are folded away. */
export function errorSection(nodes: readonly GraphNode[]): Html | undefined {
  const failed = nodes.filter(({ error }) => error !== undefined);
  if (failed.length === 0) return undefined;
  const show = (some: readonly GraphNode[]) =>
    some.map((node) => html`<h3>${link(node)} ${badge(node.state)}</h3>\n<pre>${node.error}</pre>\n`);
  const ran = failed.filter(({ startedAt }) => startedAt !== undefined);
  const others = failed.filter(({ startedAt }) => startedAt === undefined);
  if (others.length === 0 || ran.length === 0) return html`${show(failed)}`;
  const title = others.length === 1 ? '1 task was not begun' : `${count(others.length)} tasks were not begun`;
  return html`${show(ran)}<details><summary>${title}</summary>\n${show(others)}</details>\n`;
}

function link({ id, name }: GraphNode): Html {
  return html`<a href="#${encodeURIComponent(anchor(id))}">${name}</a>`;
}

function anchor(id: string): string {
  return `task-${encodeURIComponent(id.toWellFormed())}`;
}

function badge(state: string): Html {
  return html`<span class="state ${state}">${state}</span>`;
}
