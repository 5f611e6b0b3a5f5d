// How long a manager waits before it starts a worker again.

/** Milliseconds between starts that fail, doubled each time. */
export const FIRST_RETRY_MS = 20;
export const MAX_RETRY_MS = 5_000;
