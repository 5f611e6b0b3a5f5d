// How a task ended.

/** An `error` may be anything: the reason of an AbortSignal is. */
export type Outcome =
  | { readonly value: unknown }
  | {
      readonly error: unknown;
      /** It was dropped or stopped, and has not failed. */
      readonly cancelled?: boolean;
    };
