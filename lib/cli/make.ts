// bosun make <module> [target...]

import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import { JournalError, WorkerException } from '../errors.js';
import { Journal } from '../graph/journal.js';
import { graphReport } from '../graph/report.js';
import { countStates } from '../graph/state-counts.js';
import { inOrder } from '../task/graph-order.js';
import { snapshotOf } from '../task/graph-snapshot.js';
import { make as makeTasks } from '../task/make.js';
import { isPortable } from '../task/spec.js';
import type { Task } from '../task/task.js';
import { hasBottomRows } from './bottom-rows.js';
import { EXIT, type ExitCode, UsageError } from './exit-code.js';
import { complain, failureText, say } from './failure-text.js';
import { type CommonOptions, consoleToStderr, Job, type View } from './job.js';
import { failureJson } from './json-text.js';
import { LiveTree } from './live-tree.js';
import { chooseTargets, loadTasks } from './load-tasks.js';
import { paletteOf } from './paint.js';
import { nameOf } from './state-tree.js';
import { writeTo } from './write-to.js';

export interface MakeOptions extends CommonOptions {
  readonly export?: string;
  readonly jobs?: number;
  readonly failFast?: boolean;
  readonly criticalPath?: boolean;
  readonly journal?: string;
  readonly report?: string;
}

/** Makes tasks that a module exports, and all that they require. @throws UsageError */
export async function make(module: string, names: readonly string[], options: MakeOptions): Promise<ExitCode> {
  consoleToStderr();
  if (options.jobs === 0) throw new UsageError('--jobs is at least 1');
  const exported = await loadTasks(module, options.export);
  const targets = chooseTargets(exported, names);
  const all = inOrder(targets);
  const journal = options.journal === undefined ? undefined : await useJournal(Journal.open(options.journal));
  // Whichever targets are made, it is one graph.
  const detach = journal === undefined ? undefined : await useJournal(journal.attach(exported.values()));
  const job = new Job({
    common: options,
    manager: { messages: 'discard', ...(all.every((task) => !isPortable(task)) && { minWorkers: 0 }) },
    summary: 'line',
    view: (show) => viewOf(show, all),
    counts: () => countsOf(all),
  });
  for (const task of all) {
    task.on('FAILED', ({ event, extra }) => {
      // Others fail because of it, which goes without saying.
      if (event === 'except' && !job.stopped) tellFailure(job, task, extra['error'], options);
    });
  }
  const durations = journal?.durations();
  const making = (async () => {
    const { failFast, criticalPath, workers = 2 * availableParallelism() } = options;
    // What has been queued at the manager is begun in the order of the queue.
    const jobs = options.jobs ?? (criticalPath === true ? workers : undefined);
    for await (const task of makeTasks(targets, {
      queue: job.manager,
      signal: job.signal,
      ...(jobs !== undefined && { concurrency: jobs }),
      ...(failFast !== undefined && { failFast }),
      ...(criticalPath !== undefined && { criticalPath }),
      ...(durations !== undefined && { durations }),
    })) {
      await printOutcome(job, task, options);
    }
    if (targets.some(({ state }) => state !== 'DONE')) job.failed();
  })();
  const code = await job.end(
    () => making,
    () => making.catch(() => {}),
  );
  try {
    await detach?.();
    await journal?.close();
    if (options.report !== undefined) {
      const title = basename(module);
      await writeTo(options.report, await graphReport(snapshotOf(all), { title }));
    }
    return code;
  } catch (error) {
    complain(error);
    return code === EXIT.OK ? EXIT.FAILED : code;
  }
}

/** What is wrong with the journal is a matter of the command line, which names it. */
async function useJournal<T>(use: Promise<T>): Promise<T> {
  try {
    return await use;
  } catch (error) {
    throw error instanceof JournalError ? new UsageError(error.message, { cause: error }) : error;
  }
}

/** A tree in a terminal, elsewhere a line for each transition. */
function viewOf(show: boolean, all: readonly Task[]): View {
  if (show && hasBottomRows(process.stderr)) return new LiveTree(() => snapshotOf(all));
  if (show) {
    for (const task of all) {
      task.on('any', ({ oldState, event, newState }) => {
        process.stderr.write(`${nameOf(task.name)} ${oldState}->${event}->${newState}\n`);
      });
    }
  }
  return { shown: show, stop() {} };
}

/** On standard output the value of a target; with `--json` a record, which says of a failure too. */
async function printOutcome(job: Job, task: Task, { json }: MakeOptions): Promise<void> {
  const { name, state } = task;
  try {
    const value = await task.result;
    if (json === true) await job.print({ task: name, state, value: value ?? null });
    else if (value !== undefined) await job.print(value);
  } catch (error) {
    job.failed();
    if (json === true) await job.print({ task: name, state, error: failureJson(error) });
  }
}

function tellFailure(job: Job, { name }: Task, error: unknown, { json }: MakeOptions): void {
  job.failed();
  if (json === true) process.stderr.write(`${JSON.stringify({ task: name, error: failureJson(error) })}\n`);
  else if (error instanceof WorkerException) complain(error);
  else say(`task '${nameOf(name)}' failed: ${failureText(error, paletteOf(process.stderr))}`);
}

function countsOf(tasks: Iterable<Task>): { done: number; failed: number; cancelled: number } {
  const counts = countStates(tasks);
  const of = (state: Task['state']): number => counts.get(state) ?? 0;
  return { done: of('DONE'), failed: of('FAILED') + of('ABORT'), cancelled: of('CANCELLED') };
}
