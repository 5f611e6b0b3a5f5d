// What runs in the process of a hand: the Doist of its load, and the tasks of the crew's manager.

import { native } from '../native.js';
import { serveHand } from '../runtime/serve-hand.js';
import { currentContext, forgetContext } from '../task/context.js';
import { createLogger, redirectConsole } from '../task/log.js';
import { CrewLoad, type CrewLoadOptions } from './crew-load.js';
import type { Crewer } from './crewer.js';
import { Doist } from './doist.js';
import { BEATS_WORD, type HandStart, LEAVING } from './hand-start.js';
import { makeDoers } from './make-doers.js';

const MEMORY = 4;
const TASK_SOCKET = 6;
const TASK_PAGE = 7;

/** The target of a hand's Worker; returns whether its Doist was complete. */
export async function runHand(start: HandStart): Promise<boolean> {
  const { name, directory, hasLogFile, beatEvery } = start;
  const context = currentContext();
  // Doers are no tasks.
  forgetContext();
  const { boss: _, restart: __, ...load } = start.load;
  const { doers: specs, tyme, tock, real, limit, temp } = new CrewLoad(load as CrewLoadOptions);
  const logger = createLogger(hasLogFile);
  if (hasLogFile) redirectConsole(logger);
  const words = new Int32Array(native.mapShared(MEMORY));
  const beat = beatEvery > 0 ? () => void Atomics.add(words, BEATS_WORD, 1) : undefined;
  const tasks = serveHand(TASK_SOCKET, TASK_PAGE);
  const retire = (): Promise<void> => {
    context?.progress(LEAVING);
    return tasks;
  };
  const doers = await makeDoers(specs, (crewer) => {
    crewer.join({ name, boss: start.boss, directory, logger, beat, beatEvery, retire });
  });
  const doist = new Doist({
    name,
    tyme,
    real,
    doers,
    ...(tock !== null && { tock }),
    ...(limit !== null && { limit }),
    ...(temp !== null && { temp }),
  });
  const forced = new AbortController();
  process.on('SIGTERM', () => forced.abort());
  context?.signal.addEventListener('abort', () => (doers[0] as Crewer).leave(), { once: true });
  await doist.do({ signal: forced.signal });
  if (!forced.signal.aborted) await retire();
  return doist.done === true;
}
