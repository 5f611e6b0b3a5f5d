// A graph of bosun's Tasks: in this thread, or on the workers of a manager.

import { make, ProcessManager, Task } from '../../../dist/lib/index.js';

const MODULE = new URL('../tasks.mjs', import.meta.url).href;

export async function start(workers, { here = false, settings = {} } = {}) {
  const manager = here ? undefined : new ProcessManager({ workers, minWorkers: workers, ...settings });
  return {
    ready: () => manager?.ready(),
    async graph(nodes) {
      let ran = 0;
      const noop = () => {
        ran++;
      };
      const tasks = [];
      for (const { id, requires } of nodes) {
        const task = here ? new Task(`t${id}`, noop) : Task.from(MODULE, 'noop', [id]);
        for (const of of requires) task.require(tasks[of]);
        tasks.push(task);
      }
      let made = 0;
      for await (const task of make(tasks, { queue: manager })) if (task.state === 'DONE') made++;
      return here ? Math.min(ran, made) : made;
    },
    end: () => manager?.close(),
  };
}
