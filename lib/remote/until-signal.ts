// A program that runs until it is told to end.

/** What a shell calls the exit of a process that one of these has ended. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

export type EndSignal = keyof typeof SIGNALS;

/**
 * Resolves with the first signal that tells this process to end, or without one when any of the others resolves. From then
 * on a signal ends the process at once, until `forget` is called.
 */
export function untilSignal(
  others: readonly PromiseLike<unknown>[] = [],
): Promise<{ readonly signal: EndSignal | undefined; readonly forget: () => void }> {
  return new Promise((resolve) => {
    let isEnding = false;
    const end = (signal: EndSignal | undefined): void => {
      isEnding = true;
      resolve({ signal, forget });
    };
    const onSignal = (name: NodeJS.Signals): void => {
      const signal = name as EndSignal;
      if (isEnding) process.exit(SIGNALS[signal]);
      end(signal);
    };
    const forget = () => {
      for (const name of Object.keys(SIGNALS)) process.off(name, onSignal);
    };
    for (const name of Object.keys(SIGNALS)) process.on(name, onSignal);
    for (const other of others) void other.then(() => end(undefined));
  });
}
