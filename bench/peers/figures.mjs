// The runs of a results file by scenario, contestant and round.

import { median } from './statistics.mjs';
import { Unavailable } from './unavailable.mjs';

export class Figures {
  #runs = new Map();

  constructor({ runs }) {
    for (const run of runs) {
      const key = `${run.scenario} ${run.contestant}`;
      if (!this.#runs.has(key)) this.#runs.set(key, []);
      this.#runs.get(key).push(run);
    }
  }

  /** The runs that failed are in it too. */
  runs(scenario, contestant) {
    return this.#runs.get(`${scenario} ${contestant}`) ?? [];
  }

  /** @returns {Map<number, number>} by round, of the runs that succeeded */
  rounds(scenario, contestant, key) {
    const good = this.runs(scenario, contestant).filter(({ values }) => values?.[key] !== undefined);
    return new Map(good.map(({ round, values }) => [round, values[key]]));
  }

  has(scenario, contestant, key) {
    return this.rounds(scenario, contestant, key).size > 0;
  }

  /** @throws Unavailable with the reason */
  spread(scenario, contestant, key) {
    const values = [...this.rounds(scenario, contestant, key).values()];
    if (values.length === 0) throw new Unavailable(this.#whyNot(scenario, contestant));
    return spreadOf(values);
  }

  #whyNot(scenario, contestant) {
    const [run] = this.runs(scenario, contestant);
    if (run === undefined) return `${contestant} was not measured in ${scenario}`;
    return run.unavailable ?? `${contestant} failed in ${scenario}: ${run.failed?.split('\n')[0]}`;
  }
}

export function spreadOf(values) {
  return { value: median(values), low: Math.min(...values), high: Math.max(...values) };
}
