// The colours of tasks in pictures: those of the reference.

import type { TaskState } from './task-states.js';

/** The colours of nodes by state, names or `#rrggbb`; those of states that are not here are white. */
export type FillColors = { readonly [state in TaskState]?: string };

export const FILL: FillColors = {
  RUNNING: 'yellow',
  DONE: 'green',
  FAILED: 'red',
  CANCELLED: 'gray',
  ABORT: 'darkred',
};
