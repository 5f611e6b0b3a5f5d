// Tasks and their journal: what is done is read into them, and what they come to is written down.

import { CancellationError } from '../errors.js';
import { errorText } from '../task/error-text.js';
import { inOrder } from '../task/graph-order.js';
import { type GraphNode, snapshotOf } from '../task/graph-snapshot.js';
import { friends } from '../task/graph-task.js';
import type { Task } from '../task/task.js';
import { isEnding, isOver } from '../task/task-life.js';
import type { TaskEvent } from '../task/task-states.js';
import { HERE } from './graph-figures.js';
import type { Journal, JournalBeginOptions, JournalEntry } from './journal.js';

/** Written down; `queue` and `prepared` would tell nothing to who comes after a crash. */
const WRITTEN: ReadonlySet<TaskEvent> = new Set(['dispatch', 'done', 'except', 'error', 'cancel', 'abort', 'retry']);

/** See `Journal.attach`. */
export async function attachTasks(
  journal: Journal,
  tasks: Iterable<Task>,
  options: JournalBeginOptions | undefined,
): Promise<() => void> {
  const write = (task: Task, key: string): void => {
    journal.record(entryOf(task, key)).catch((error: Error) => {
      // That the file cannot be written is told by `flush` and `close`.
      if (journal.isWritable) process.emitWarning(error.message, { code: 'BOSUN_W008' });
    });
  };
  const all = inOrder(tasks);
  const { nodes } = snapshotOf(all);
  const keys = await journal.begin({ nodes }, options);
  const keyOf = new Map(all.map((task, i) => [task, keys.get((nodes[i] as GraphNode).id) as string]));
  const known = journal.replay();
  for (const [task, key] of keyOf) {
    const entry = known.get(key);
    if (task.state === 'PENDING' && entry !== undefined) restore(task, entry);
    else if (isOver(task.state) && task.state !== entry?.state) write(task, key);
  }
  let isDetached = false;
  const follower = (task: Task, event: TaskEvent): void => {
    if (WRITTEN.has(event)) write(task, keyOf.get(task) as string);
    if (isDetached && isEnding(event)) friends.unfollow(task, follower);
  };
  for (const task of all) friends.follow(task, follower);
  return () => {
    isDetached = true;
    // A make that is left early leaves tasks that run behind.
    for (const task of all) if (task.state !== 'QUEUED' && task.state !== 'RUNNING') friends.unfollow(task, follower);
  };
}

function restore(task: Task, { state, unkept, result }: JournalEntry): void {
  if (state === 'DONE' && unkept === undefined) {
    friends.restore(task, state, { value: result });
  } else if (state === 'ABORT') {
    const error = new CancellationError(`task '${task.name}' was aborted`);
    friends.restore(task, state, { error, cancelled: true });
  }
}

function entryOf(task: Task, key: string): JournalEntry {
  const { state } = task;
  const outcome = friends.outcomeOf(task);
  const { startedAt, endedAt, worker } = friends.timesOf(task) ?? {};
  return {
    key,
    state,
    ...(state === 'DONE' && outcome !== undefined && 'value' in outcome && { result: outcome.value }),
    ...(outcome !== undefined && 'error' in outcome && { error: errorText(outcome.error) }),
    ...(startedAt !== undefined && { startedAt }),
    ...(endedAt !== undefined && { endedAt }),
    ...(worker !== undefined && { worker: worker === 0 ? HERE : `worker ${worker}` }),
  };
}
