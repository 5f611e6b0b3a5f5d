// async.auto: functions in this thread, by the names of those that they wait for.

import { auto } from 'async';

export function start() {
  return {
    async graph(nodes) {
      let ran = 0;
      const tasks = {};
      for (const { id, requires } of nodes) tasks[`t${id}`] = [...requires.map((of) => `t${of}`), async () => ++ran];
      // Of tasks without requirements it takes the function alone.
      for (const { id, requires } of nodes) if (requires.length === 0) tasks[`t${id}`] = async () => ++ran;
      await auto(tasks);
      return ran;
    },
    async end() {},
  };
}
