// Which of this process's own Node.js options its workers get.

/** Options of a debugger, a test runner or a profiler; they are about one process. */
const OWN = /^--(inspect|test|watch|cpu-prof|heap-prof|check|interactive|input-type)|^-[ci]$/;

/** Options with program text, alone or with their value behind them. */
const TEXT = /^(-e|-p|-pe|--eval|--print)$/;

/** Loaders, conditions and limits are for workers too; what concerns only the process that was started is not. */
export function inheritedExecArgv(execArgv: readonly string[]): string[] {
  const inherited: string[] = [];
  for (let i = 0; i < execArgv.length; i++) {
    const option = execArgv[i] as string;
    if (TEXT.test(option)) i++;
    else if (!OWN.test(option)) inherited.push(option);
  }
  return inherited;
}
