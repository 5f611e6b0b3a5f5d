// Pictures of tasks as they are now.

import { checkKnown, ownOptions } from '../own-options.js';
import { type DotOptions, dotId } from './dot.js';
import { type Decoration, decoratedDot } from './graph-dot.js';
import { type GraphNode, type GraphSnapshot, snapshotOf, withBlocked } from './graph-snapshot.js';
import { decoratedSvg, type GraphSvgOptions } from './graph-svg.js';
import { friends } from './graph-task.js';
import { checkTasks } from './make-options.js';
import { above, type Task } from './task.js';

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
  const given = new Set(checkTasks(tasks));
  // Those at the other ends of its edges are known, too.
  const known = followBlocking ? withBlocked(given) : new Set([...given, ...nextOf(given)]);
  const snapshot = snapshotOf(known);
  const decoration = { ...looksOf(snapshot, known), edge: () => ({}) };
  return decoratedDot(snapshot, picture, decoration, followBlocking ? known.size : given.size);
}

/**
 * The tasks as SVG, as `graphAsSvg`.
 *
 * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT), PictureError (ERR_BOSUN_PICTURE), and the reason of `signal`.
 */
export async function tasksAsSvg(tasks: Task | Iterable<Task>, options?: TasksSvgOptions): Promise<string> {
  const { followBlocking = false, ...picture } = ownOptions(options, 'the options of a picture');
  const given = new Set(checkTasks(tasks));
  const drawn = followBlocking ? withBlocked(given) : given;
  const snapshot = snapshotOf(drawn);
  return decoratedSvg(snapshot, { ...picture }, looksOf(snapshot, drawn));
}

function* nextOf(tasks: Iterable<Task>): Generator<Task> {
  for (const task of tasks) yield* friends.blockingOf(task);
}

/** What their classes say of labels and colours. */
function looksOf({ nodes }: GraphSnapshot, tasks: Iterable<Task>): Pick<Decoration, 'label' | 'node'> {
  const byId = new Map(Array.from(tasks, (task, i) => [nodes[i]?.id, task]));
  const taskOf = ({ id }: GraphNode) => byId.get(id) as Task;
  return {
    label: (node) => String(taskOf(node).dotNodeLabel()),
    node: (node) => {
      const { dotFillColors } = taskOf(node).constructor as typeof Task;
      return { fillcolor: dotId(dotFillColors[node.state] ?? 'white') };
    },
  };
}

above.asDot = tasksAsDot;
above.asSvg = tasksAsSvg;
