// Pictures of tasks as they are now.

import { checkKnown, ownOptions } from '../own-options.js';
import type { DotOptions } from './dot.js';
import { decoratedDot } from './graph-dot.js';
import { snapshotOf } from './graph-snapshot.js';
import { type GraphSvgOptions, graphAsSvg } from './graph-svg.js';
import { friends } from './graph-task.js';
import { checkTasks } from './make-options.js';
import type { Task } from './task.js';

/** Options of a picture of tasks. */
export interface TasksDotOptions extends DotOptions {
  /** Whether what requires the tasks is drawn as well, directly or not; false unless given: then only the edges to it are. */
  readonly followBlocking?: boolean;
  /** Whether a task that has ended shows how long it ran; false unless given. */
  readonly timings?: boolean;
}

/** Options of a picture of tasks as SVG. */
export interface TasksSvgOptions extends GraphSvgOptions, Pick<TasksDotOptions, 'followBlocking'> {}

/**
 * The tasks in the DOT language, as `graphAsDot`, with the edges to all that requires them.
 *
 * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT)
 */
export function tasksAsDot(tasks: Task | Iterable<Task>, options?: TasksDotOptions): string {
  const { followBlocking = false, ...picture } = ownOptions(options, 'the options of a picture');
  checkKnown(picture, ['name', 'sep', 'timings'], 'a picture of tasks');
  const drawn = checkTasks(tasks);
  const all = new Set(drawn);
  // What is added to the set is gone through as well.
  for (const task of followBlocking ? all : drawn) for (const other of friends.blockingOf(task)) all.add(other);
  return decoratedDot(snapshotOf(all), picture, undefined, followBlocking ? all.size : drawn.length);
}

/**
 * The tasks as SVG, as `graphAsSvg`.
 *
 * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT), PictureError (ERR_BOSUN_PICTURE), and the reason of `signal`.
 */
export async function tasksAsSvg(tasks: Task | Iterable<Task>, options?: TasksSvgOptions): Promise<string> {
  const { followBlocking = false, ...picture } = ownOptions(options, 'the options of a picture');
  return graphAsSvg(snapshotOf(tasks, { followBlocking }), { ...picture });
}
