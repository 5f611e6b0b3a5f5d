// A wait that somebody may end.

export interface Pause {
  /** Resolves when it is over, by itself or by `end`. */
  readonly over: Promise<void>;
  end(): void;
}

/** So many milliseconds; it keeps the process up. */
export function pause(milliseconds: number): Pause {
  let end = (): void => {};
  const over = new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    end = () => {
      clearTimeout(timer);
      resolve();
    };
  });
  return { over, end };
}
