// Which of this process's own Node.js options its workers get.

/** Options of a debugger, a test runner or a profiler; they are about one process. */
const OWN = /^--(inspect|test|watch|cpu-prof|heap-prof|check|interactive|input-type)|^-[ci]$/;

/** Those of them that may have their value behind them. */
const OWN_WITH_VALUE =
  /^--(inspect-port|debug-port|input-type|test-(?!only|force|update)[a-z-]+|watch-path|(cpu|heap)-prof-[a-z]+)$/;

/** Options with program text, with it inside or behind them: a worker that ran it would start workers without end. */
const TEXT = /^(-e|-p|-pe|--eval|--print)(=|$)/;

/** Loaders, conditions and limits are for workers too; what concerns only the process that was started is not. */
export function inheritedExecArgv(execArgv: readonly string[]): string[] {
  const inherited: string[] = [];
  for (let i = 0; i < execArgv.length; i++) {
    const option = execArgv[i] as string;
    const next = execArgv[i + 1];
    if (TEXT.test(option)) {
      if (!option.includes('=')) i++;
    } else if (OWN.test(option)) {
      if (OWN_WITH_VALUE.test(option) && next !== undefined && !next.startsWith('-')) i++;
    } else {
      inherited.push(option);
    }
  }
  return inherited;
}
