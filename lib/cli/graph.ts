// bosun graph <module> [target...]

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { basename } from 'node:path';
import { graphReport } from '../graph/report.js';
import { entryFile } from '../package-root.js';
import { graphAsDot } from '../task/graph-dot.js';
import { inOrder } from '../task/graph-order.js';
import { snapshotOf } from '../task/graph-snapshot.js';
import { graphAsSvg } from '../task/graph-svg.js';
import { EXIT, type ExitCode, UsageError } from './exit-code.js';
import { say } from './failure-text.js';
import { consoleToStderr } from './job.js';
import { chooseTargets, loadTasks } from './load-tasks.js';
import { writeTo } from './write-to.js';

export interface GraphOptions {
  readonly export?: string;
  readonly dot?: boolean;
  readonly svg?: string;
  readonly html?: string;
  readonly watch?: boolean;
}

/** Draws tasks that a module exports, and all that they require; nothing is run. @throws UsageError */
export async function graph(module: string, names: readonly string[], options: GraphOptions): Promise<ExitCode> {
  consoleToStderr();
  const { svg, html } = options;
  if (options.watch === true) return watch(module, names, options);
  const snapshot = snapshotOf(inOrder(chooseTargets(await loadTasks(module, options.export), names)));
  const name = basename(module);
  if (svg !== undefined) await draw(svg, await graphAsSvg(snapshot, { name }));
  if (html !== undefined) await draw(html, await graphReport(snapshot, { title: name }));
  if (options.dot === true || (svg === undefined && html === undefined)) {
    await writeTo('-', `${graphAsDot(snapshot, { name })}\n`);
  }
  return EXIT.OK;
}

async function draw(path: string, picture: string): Promise<void> {
  await writeTo(path, picture);
  if (path !== '-') say(`drew ${path}`);
}

/**
 * The same again whenever a file changes that the module is made of: Node.js knows which ones those are, and a new process is
 * the only way to import them anew.
 */
async function watch(module: string, names: readonly string[], options: GraphOptions): Promise<ExitCode> {
  const files = (['svg', 'html'] as const).flatMap((kind) => {
    const path = options[kind];
    return path === undefined || path === '-' ? [] : [`--${kind}`, path];
  });
  if (files.length === 0 || options.dot === true) throw new UsageError('--watch draws into files: --svg or --html');
  const exported = options.export === undefined ? [] : ['--export', options.export];
  const flags = ['--watch', '--watch-preserve-output', '--no-warnings'];
  const args = [...flags, entryFile('cli/main'), 'graph', ...files, ...exported, '--', module, ...names];
  // What Node.js says of its restarts is not for standard output.
  const child = spawn(process.execPath, args, { stdio: ['ignore', process.stderr, process.stderr] });
  let code: ExitCode = EXIT.FAILED;
  const end = (signal: NodeJS.Signals, exitCode: ExitCode) => {
    code = exitCode;
    child.kill(signal);
  };
  process.on('SIGINT', () => end('SIGINT', EXIT.INTERRUPTED));
  process.on('SIGTERM', () => end('SIGTERM', EXIT.TERMINATED));
  await once(child, 'close');
  return code;
}
