// Arguments that lie under those of a call.

/** What a call has unless it says otherwise. */
export interface Defaults {
  readonly args: readonly unknown[];
  readonly kwargs?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * The arguments of a call over the defaults, from the left; beyond them, a last plain object is laid over `kwargs` if
 * there are any, and goes last.
 *
 * @param hasKwargs the last argument is the call's own `kwargs` for sure.
 */
export function overlay(given: readonly unknown[], { args, kwargs }: Defaults, hasKwargs = false): unknown[] {
  const last = given[given.length - 1];
  const endsWithKwargs = hasKwargs || (kwargs !== undefined && given.length > args.length && isPlainObject(last));
  const positional = endsWithKwargs ? given.slice(0, -1) : given;
  const all = [...positional, ...args.slice(positional.length)];
  if (endsWithKwargs || kwargs !== undefined) all.push({ ...kwargs, ...(endsWithKwargs ? (last as object) : {}) });
  return all;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
