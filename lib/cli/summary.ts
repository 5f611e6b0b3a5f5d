// What a command says at its end.

import { count, duration, rate } from '../figures.js';
import type { Palette } from './paint.js';
import type { Share } from './tally.js';

/** The whole of it, as `--json` prints it. */
export interface Summary {
  readonly exitCode: number;
  readonly tasks: { readonly done: number; readonly failed: number; readonly cancelled: number };
  /** Lines on standard output. */
  readonly messages: number;
  readonly durationMs: number;
  readonly tasksPerSecond: number;
  readonly workers: readonly (Share & { readonly share: number })[];
}

/** Each worker's share is of the tasks that ended in workers. */
export function summarize(
  known: Pick<Summary, 'exitCode' | 'tasks' | 'messages' | 'durationMs'>,
  shares: readonly Share[],
): Summary {
  const { tasks, durationMs } = known;
  const ended = shares.reduce((sum, share) => sum + share.tasks, 0);
  return {
    ...known,
    durationMs: rounded(durationMs, 1),
    tasksPerSecond: durationMs > 0 ? rounded(((tasks.done + tasks.failed) / durationMs) * 1000, 1) : 0,
    workers: shares.map((share) => ({ ...share, share: rounded(share.tasks / ended, 3) })),
  };
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** `1,240 done, 3 failed in 2.41 s (516/s)`. */
export function summaryLine({ tasks, durationMs, tasksPerSecond }: Summary, paint: Palette): string {
  const speed = tasksPerSecond > 0 ? ` (${rate(tasksPerSecond)})` : '';
  return `${states(tasks, paint)} ${paint.dim(`in ${duration(durationMs)}${speed}`)}\n`;
}

const LONGEST_BAR = 24;

export function summaryTable(summary: Summary, paint: Palette): string {
  const { tasks, messages, durationMs, tasksPerSecond, workers } = summary;
  const row = (name: string, value: string) => `${paint.dim(name.padEnd(10))}${value}\n`;
  const head =
    row('tasks', states(tasks, paint)) +
    row('messages', count(messages)) +
    row('time', duration(durationMs)) +
    (tasksPerSecond > 0 ? row('speed', rate(tasksPerSecond).replace('/s', ' tasks/s')) : '');
  if (workers.length === 0) return head;
  const cells = workers.map(({ worker, pid, tasks: ended, share }) => [
    String(worker),
    String(pid ?? '-'),
    count(ended),
    `${(share * 100).toFixed(1)}%`,
    '━'.repeat(Math.round(share * LONGEST_BAR)),
  ]);
  const titles = ['worker', 'pid', 'tasks', 'share'];
  const widths = titles.map((title, i) => Math.max(title.length, ...cells.map((row) => (row[i] as string).length)));
  const line = (row: readonly string[]) => widths.map((width, i) => (row[i] as string).padStart(width)).join('   ');
  const body = cells.map((row) => `${line(row)}   ${paint.green(row[4] as string)}`.trimEnd());
  return `${head}\n${paint.dim(line(titles))}\n${body.join('\n')}\n`;
}

function states({ done, failed, cancelled }: Summary['tasks'], paint: Palette): string {
  const parts = [`${count(done)} done`];
  if (failed > 0) parts.push(paint.red(`${count(failed)} failed`));
  if (cancelled > 0) parts.push(`${count(cancelled)} cancelled`);
  return (
    paint.bold(parts[0] as string) +
    parts
      .slice(1)
      .map((part) => `, ${part}`)
      .join('')
  );
}
