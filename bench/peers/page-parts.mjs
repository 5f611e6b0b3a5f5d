// The tables and charts of docs/benchmarks.md, each from the figures of one scenario or of several.

import { bars, lines } from './charts.mjs';
import { figure } from './check.mjs';
import { CONTESTANTS } from './contestants.mjs';
import { PLAN } from './plan.mjs';

const row = (cells) => `| ${cells.join(' | ')} |`;

export const contestantsOf = (scenario) => PLAN.find(({ id }) => id === scenario).contestants;

/** In bold when it is ours. */
export const title = (id) => (id.startsWith('bosun') ? `**${CONTESTANTS[id].title}**` : CONTESTANTS[id].title);

/** Figures are on the right; the first column is text, and those after `figures` of them. */
export function table(head, rows, figuresIn = head.length - 1) {
  const align = (_, i) => (i === 0 || i > figuresIn ? '---' : '---:');
  return [row(head), row(head.map(align)), ...rows.map(row)].join('\n');
}

/** @param {string} folder of the charts, as the page sees it */
export function partsOf(figures, folder) {
  /** By file name. */
  const svgs = new Map();

  /** Keeps it for its file. @returns what shows it */
  function chart(name, alt, svg) {
    svgs.set(`${name}.svg`, svg);
    return `![${alt}](${folder}/${name}.svg)`;
  }

  /** `1,234 (1,200 to 1,300)`, or why there is none. */
  function cell(scenario, id, key) {
    if (!figures.has(scenario, id, key)) {
      const [run] = figures.runs(scenario, id);
      if (run === undefined) return '';
      return run.failed === undefined ? 'not available' : 'failed';
    }
    const { value, low, high } = figures.spread(scenario, id, key);
    return low === high ? figure(value) : `${figure(value)} (${figure(low)} to ${figure(high)})`;
  }

  /** A row for each contestant, a column for each [heading, key]; `better` sorts by the first column. */
  function scenarioTable(scenario, columns, better = Math.max) {
    return table(
      ['', ...columns.map(([heading]) => heading)],
      ordered(scenario, columns[0][1], better).map((id) => [
        title(id),
        ...columns.map(([, key]) => cell(scenario, id, key)),
      ]),
    );
  }

  function ordered(scenario, key, better) {
    const ids = contestantsOf(scenario).filter((id) => figures.runs(scenario, id).length > 0);
    const value = (id) => (figures.has(scenario, id, key) ? figures.spread(scenario, id, key).value : undefined);
    const sign = better === Math.max ? 1 : -1;
    const rank = (id) => (value(id) === undefined ? Number.NEGATIVE_INFINITY : sign * value(id));
    return ids.toSorted((a, b) => rank(b) - rank(a) || 0);
  }

  function scenarioBars(name, alt, { heading, note, scenario, panels, better = Math.max }) {
    const ids = ordered(scenario, panels[0][1], better).filter((id) => figures.has(scenario, id, panels[0][1]));
    if (ids.length === 0) return '';
    const rowOf = (id, key) => ({
      label: CONTESTANTS[id].title,
      kind: CONTESTANTS[id].kind,
      ...(figures.has(scenario, id, key) ? figures.spread(scenario, id, key) : {}),
    });
    return chart(
      name,
      alt,
      bars({
        title: heading,
        note,
        panels: panels.map(([panel, key]) => ({ name: panel, rows: ids.map((id) => rowOf(id, key)) })),
      }),
    );
  }

  /** Who is in more than two of them: a line has to lead somewhere. */
  function growing(scenarios) {
    const ids = [...new Set(scenarios.flatMap(([, scenario]) => contestantsOf(scenario)))];
    return ids.filter((id) => scenarios.filter(([, scenario]) => contestantsOf(scenario).includes(id)).length > 2);
  }

  function growthLines(name, alt, { scenarios, key, ...rest }) {
    const series = growing(scenarios).map((id) => ({
      name: CONTESTANTS[id].title,
      points: scenarios
        .filter(([, scenario]) => figures.has(scenario, id, key))
        .map(([at, scenario]) => [at, figures.spread(scenario, id, key).value]),
    }));
    return chart(name, alt, lines({ ...rest, series: series.filter(({ points }) => points.length > 0) }));
  }

  function growthTable(head, scenarios, key, show) {
    return table(
      [head, ...scenarios.map(([at]) => show(at))],
      growing(scenarios)
        .filter((id) => scenarios.some(([, scenario]) => figures.runs(scenario, id).length > 0))
        .map((id) => [
          title(id),
          ...scenarios.map(([, scenario]) => {
            return figures.has(scenario, id, key)
              ? figure(figures.spread(scenario, id, key).value)
              : cell(scenario, id, key);
          }),
        ]),
    );
  }

  return { svgs, chart, cell, scenarioTable, scenarioBars, growthLines, growthTable };
}
