// Is every figure what it has to be? Fails when one is not, or was not measured, and says by how much.
//
// npm run bench:check -- [results file]

import { fileURLToPath } from 'node:url';
import { judge, margin } from './bars.mjs';
import { CONTESTANTS } from './contestants.mjs';
import { read } from './results.mjs';

/** Three digits that mean something. */
export function figure(value) {
  if (value === 0) return '0';
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en') : Number(value.toPrecision(3)).toString();
}

export const barOf = ({ atLeast, atMost, unit }) =>
  atLeast === undefined ? `<= ${atMost}${gap(unit)}` : `>= ${atLeast}${gap(unit)}`;

const gap = (unit) => (unit === 'x' || unit === '' || unit === '/s' ? unit : ` ${unit}`);

export const valueOf = ({ value, bar }) => `${figure(value)}${gap(bar.unit)}`;

export const titleOf = (detail) => CONTESTANTS[detail]?.title ?? detail;

/** By how much a bar is missed, in words. */
export function shortfall(verdict) {
  const { bar, value } = verdict;
  if (bar.atMost === 0) return `${figure(value)} more`;
  return `${Math.round(Math.abs(1 - (bar.atLeast === undefined ? 1 / margin(verdict) : margin(verdict))) * 100)} % ${bar.atLeast === undefined ? 'above' : 'below'}`;
}

/** Prints a line for each bar. @returns {number} how many are not met */
export function print(results, log = console.log) {
  const verdicts = judge(results);
  const { commit, processor, cores, node, rounds } = results;
  log(`\n${commit}, ${processor}, ${cores} cores, Node.js ${node}, ${rounds} rounds\n`);
  for (const verdict of verdicts) {
    const { bar, state, low, high, detail, reason } = verdict;
    if (state === 'not available') {
      log(`   ?    ${bar.what}: not available: ${reason}`);
      continue;
    }
    const spread = low === high ? '' : `, ${figure(low)} to ${figure(high)}`;
    const rival = detail === undefined ? '' : `, ${titleOf(detail)}`;
    const miss = state === 'met' ? '' : `: ${shortfall(verdict)} the bar`;
    log(
      `${state === 'met' ? '  ok   ' : 'MISSED '} ${bar.what}: ${valueOf(verdict)} (${barOf(bar)}${spread}${rival})${miss}`,
    );
  }
  const count = (state) => verdicts.filter((verdict) => verdict.state === state).length;
  log(`\n${count('met')} met, ${count('missed')} missed, ${count('not available')} not available`);
  return verdicts.length - count('met');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { path, results } = read(process.argv[2]);
  console.log(path);
  process.exitCode = print(results) === 0 ? 0 : 1;
}
