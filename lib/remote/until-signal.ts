// A program that runs until it is told to end.

/** What a shell calls the exit of a process that one of these has ended. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

export type EndSignal = keyof typeof SIGNALS;

/**
 * Resolves with the first signal that tells this process to end. From then on a second one ends it at once, until `forget`
 * is called.
 */
export function untilSignal(): Promise<{ readonly signal: EndSignal; readonly forget: () => void }> {
  return new Promise((resolve) => {
    let isEnding = false;
    const onSignal = (name: NodeJS.Signals): void => {
      const signal = name as EndSignal;
      if (isEnding) process.exit(SIGNALS[signal]);
      isEnding = true;
      resolve({ signal, forget: off });
    };
    const off = () => {
      for (const name of Object.keys(SIGNALS)) process.off(name, onSignal);
    };
    for (const name of Object.keys(SIGNALS)) process.on(name, onSignal);
  });
}
