// How many tasks are in which state, in words.

import { count } from '../figures.js';
import type { TaskState } from '../task/task-states.js';

/** In the order in which people ask. */
const WORDS: { readonly [state in TaskState]: string } = {
  DONE: 'done',
  FAILED: 'failed',
  ABORT: 'aborted',
  CANCELLED: 'cancelled',
  RUNNING: 'running',
  QUEUED: 'queued',
  PENDING: 'pending',
  PREPARE: 'in preparation',
};

export function stateWord(state: TaskState): string {
  return WORDS[state];
}

/** Only states that there are. */
export function countStates(nodes: Iterable<{ readonly state: TaskState }>): Map<TaskState, number> {
  const counts = new Map<TaskState, number>();
  for (const { state } of nodes) counts.set(state, (counts.get(state) ?? 0) + 1);
  return counts;
}

/** `3 done, 1 failed`. */
export function countsText(counts: ReadonlyMap<TaskState, number>): string {
  return Object.entries(WORDS)
    .filter(([state]) => counts.has(state as TaskState))
    .map(([state, word]) => `${count(counts.get(state as TaskState) as number)} ${word}`)
    .join(', ');
}
