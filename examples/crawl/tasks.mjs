// @ts-check
// What runs in the workers: a task that walks one directory, a task that measures one file, and what the two tell.

import { open, opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { Task } from 'bosun';
import { measure, OPEN_FLAGS, TELL_BYTES } from './measure.mjs';
import { identify, readState } from './state.mjs';
import { leftOut, trouble } from './trouble.mjs';

/** @import { TaskContext } from 'bosun' */
/** @import { FileHandle } from 'node:fs/promises' */

/**
 * One measured file. Lines of the state file and entries of the report look like this.
 *
 * @typedef {object} FileResult
 * @property {string} path absolute
 * @property {number} size bytes
 * @property {number} mtimeMs the time of its last change, milliseconds since 1970
 * @property {string} sha256 hexadecimal
 * @property {number} compressed bytes after brotli
 * @property {number} quality of brotli, 0 to 11
 * @property {string} [inode] device and inode, for files that have several names
 * @property {number} pid the worker
 * @property {number} ms how long the worker was busy with it
 *
 * @typedef {object} Trouble What could not be measured, and why.
 * @property {string} path
 * @property {string} code of the system (ENOENT, EACCES ...), of bosun, or CHANGED
 * @property {string} reason for people
 *
 * @typedef {object} Skipped What is no file.
 * @property {string} path
 * @property {string} reason for people
 *
 * @typedef {{ kind: 'directory', files: number }
 *   | { kind: 'read', bytes: number }
 *   | { kind: 'file', file: FileResult }
 *   | { kind: 'unchanged', path: string }
 *   | { kind: 'error', trouble: Trouble }
 *   | { kind: 'skipped', skipped: Skipped }} Message What the tasks send to the reader.
 *
 * @typedef {{ quality: number, state?: string }} Settings
 * @typedef {{ quality: number, finished: ReadonlyMap<string, string> }} CrawlSession
 */

/** Walking comes first: the sooner all files are known, the better the workers share them. */
export const WALK = 0;
export const MEASURE = 1;

/** The environment variable that carries the Settings to the workers. */
export const SETTINGS = 'BOSUN_CRAWL_SETTINGS';

/** Reads one directory and schedules a task for each of its entries. */
export class Walk extends Task {
  /** @override */
  static module = import.meta.url;

  /** @param {string} path */
  constructor(path) {
    super({ name: path });
    this.path = path;
  }

  /**
   * @override
   * @param {TaskContext} ctx
   */
  async run(ctx) {
    const { manager } = ctx;
    let files = 0;
    try {
      // One entry at a time: a directory may hold millions.
      for await (const entry of await opendir(this.path)) {
        ctx.checkpoint();
        const path = join(this.path, entry.name);
        if (entry.isDirectory()) {
          manager.schedule(new Walk(path), WALK);
        } else if (entry.isFile()) {
          manager.schedule(new Measure(path), MEASURE);
          files += 1;
        } else {
          await manager.sendMessage(await leftOut(path, entry));
        }
      }
    } catch (error) {
      await manager.sendMessage(trouble(this.path, error));
    }
    await manager.sendMessage({ kind: 'directory', files });
  }
}

/** Reads one file once: its hash, and its size after compression. */
export class Measure extends Task {
  /** @override */
  static module = import.meta.url;

  /** @param {string} path */
  constructor(path) {
    super({ name: path });
    this.path = path;
  }

  /**
   * @override
   * @param {TaskContext} ctx
   */
  async run(ctx) {
    const { manager, signal } = ctx;
    const { quality, finished } = /** @type {CrawlSession} */ (/** @type {unknown} */ (ctx.session));
    const { path } = this;
    const started = performance.now();
    /** @type {FileHandle | undefined} */
    let handle;
    try {
      handle = await open(path, OPEN_FLAGS);
      const stats = await handle.stat();
      if (finished.get(path) === identify({ ...stats, quality })) {
        await manager.sendMessage({ kind: 'unchanged', path });
        return;
      }
      const tell = () => void manager.sendMessage({ kind: 'read', bytes: TELL_BYTES });
      const measured = await measure(handle, stats, quality, signal, tell);
      const { size, mtimeMs } = stats;
      const inode = stats.nlink > 1 ? { inode: `${stats.dev}:${stats.ino}` } : {};
      const ms = Math.round((performance.now() - started) * 10) / 10;
      const file = { path, size, mtimeMs, ...measured, quality, ...inode, pid: process.pid, ms };
      await manager.sendMessage({ kind: 'file', file });
    } catch (error) {
      // Told to stop: this is no fault of the file, and the next run does it again.
      signal.throwIfAborted();
      await manager.sendMessage(trouble(path, error));
    } finally {
      await handle?.close();
    }
  }
}

/**
 * The manager's `setup`: runs once in each worker, and what it returns is in `ctx.session` of all of its tasks. So the
 * tasks themselves carry a path and nothing else.
 *
 * @returns {Promise<CrawlSession>}
 */
export async function openSession() {
  const { quality, state } = /** @type {Settings} */ (JSON.parse(process.env[SETTINGS] ?? '{}'));
  /** @type {Map<string, string>} */
  const finished = new Map();
  if (state !== undefined) {
    for await (const file of readState(state)) finished.set(file.path, identify(file));
  }
  return { quality, finished };
}
