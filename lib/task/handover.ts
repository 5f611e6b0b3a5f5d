// Arguments that are handed from thread to thread, because bytes cannot carry them: shared memory, ports, what is moved.

import { DataCloneError } from '../errors.js';

type Take = (number: number) => Promise<readonly unknown[]>;

let take: Take = () => {
  throw new DataCloneError('shared memory, ports and what is moved reach worker threads alone, and this is none');
};

/** In a thread of a manager: how it gets the arguments of a task. */
export function takeBy(own: Take): void {
  take = own;
}

/** @throws DataCloneError when they cannot be had here. */
export function takeArguments(number: number): Promise<readonly unknown[]> {
  return take(number);
}
