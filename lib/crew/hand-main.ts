// What runs in the process of a hand: the Doist of its load, and the tasks of the crew's manager.

import { native } from '../native.js';
import { serveHand } from '../runtime/serve-hand.js';
import { currentContext, forgetContext } from '../task/context.js';
import { createLogger, redirectConsole } from '../task/log.js';
import { CrewLoad } from './crew-load.js';
import type { Crewer } from './crewer.js';
import { Doist } from './doist.js';
import { BEATS_WORD, type HandStart, LEAVING } from './hand-start.js';
import { makeDoers } from './make-doers.js';

const MEMORY = 4;
const TASK_SOCKET = 6;
const TASK_PAGE = 7;

/** The target of a hand's Worker; returns whether its Doist was complete. */
export async function runHand(start: HandStart): Promise<boolean> {
  const { directory, hasLogFile, beatEvery } = start;
  const context = currentContext();
  // Doers are no tasks.
  forgetContext();
  const { name, doers: specs, tyme, tock, real, limit, temp } = new CrewLoad(start.load);
  const logger = createLogger(hasLogFile);
  if (hasLogFile) redirectConsole(logger);
  const words = new Int32Array(native.mapShared(MEMORY));
  const beat = (): void => void Atomics.add(words, BEATS_WORD, 1);
  // What is asked for is whether the event loop goes round by the clock.
  if (beatEvery > 0) {
    beat();
    setInterval(beat, beatEvery * 1_000).unref();
  }
  // Whoever reads what the boss prints may hang up.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  const tasks = serveHand(TASK_SOCKET, TASK_PAGE);
  const retire = (): Promise<void> => {
    context?.progress(LEAVING);
    return tasks;
  };
  const doers = await makeDoers(specs, (crewer) => {
    crewer.join({ name, boss: start.boss, directory, logger, retire });
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
  // It was told to end while its modules were loaded.
  if (context?.signal.aborted === true) return false;
  await doist.do({ signal: forced.signal });
  if (!forced.signal.aborted) await retire();
  return doist.done === true;
}
