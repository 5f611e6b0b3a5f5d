// bosun, from the build of this repository.

import { ProcessManager, Task } from '../../../dist/lib/index.js';

const MODULE = new URL('../tasks.mjs', import.meta.url).href;
const HOUR = 3_600_000;

/** How a task is handed over. */
const CALLS = {
  run: (manager) => (target, input) => manager.run(target, [input]),
  limits(manager) {
    const options = { signal: new AbortController().signal, timeout: HOUR };
    return (target, input) => manager.run(target, [input], options);
  },
  schedule: (manager) => (target, input) => manager.schedule(Task.from(target.module, target.export, [input])).result,
};

export async function start(workers, { by = 'run', settings }) {
  const manager = new ProcessManager({ workers, minWorkers: workers, ...settings });
  const targets = new Map();
  const target = (name) => {
    if (!targets.has(name)) targets.set(name, { module: MODULE, export: name });
    return targets.get(name);
  };
  const call = CALLS[by](manager);
  return {
    call: (name, input) => call(target(name), input),
    move: (name, buffer) => manager.run(target(name), [buffer], { transferList: [buffer] }),
    callUrgent: (name, input) => manager.run(target(name), [input], { priority: 0 }),
    ready: () => manager.ready(),
    recalled: () => manager.stats().tasks.recalled,
    kill: () => manager.close('kill'),
    end: () => manager.close(),
  };
}
