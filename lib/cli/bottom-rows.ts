// The last rows of the terminal, kept apart for what shows how far things are.
//
// The rows above become the scroll region, so whatever writes to the same terminal meanwhile (this process, the
// consoles of workers, `jq` behind our pipe) scrolls above them and neither tears them nor has to know of them.

import type { WriteStream } from 'node:tty';

const SAVE = '\u001b7';
const RESTORE = '\u001b8';
const CLEAR_RIGHT = '\u001b[K';
const WHOLE_SCREEN = '\u001b[r';
/** What is too long for a row is cut there, and does not tear the next one. */
const NO_WRAP = '\u001b[?7l';
const WRAP = '\u001b[?7h';

/** So many rows are left to others. */
const LEAST_ABOVE = 3;

/** True when a stream is a terminal that can have such rows. */
export function hasBottomRows(stream: WriteStream): boolean {
  return stream.isTTY && process.env['TERM'] !== 'dumb' && stream.rows > LEAST_ABOVE;
}

/** What cli-progress calls a terminal; it does nothing until `take`. Every drawing is one write, so none is torn. */
export class BottomRows {
  readonly #stream: WriteStream;
  readonly #wanted: number;
  /** The first of them, from 1; 0 while they are not ours. */
  #first = 0;
  #text = '';

  /** @param height how many rows; fewer where the terminal has not so many. */
  constructor(stream: WriteStream, height = 1) {
    this.#stream = stream;
    this.#wanted = height;
  }

  /** How many rows there are at the moment. */
  get height(): number {
    return Math.max(1, Math.min(this.#wanted, this.#stream.rows - LEAST_ABOVE));
  }

  take(): void {
    if (this.#first > 0) return;
    const { height } = this;
    // The line feeds make room when the cursor is in the last rows.
    this.#stream.write('\n'.repeat(height));
    this.#region();
    this.#stream.write(`\u001b[${height}A`);
    this.#stream.on('resize', this.#onResize);
    process.on('exit', this.release);
    process.on('SIGTSTP', this.#onStop);
  }

  /** Gives the rows back, empty; the cursor stays where it was. */
  readonly release = (): void => {
    if (this.#first === 0) return;
    this.#stream.write(`${SAVE}${this.#cleared()}${WHOLE_SCREEN}${RESTORE}`);
    this.#first = 0;
    this.#stream.off('resize', this.#onResize);
    process.off('exit', this.release);
    process.off('SIGTSTP', this.#onStop);
  };

  // ---- what cli-progress calls ------------------------------------------------------------------

  isTTY(): boolean {
    return true;
  }

  getWidth(): number {
    return this.#stream.columns;
  }

  /** Draws the lines of a text; rows that it has no line for become empty. */
  write(text: string): void {
    this.#text = text;
    if (this.#first === 0) return;
    const lines = text.split('\n');
    const rows = Array.from({ length: this.height }, (_, i) => this.#at(i) + CLEAR_RIGHT + (lines[i] ?? ''));
    this.#stream.write(`${SAVE}${NO_WRAP}${rows.join('')}${WRAP}${RESTORE}`);
  }

  cursor(): void {}
  lineWrapping(): void {}
  cursorSave(): void {}
  cursorRestore(): void {}
  cursorTo(): void {}
  clearRight(): void {}
  clearLine(): void {}
  newline(): void {}

  // ---- the terminal -----------------------------------------------------------------------------

  #at(row: number): string {
    return `\u001b[${this.#first + row};1H`;
  }

  #cleared(): string {
    return `${this.#at(0)}\u001b[J`;
  }

  #region(): void {
    this.#first = this.#stream.rows - this.height + 1;
    // Setting the region moves the cursor.
    this.#stream.write(`${SAVE}\u001b[1;${this.#first - 1}r${RESTORE}`);
  }

  readonly #onResize = (): void => {
    this.#stream.write(`${SAVE}${this.#cleared()}${RESTORE}`);
    this.#region();
    this.write(this.#text);
  };

  /** Ctrl-Z: the shell gets the whole screen, and we take the rows again when we go on. */
  readonly #onStop = (): void => {
    this.release();
    process.once('SIGCONT', () => this.take());
    process.kill(process.pid, 'SIGSTOP');
  };
}
