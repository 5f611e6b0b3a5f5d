// Charts as SVG text, on white since a page may be dark.

import * as echarts from 'echarts';

const WIDTH = 880;
const ROW = 24;
const TOP = 76;
const BOTTOM = 44;
const LEFT = 200;
const RIGHT = 24;
const GAP = 70;
const FONT = 'Helvetica, Arial, sans-serif';
const INK = '#24292f';

export const KINDS = {
  ours: { name: 'bosun', color: '#0969da' },
  processes: { name: 'pools of processes', color: '#bc8a2f' },
  threads: { name: 'pools of threads', color: '#8a94a0' },
  raw: { name: 'a transport alone', color: '#d5dbe1' },
};
/** Told apart with weak eyes too, ours first. */
const LINES = ['#0969da', '#bc8a2f', '#57606a', '#8250df', '#1a7f37', '#cf222e', '#9a6700', '#d5a6bd'];

/** 1.2 k, 3 M: the shortest that says it. */
export function short(value) {
  for (const [size, unit] of [
    [1e6, ' M'],
    [1e3, ' k'],
  ]) {
    if (value >= size) return `${Number((value / size).toPrecision(3))}${unit}`;
  }
  return `${Number(value.toPrecision(3))}`;
}

function render(height, option) {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: FONT, color: INK },
    ...option,
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  // Ids count up through the process: the same figures are to give the same file.
  return `${svg.replaceAll(/zr\d+-/g, 'zr-')}\n`;
}

const heading = (text, subtext) => ({
  text,
  subtext,
  left: 16,
  top: 10,
  textStyle: { fontSize: 15, color: INK },
  subtextStyle: { fontSize: 12, color: '#57606a' },
  itemGap: 6,
});

/**
 * Horizontal bars, the spread of the rounds as a line across their ends.
 *
 * @param {{ title: string, note: string, panels: { name: string, rows: Row[] }[] }} chart panels side by side, which
 * share their labels
 * @typedef {{ label: string, kind: keyof typeof KINDS, value?: number, low?: number, high?: number }} Row
 */
export function bars({ title, note, panels }) {
  const labels = panels[0].rows.map(({ label }) => label);
  const width = (WIDTH - LEFT - RIGHT - GAP * panels.length) / panels.length;
  const kinds = Object.keys(KINDS).filter((kind) => panels[0].rows.some((row) => row.kind === kind));
  return render(TOP + 28 + BOTTOM + ROW * labels.length, {
    title: heading(title, note),
    legend: {
      data: kinds.map((kind) => KINDS[kind].name),
      right: RIGHT,
      top: 34,
      itemGap: 20,
      itemWidth: 14,
      itemHeight: 10,
    },
    grid: panels.map((_, i) => ({ left: LEFT + i * (width + GAP), width, top: TOP + 28, bottom: BOTTOM })),
    xAxis: panels.map(({ name }, gridIndex) => ({
      gridIndex,
      type: 'value',
      position: 'top',
      name,
      nameLocation: 'start',
      nameTextStyle: { align: 'left', verticalAlign: 'bottom', padding: [0, 0, 20, 0], fontWeight: 'bold', color: INK },
      nameGap: 0,
      splitNumber: 4,
      axisLabel: { formatter: short, color: '#57606a' },
      splitLine: { lineStyle: { color: '#eaeef2' } },
    })),
    yAxis: panels.map((_, gridIndex) => ({
      gridIndex,
      type: 'category',
      inverse: true,
      data: labels,
      axisTick: { show: false },
      axisLine: { lineStyle: { color: '#8c959f' } },
      axisLabel: { show: gridIndex === 0, color: INK, fontSize: 12 },
    })),
    series: panels.flatMap(({ rows }, i) => [
      ...kinds.map((kind) => ({
        type: 'bar',
        name: KINDS[kind].name,
        xAxisIndex: i,
        yAxisIndex: i,
        barGap: '-100%',
        barCategoryGap: '30%',
        itemStyle: { color: KINDS[kind].color },
        data: rows.map((row) => (row.kind === kind ? (row.value ?? null) : null)),
      })),
      {
        type: 'custom',
        xAxisIndex: i,
        yAxisIndex: i,
        silent: true,
        z: 5,
        renderItem: spread,
        data: rows.flatMap(({ value, low, high }, at) => (value === undefined ? [] : [[low, at, high, value]])),
      },
    ]),
  });
}

/** The whisker of a bar, and its figure behind it. */
function spread(_params, api) {
  const [x1, y] = api.coord([api.value(0), api.value(1)]);
  const [x2] = api.coord([api.value(2), api.value(1)]);
  const line = (from, to, top, bottom) => ({
    type: 'line',
    shape: { x1: from, x2: to, y1: top, y2: bottom },
    style: { stroke: INK, lineWidth: 1 },
  });
  const text = {
    type: 'text',
    style: { text: short(api.value(3)), x: x2 + 6, y, verticalAlign: 'middle', fill: INK, font: `11px ${FONT}` },
  };
  const whisker = [line(x1, x2, y, y), line(x1, x1, y - 3, y + 3), line(x2, x2, y - 3, y + 3)];
  return { type: 'group', children: x1 === x2 ? [text] : [...whisker, text] };
}

/**
 * Lines on logarithmic axes.
 *
 * @param {{ title: string, note: string, x: string, y: string, format?: (x: number) => string,
 *   series: { name: string, points: [number, number][] }[], flat?: boolean }} chart
 */
export function lines({ title, note, x, y, format = short, series, linear = false }) {
  const ticks = [...new Set(series.flatMap(({ points }) => points.map(([at]) => at)))].sort((a, b) => a - b);
  return render(420, {
    title: heading(title, note),
    legend: { right: RIGHT, top: 'middle', orient: 'vertical', itemWidth: 18, itemHeight: 10 },
    grid: { left: 70, right: 230, top: TOP + 16, bottom: 56 },
    xAxis: {
      // The points are chosen to be evenly apart, or nearly: as categories all of them get a label.
      type: 'category',
      data: ticks.map(format),
      name: x,
      nameLocation: 'middle',
      nameGap: 30,
      boundaryGap: false,
      axisLabel: { color: '#57606a' },
      nameTextStyle: { color: INK },
    },
    yAxis: {
      type: linear ? 'value' : 'log',
      min: linear ? 0 : undefined,
      name: y,
      nameTextStyle: { color: INK, align: 'left', padding: [0, 0, 4, -40] },
      axisLabel: { formatter: short, color: '#57606a' },
      splitLine: { lineStyle: { color: '#eaeef2' } },
    },
    series: series.map(({ name, points }, i) => ({
      type: 'line',
      name,
      symbol: 'circle',
      symbolSize: 6,
      lineStyle: { width: i === 0 ? 3 : 1.5 },
      itemStyle: { color: LINES[i % LINES.length] },
      z: i === 0 ? 5 : 2,
      data: ticks.map((tick) => points.find(([at]) => at === tick)?.[1] ?? null),
      connectNulls: true,
    })),
  });
}

/**
 * How far each figure is from its bar: a line at 1, better to the right, the figures themselves at the right.
 *
 * @param {{ title: string, note: string, rows: { label: string, text: string, margin?: number, met: boolean }[] }} chart
 */
export function margins({ title, note, rows }) {
  const [least, most] = [0.01, 10];
  const [met, missed] = ['#1a7f37', '#cf222e'];
  const right = 210;
  return render(TOP + BOTTOM + ROW * rows.length, {
    title: heading(title, note),
    grid: { left: 300, right, top: TOP + 10, bottom: 20 },
    xAxis: {
      type: 'log',
      min: least,
      max: most,
      position: 'top',
      axisLabel: { formatter: (value) => `${short(value)}x`, color: '#57606a' },
      splitLine: { lineStyle: { color: '#eaeef2' } },
    },
    yAxis: {
      type: 'category',
      inverse: true,
      data: rows.map(({ label }) => label),
      axisTick: { show: false },
      axisLine: { show: false },
      axisLabel: { color: INK, fontSize: 12 },
    },
    series: [
      {
        type: 'custom',
        silent: true,
        clip: false,
        renderItem(_params, api) {
          const row = rows[api.value(1)];
          const [from, y] = api.coord([1, api.value(1)]);
          const [to] = api.coord([Math.min(most, Math.max(least, api.value(0))), api.value(1)]);
          const color = row.met ? met : missed;
          const style = { text: row.text, x: WIDTH - right + 16, y, verticalAlign: 'middle', font: `11px ${FONT}` };
          const text = { type: 'text', style: { ...style, fill: row.margin === undefined ? '#57606a' : color } };
          const mark = [
            { type: 'line', shape: { x1: from, x2: to, y1: y, y2: y }, style: { stroke: color, lineWidth: 3 } },
            { type: 'circle', shape: { cx: to, cy: y, r: 4.5 }, style: { fill: color } },
          ];
          return { type: 'group', children: row.margin === undefined ? [text] : [...mark, text] };
        },
        data: rows.map(({ margin }, at) => [margin === undefined ? 1 : Math.max(margin, least), at]),
        markLine: {
          silent: true,
          symbol: 'none',
          label: { show: false },
          lineStyle: { color: INK, type: 'solid', width: 1 },
          data: [{ xAxis: 1 }],
        },
      },
    ],
  });
}
