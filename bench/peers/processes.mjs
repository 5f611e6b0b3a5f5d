// Who belongs to a process, from /proc.

import { readdirSync, readFileSync } from 'node:fs';

/** Every descendant of a process, children first. */
export function descendants(pid) {
  const children = new Map();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const stat = text(`/proc/${name}/stat`);
    // The name of the program may hold anything, a parenthesis too.
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    if (!children.has(parent)) children.set(parent, []);
    children.get(parent).push(Number(name));
  }
  const found = [];
  for (let level = [pid]; level.length > 0; ) {
    level = level.flatMap((one) => children.get(one) ?? []);
    found.push(...level);
  }
  return found;
}

/** How often the threads of a process have gone to sleep by themselves. */
export function voluntarySwitches(pid) {
  let sum = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    sum += Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(text(`/proc/${pid}/task/${thread}/status`))?.[1] ?? 0);
  }
  return sum;
}

function text(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
