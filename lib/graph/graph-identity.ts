// What makes a graph the same graph from one run of a program to the next.

import { builtin } from '../builtin.js';
import type { GraphNode } from '../task/graph-snapshot.js';

/**
 * By the ids of tasks what they are called in a journal: their `key`, else their name, with `#2`, `#3`, ... where more than one
 * has it. Tasks of one key are one.
 */
export function entryKeys(nodes: readonly GraphNode[]): Map<string, string> {
  const given = new Set(nodes.flatMap(({ key }) => key ?? []));
  const counts = new Map<string, number>();
  const keys = new Map<string, string>();
  for (const { id, name, key } of nodes) {
    if (key !== undefined) {
      keys.set(id, key);
      continue;
    }
    let text: string;
    do {
      const count = (counts.get(name) ?? 0) + 1;
      counts.set(name, count);
      text = count === 1 ? name : `${name}#${count}`;
    } while (given.has(text));
    given.add(text);
    keys.set(id, text);
  }
  return keys;
}

/** A hash over what tasks are called, see `entryKeys`, and require. It does not depend on the order in which they were made, but where names are the same. */
export function graphHash(nodes: readonly GraphNode[], keys: ReadonlyMap<string, string>): string {
  const rows = nodes.map(({ id, requires }) => {
    const others = requires.map((other) => keys.get(other) ?? other);
    return JSON.stringify([keys.get(id), ...others.sort()]);
  });
  return builtin('node:crypto')
    .createHash('sha256')
    .update([...new Set(rows)].sort().join('\n'))
    .digest('hex');
}
