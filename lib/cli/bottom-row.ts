// The last row of the terminal, kept apart for the progress line.
//
// The rows above become the scroll region, so whatever writes to the same terminal meanwhile (this process, the
// consoles of workers, `jq` behind our pipe) scrolls above the line and neither tears it nor has to know of it.

import type { WriteStream } from 'node:tty';

const SAVE = '\u001b7';
const RESTORE = '\u001b8';
const CLEAR_RIGHT = '\u001b[K';
const WHOLE_SCREEN = '\u001b[r';

/** Fewer rows are left alone. */
const LEAST_ROWS = 4;

/** True when a stream is a terminal that can have such a row. */
export function hasBottomRow(stream: WriteStream): boolean {
  return stream.isTTY && process.env['TERM'] !== 'dumb' && stream.rows >= LEAST_ROWS;
}

/** What cli-progress calls a terminal; it does nothing until `take`. Every drawing is one write, so none is torn. */
export class BottomRow {
  readonly #stream: WriteStream;
  /** The row, from 1; 0 while it is not ours. */
  #row = 0;
  #text = '';

  constructor(stream: WriteStream) {
    this.#stream = stream;
  }

  take(): void {
    if (this.#row > 0) return;
    // The line feed makes room when the cursor is in the last row.
    this.#stream.write('\n');
    this.#region();
    this.#stream.write('\u001b[A');
    this.#stream.on('resize', this.#onResize);
    process.on('exit', this.release);
    process.on('SIGTSTP', this.#onStop);
  }

  /** Gives the row back, empty; the cursor stays where it was. */
  readonly release = (): void => {
    if (this.#row === 0) return;
    this.#stream.write(`${SAVE}${this.#at(this.#row)}${CLEAR_RIGHT}${WHOLE_SCREEN}${RESTORE}`);
    this.#row = 0;
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

  write(text: string): void {
    this.#text = text;
    if (this.#row > 0) this.#stream.write(`${SAVE}${this.#at(this.#row)}${text}${CLEAR_RIGHT}${RESTORE}`);
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
    return `\u001b[${row};1H`;
  }

  #region(): void {
    this.#row = this.#stream.rows;
    // Setting the region moves the cursor.
    this.#stream.write(`${SAVE}\u001b[1;${this.#row - 1}r${RESTORE}`);
  }

  readonly #onResize = (): void => {
    this.#stream.write(`${SAVE}${this.#at(this.#row)}${CLEAR_RIGHT}${RESTORE}`);
    this.#region();
    this.write(this.#text);
  };

  /** Ctrl-Z: the shell gets the whole screen, and we take the row again when we go on. */
  readonly #onStop = (): void => {
    this.release();
    process.once('SIGCONT', () => this.take());
    process.kill(process.pid, 'SIGSTOP');
  };
}
