// The progress line on standard error, by cli-progress in the terminal's bottom row.

import { type Options, type Params, SingleBar } from 'cli-progress';
import { clock, count, rate } from '../figures.js';
import { BottomRows, hasBottomRows } from './bottom-rows.js';
import { paletteOf } from './paint.js';
import type { Moment } from './tally.js';

/** Short commands end without a line. */
const FIRST_AFTER_MS = 250;
const FRAME_MS = 100;

/** The rate is that of the last so many milliseconds. */
const RATE_OVER_MS = 5_000;

const WIDEST_BAR = 30;
const NARROWEST_BAR = 8;

/** What a frame shows. */
interface Frame extends Moment {
  /** Undefined when nobody knows; then there is no bar and no ETA. */
  readonly total: number | undefined;
  readonly perSecond: number;
  readonly elapsedMs: number;
}

/** Looks ten times a second, and draws if standard error is a terminal. */
export class Progress {
  readonly #look: () => Moment;
  readonly #total: (moment: Moment) => number | undefined;
  readonly #startedAt = performance.now();
  readonly #timer: NodeJS.Timeout;
  readonly #row: BottomRows | undefined;
  #bar: SingleBar | undefined;
  #samples: { readonly at: number; readonly ended: number }[] = [];

  constructor(show: boolean, look: () => Moment, total: (moment: Moment) => number | undefined) {
    this.#look = look;
    this.#total = total;
    if (show && hasBottomRows(process.stderr)) this.#row = new BottomRows(process.stderr);
    this.#timer = setInterval(() => this.#tick(), FRAME_MS);
    this.#timer.unref();
  }

  /** True when the user has seen it. */
  get shown(): boolean {
    return this.#bar !== undefined;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#bar?.stop();
    this.#row?.release();
  }

  #tick(): void {
    const moment = this.#look();
    const now = performance.now();
    const elapsedMs = now - this.#startedAt;
    this.#samples.push({ at: now, ended: moment.done + moment.failed });
    while ((this.#samples[0]?.at ?? now) < now - RATE_OVER_MS) this.#samples.shift();
    if (this.#row === undefined || elapsedMs < FIRST_AFTER_MS) return;
    const frame = { ...moment, total: this.#total(moment), perSecond: this.#perSecond(), elapsedMs };
    if (this.#bar === undefined) {
      this.#row.take();
      this.#bar = makeBar(this.#row);
      this.#bar.start(0, 0, frame);
    }
    this.#bar.setTotal(frame.total ?? 0);
    this.#bar.update(moment.done + moment.failed + moment.cancelled, frame);
  }

  #perSecond(): number {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.at === first.at) return 0;
    return ((last.ended - first.ended) / (last.at - first.at)) * 1000;
  }
}

function makeBar(terminal: BottomRows): SingleBar {
  // `terminal` is an option of cli-progress that its types do not know.
  const options: Options & { terminal: BottomRows } = {
    terminal,
    format: formatFrame,
    fps: 1000 / FRAME_MS,
    linewrap: true,
    clearOnComplete: true,
  };
  return new SingleBar(options);
}

/** Drops what matters least until it fits, the bar before what matters most; the bar takes what is left. */
function formatFrame(_options: Options, { progress, maxWidth }: Params, frame: Frame): string {
  const paint = paletteOf(process.stderr);
  const parts = describe(frame);
  const width = () => parts.reduce((sum, { text }) => sum + text.length + SEPARATOR.length, 0);
  const shed = (room: number, above: number) => {
    while (width() > room) {
      const least = parts.reduce((a, b) => (b.rank > a.rank ? b : a));
      if (least.rank <= above) return;
      parts.splice(parts.indexOf(least), 1);
    }
  };
  if (frame.total !== undefined) shed(maxWidth - NARROWEST_BAR - 1, BAR_RANK);
  shed(maxWidth, 0);
  const room = Math.min(WIDEST_BAR, maxWidth - width() - 1);
  const line = parts.map(({ text, isBad }) => (isBad ? paint.red(text) : text)).join(paint.dim(SEPARATOR));
  if (frame.total === undefined || room < NARROWEST_BAR) return line;
  const full = Math.round(progress * room);
  return `${paint.green('━'.repeat(full))}${paint.dim('─'.repeat(room - full))} ${line}`;
}

const SEPARATOR = ' · ';

/** What matters less makes room for the bar. */
const BAR_RANK = 4;

interface Part {
  readonly text: string;
  /** The highest is dropped first. */
  readonly rank: number;
  readonly isBad?: boolean;
}

function describe(frame: Frame): Part[] {
  const { done, failed, cancelled, running, waiting, workers, perSecond, total, elapsedMs } = frame;
  const left = total === undefined ? 0 : total - done - failed - cancelled;
  const eta = perSecond > 0 && left > 0 ? clock(left / perSecond) : '-:--';
  const parts: (Part | false)[] = [
    total !== undefined && total > 0 && { text: percent((total - left) / total), rank: 1 },
    { text: `${count(done)} done`, rank: 0 },
    failed > 0 && { text: `${count(failed)} failed`, rank: 2, isBad: true },
    cancelled > 0 && { text: `${count(cancelled)} cancelled`, rank: 8 },
    { text: `${count(running)} running`, rank: 5 },
    { text: `${count(waiting)} waiting`, rank: 6 },
    { text: `${workers} ${workers === 1 ? 'worker' : 'workers'}`, rank: 7 },
    { text: rate(perSecond), rank: 4 },
    total === undefined ? { text: clock(Math.floor(elapsedMs / 1000)), rank: 3 } : { text: `ETA ${eta}`, rank: 3 },
  ];
  return parts.filter((part) => part !== false);
}

function percent(fraction: number): string {
  return `${Math.floor(Math.min(1, fraction) * 100)}%`.padStart(4);
}
