// p-graph: functions in this thread.

import { PGraph } from 'p-graph';

export function start() {
  return {
    async graph(nodes) {
      let ran = 0;
      const run = () => {
        ran++;
      };
      const map = new Map(nodes.map(({ id }) => [`t${id}`, { run }]));
      const edges = nodes.flatMap(({ id, requires }) => requires.map((of) => [`t${of}`, `t${id}`]));
      await new PGraph(map, edges).run();
      return ran;
    },
    async end() {},
  };
}
