// @ts-check
// The reader's side of the messages: adds them up as they come.

import { TELL_BYTES } from './measure.mjs';

/** @import { WorkerException } from 'bosun' */
/** @import { Worker } from './report.mjs' */
/** @import { State } from './state.mjs' */
/** @import { FileResult, Message, Skipped, Trouble } from './tasks.mjs' */

/** Everything that the messages have told so far. */
export class Tally {
  /** Directories that were walked. */
  directories = 0;
  /** Files that were found in them. */
  found = 0;
  bytes = 0;
  compressed = 0;
  /** Bytes of the files that this run itself has measured. */
  readBytes = 0;
  /** The same, with what is known of files that are being read. */
  liveBytes = 0;
  resumed = 0;
  /** Tasks that failed as a whole, so that something may be missing. */
  failures = 0;
  /** @type {FileResult[]} */
  files = [];
  /** @type {Trouble[]} */
  errors = [];
  /** @type {Skipped[]} */
  skipped = [];
  /** @type {Map<number, Worker>} */
  workers = new Map();

  /**
   * @param {Message | WorkerException} message
   * @param {State | undefined} state
   */
  take(message, state) {
    if (message instanceof Error) {
      // A fault in a task, or a worker that died. The tasks of this example have their paths as names.
      const { taskName: path = '', code, message: reason } = message;
      // It may have died right behind its last word, and what it said is true.
      if (this.files.some((file) => file.path === path)) return;
      this.failures += 1;
      this.errors.push({ path, code, reason });
    } else if (message.kind === 'directory') {
      this.directories += 1;
      this.found += message.files;
    } else if (message.kind === 'read') {
      this.liveBytes += message.bytes;
    } else if (message.kind === 'file') {
      // First into the state: what is counted is kept.
      state?.add(message.file);
      this.#addMeasured(message.file);
    } else if (message.kind === 'unchanged') {
      const file = state?.resultOf(message.path);
      if (file === undefined) return;
      this.#add(file);
      this.resumed += 1;
    } else if (message.kind === 'error') {
      this.errors.push(message.trouble);
    } else {
      this.skipped.push(message.skipped);
    }
  }

  /** @param {FileResult} file */
  #addMeasured(file) {
    this.#add(file);
    this.readBytes += file.size;
    // The rest has been told on the way.
    this.liveBytes += file.size % TELL_BYTES;
    const worker = this.workers.get(file.pid) ?? { pid: file.pid, files: 0, bytes: 0, busyMs: 0 };
    worker.files += 1;
    worker.bytes += file.size;
    worker.busyMs += file.ms;
    this.workers.set(file.pid, worker);
  }

  /** @param {FileResult} file */
  #add(file) {
    this.files.push(file);
    this.bytes += file.size;
    this.compressed += file.compressed;
  }
}
