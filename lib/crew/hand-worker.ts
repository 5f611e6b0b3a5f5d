// The process of a hand: a Worker whose target is the hand's Doist, and a worker of the crew's manager beside that.

import { pathToFileURL } from 'node:url';
import { native } from '../native.js';
import { entryFile } from '../package-root.js';
import { SAY, StreamLine } from '../wire/line.js';
import { within } from '../within.js';
import { openLogFile } from '../worker/log-file.js';
import { openProcess, type Place } from '../worker/place.js';
import { ProcessWorker } from '../worker/worker.js';
import type { LadderOptions, WorkerLife } from '../worker/worker-life.js';
import { BEATS_WORD, type HandStart } from './hand-start.js';

export interface HandWorkerOptions {
  readonly name: string;
  readonly start: HandStart;
  /** For the process to inherit; the owner closes its own. */
  readonly descriptors: readonly number[];
  /** Where its output goes; to where ours does unless given. */
  readonly logFile: string | undefined;
  readonly env: NodeJS.ProcessEnv | undefined;
  readonly execArgv: readonly string[] | undefined;
}

const TARGET = { module: pathToFileURL(entryFile('crew/hand-main')), export: 'runHand' };

export class HandWorker extends ProcessWorker {
  readonly #options: HandWorkerOptions;
  #words = new Int32Array(BEATS_WORD + 1);
  #life: WorkerLife | undefined;

  /** @throws the system's error when there is no room for another process, or the log file cannot be opened. */
  constructor(options: HandWorkerOptions) {
    const { name, start } = options;
    super({ target: TARGET, args: [start], name, run: false });
    this.#options = options;
    this.begin();
  }

  get life(): WorkerLife {
    return this.#life as WorkerLife;
  }

  /** Counts on while its event loop goes round, if it was told to. */
  get beats(): number {
    return Atomics.load(this.#words, BEATS_WORD);
  }

  /** What `terminate` says: for a hand that cannot be reached otherwise. */
  askToStop(): void {
    this.send(SAY.STOP);
  }

  /** Asks it to end and climbs the ladder until it has. */
  async end(ask: () => void, ladder: LadderOptions): Promise<void> {
    await this.life.stop(ask, ladder);
    await this.whenOver;
  }

  /** SIGTERM at once, SIGKILL so many milliseconds later, whatever rung it was on. */
  async endWithin(milliseconds: number): Promise<void> {
    const ended = this.end(() => {}, { grace: 0, terminate: milliseconds });
    if (await within(milliseconds, ended)) return;
    await this.life.kill();
    await ended;
  }

  protected override openPlace(): Place {
    const { descriptors: more, logFile, env, execArgv } = this.#options;
    const log = logFile === undefined ? undefined : openLogFile(logFile);
    try {
      const opened = openProcess({ more, output: log, env, execArgv });
      const { life, socket, words, raiseFlag } = opened;
      this.#life = life;
      this.#words = words;
      return { life, line: new StreamLine(socket), pid: life.pid, tid: 0, raiseFlag };
    } finally {
      if (log !== undefined) native.closeDescriptor(log);
    }
  }
}
