// Tasks that yield values: a generator at the pace of whoever reads them.

import type { TaskContext } from './context.js';

/** Values that may be yielded before anybody has taken one. */
const FIRST_ROOM = 16;

/** The reader says after so many that there is room for as many more. */
export const ROOM_STEP = FIRST_ROOM / 2;

/** Tells the values as progress, as many as there is room for; the reader's messages say that there is more. */
export async function streamOut(given: unknown, ctx: TaskContext): Promise<unknown> {
  const outcome = await given;
  const iterator = iteratorOf(outcome);
  if (iterator === undefined) return outcome;
  const rooms = ctx.messages();
  let room = FIRST_ROOM;
  try {
    for (;;) {
      const step = await iterator.next();
      if (step.done === true) return step.value;
      while (room === 0) {
        const more = await rooms.next();
        ctx.checkpoint();
        room += more.value as number;
      }
      ctx.checkpoint();
      ctx.progress(step.value);
      room -= 1;
    }
  } catch (error) {
    await iterator.return?.();
    throw error;
  }
}

/** Of what a generator function returns; other iterables are values. */
export function iteratorOf(value: unknown): Iterator<unknown> | AsyncIterator<unknown> | undefined {
  const tag = Object.prototype.toString.call(value);
  return tag === '[object Generator]' || tag === '[object AsyncGenerator]' ? (value as Iterator<unknown>) : undefined;
}
