// @ts-check
// One line on a terminal that says how far the crawl is.

import cliProgress from 'cli-progress';
import { formatBytes, formatCount } from './table.mjs';

/** @import { Tally } from './tally.mjs' */

/** The rate is that of the last seconds: over all of them it would hide that a slow file is being read. */
const WINDOW_MS = 3_000;

const LEAST_BAR = 8;
const MOST_BAR = 24;

/** A line that wraps cannot be drawn over, and the terminal itself adds the "^C" of a Ctrl-C to it. */
const KEPT_FREE = 3;

export class Progress {
  #tally;
  #workers;
  #bar;
  /** @type {{ at: number, bytes: number }[]} */
  #past = [];

  /**
   * @param {Tally} tally
   * @param {() => number} workers how many there are now
   */
  constructor(tally, workers) {
    this.#tally = tally;
    this.#workers = workers;
    this.#bar = new cliProgress.SingleBar({
      // Called as often as the line is drawn, however many messages arrive between.
      format: (options, { progress, maxWidth }) => this.#draw(options, progress, maxWidth - KEPT_FREE),
      barsize: MOST_BAR,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      stream: process.stderr,
      fps: 8,
      clearOnComplete: true,
      // Ctrl-C is the program's business, and after kill -9 nobody would set the terminal right again.
      gracefulExit: false,
      hideCursor: false,
      linewrap: true,
    });
    this.#bar.start(1, 0);
  }

  update() {
    const { found, files, errors } = this.#tally;
    this.#bar.setTotal(Math.max(found, 1));
    // A result may overtake the message about the directory that its file is in, and not every error is of a file.
    this.#bar.update(Math.min(files.length + errors.length, found));
  }

  stop() {
    this.#bar.stop();
  }

  /**
   * @param {import('cli-progress').Options} options
   * @param {number} progress 0 to 1
   * @param {number} width
   */
  #draw(options, progress, width) {
    const figures = this.#figures();
    const barsize = Math.min(MOST_BAR, Math.max(LEAST_BAR, width - figures.length - 1));
    return `${cliProgress.Format.BarFormat(progress, { ...options, barsize })} ${figures}`.slice(0, width);
  }

  #figures() {
    const { found, files, directories } = this.#tally;
    const done = `${formatCount(files.length)} of ${formatCount(found)} files`;
    const rate = `${formatBytes(this.#rate())}/s`.padStart(10);
    return `${done}, ${formatCount(directories)} directories ${rate}, ${this.#workers()} workers`;
  }

  #rate() {
    const at = performance.now();
    const bytes = this.#tally.liveBytes;
    this.#past.push({ at, bytes });
    while (this.#past.length > 2 && (this.#past[1]?.at ?? at) < at - WINDOW_MS) this.#past.shift();
    const [first] = this.#past;
    return first === undefined || first.at === at ? 0 : ((bytes - first.bytes) * 1000) / (at - first.at);
  }
}
