// bosun crew <module>

import { Boss } from '../crew/boss.js';
import type { BossOptions } from '../crew/boss-options.js';
import { Doist } from '../crew/doist.js';
import { MultiError } from '../errors.js';
import { untilSignal } from '../remote/until-signal.js';
import { hasBottomRows } from './bottom-rows.js';
import { CrewLines } from './crew-lines.js';
import { CrewTable } from './crew-table.js';
import { EXIT, type ExitCode, exitCodeOf, UsageError } from './exit-code.js';
import { complain } from './failure-text.js';
import type { View } from './job.js';
import { exportedBy, loadModule, usable } from './load.js';

export interface CrewOptions {
  readonly export: string;
  readonly logDirectory?: string;
  readonly heartbeat?: number;
  readonly progress: boolean;
}

/** Runs a crew in the foreground until it is over, or a signal comes. @throws UsageError */
export async function crew(module: string, options: CrewOptions): Promise<ExitCode> {
  const boss = await load(module, options);
  // Whoever reads our words may hang up; the crew goes on.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  const doist = new Doist({ real: true, doers: [boss] });
  let view: View | undefined;
  // Its hands are known once it is entered.
  boss.once('entered', () => {
    view = options.progress && hasBottomRows(process.stderr) ? new CrewTable(boss) : new CrewLines(boss);
  });
  let failure: unknown;
  const run = doist.do().catch((error: unknown) => {
    failure = error;
  });
  const { signal, forget } = await untilSignal([run]);
  if (signal !== undefined) {
    const { isTTY } = process.stderr;
    process.stderr.write(`${isTTY ? '\n' : ''}bosun: the crew is told to end; once more ends it at once\n`);
    await boss.end();
  }
  await run;
  forget();
  view?.stop();
  if (failure !== undefined) {
    if (failure instanceof MultiError && failure.cause === undefined) throw new UsageError(failure.message);
    complain(failure);
    return EXIT.FAILED;
  }
  return exitCodeOf(signal);
}

async function load(module: string, options: CrewOptions): Promise<Boss> {
  const { namespace } = await loadModule(module);
  const name = options.export;
  const exported = await exportedBy(namespace, name, module);
  if (exported instanceof Boss) return exported;
  if (typeof exported !== 'object' || exported === null) {
    throw new UsageError(`'${name}' of ${module} is no Boss, no options of one, no list of loads, and returns none`);
  }
  const { logDirectory, heartbeat } = options;
  const given = Array.isArray(exported) ? { loads: exported } : (exported as BossOptions);
  return usable(
    () =>
      new Boss({
        ...given,
        ...(logDirectory !== undefined && { logDirectory }),
        ...(heartbeat !== undefined && { heartbeat }),
        // Ours.
        signals: false,
      }),
  );
}
