// @ts-check
// What is finished, in a file: one line of JSON per measured file, appended as results arrive, never rewritten.
//
// Why it is safe to end the crawl at any moment, by Ctrl-C or kill -9:
// - A line is written when its result has arrived, by one write to a file opened for appending. The system has it then,
//   whatever becomes of this process. (Only a power failure can take it back; its file is then measured again.)
// - A write that was cut leaves a piece without a newline. Opening the state again ends that piece with one; a line that
//   is no whole JSON is nobody's result, and its file is measured again.
// - A result counts only while the file has the size and the time of last change that it had, and the quality is the
//   same. If a file has several lines, the last one is meant.
// - Only this one writer touches it: workers read it when they start, and send results to the parent.

import { appendFileSync, closeSync, createReadStream, fstatSync, openSync, readSync } from 'node:fs';

/** @import { FileResult } from './tasks.mjs' */

/** How every line begins. */
const START = '{"path":';

/**
 * What must be the same for a result to be still valid.
 *
 * @param {{ size: number, mtimeMs: number, quality: number }} file
 */
export function identify({ size, mtimeMs, quality }) {
  return `${size} ${mtimeMs} ${quality}`;
}

/**
 * The results in a state file, the oldest first.
 *
 * @param {string} path
 * @returns {AsyncGenerator<FileResult>}
 */
export async function* readState(path) {
  let rest = '';
  // Not readline: it also cuts at U+2028, which may be part of a name.
  for await (const chunk of createReadStream(path, 'utf8')) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const file = parse(line);
      if (file !== undefined) yield file;
    }
  }
}

/**
 * @param {string} line
 * @returns {FileResult | undefined}
 */
function parse(line) {
  if (!line.startsWith(START)) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** The state file of one crawl, open for appending. */
export class State {
  #fd;

  /** @type {Map<string, FileResult>} */
  #results = new Map();

  /** @param {number} fd */
  constructor(fd) {
    this.#fd = fd;
  }

  /**
   * Opens it, or makes it.
   *
   * @param {string} path
   * @throws {Error} when the file is something else: nothing must be appended to that.
   */
  static async open(path) {
    const fd = openSync(path, 'a+');
    try {
      const { size } = fstatSync(fd);
      const head = readAt(fd, 0, Math.min(size, START.length));
      if (!START.startsWith(head)) throw new Error(`${path} is not the state of a crawl; it is left as it is`);
      if (size > 0 && readAt(fd, size - 1, 1) !== '\n') appendFileSync(fd, '\n');
      const state = new State(fd);
      for await (const file of readState(path)) state.#results.set(file.path, file);
      return state;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** Files that were finished before. */
  get size() {
    return this.#results.size;
  }

  /** @param {string} path */
  resultOf(path) {
    return this.#results.get(path);
  }

  /**
   * Takes a result in. When this returns, the system has it.
   *
   * @param {FileResult} file
   */
  add({ path, ...rest }) {
    appendFileSync(this.#fd, `${JSON.stringify({ path, ...rest })}\n`);
  }

  close() {
    closeSync(this.#fd);
  }
}

/**
 * @param {number} fd
 * @param {number} position
 * @param {number} length
 */
function readAt(fd, position, length) {
  const bytes = Buffer.alloc(length);
  return bytes.toString('latin1', 0, readSync(fd, bytes, 0, length, position));
}
