// Work that waits now and then, as a generator of what it waits for. Unlike an async function it does at once what it can
// do at once: so doers that wait for nothing run one behind the other, as they are written.

import { isThenable } from '../thenable.js';

/** Yields promises; each is answered with its value, or thrown its error. */
export type Steps<R = void> = Generator<PromiseLike<unknown>, R, unknown>;

/** The value, waited for if it is a promise. */
export function* settled<T>(value: T | PromiseLike<T>): Steps<T> {
  return isThenable(value) ? ((yield value) as T) : value;
}

/** Goes through the steps; undefined when they have ended without a wait. Throws, or rejects, as they do. */
export function drive(steps: Steps): Promise<void> | undefined {
  const first = steps.next();
  return first.done === true ? undefined : goOn(steps, first.value);
}

async function goOn(steps: Steps, first: PromiseLike<unknown>): Promise<void> {
  let next: IteratorResult<PromiseLike<unknown>, void> = { done: false, value: first };
  while (next.done !== true) {
    let answer: { readonly value: unknown } | { readonly error: unknown };
    try {
      answer = { value: await next.value };
    } catch (error) {
      answer = { error };
    }
    next = 'error' in answer ? steps.throw(answer.error) : steps.next(answer.value);
  }
}
