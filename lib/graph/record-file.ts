// A file of records that is only ever appended to.
//
//     1a2b3c4d {"bosun":"journal","version":1}\n
//     5e6f7a8b {"key":"compile","state":"DONE"}\n
//
// A record is a line: the CRC-32 of its JSON in hexadecimal, a space, the JSON. JSON has no line end inside, so a record that
// was cut off by a crash can be told from what is before it without trusting a length, and people can read the file and search
// it with what they have.

import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { builtin } from '../builtin.js';
import { JournalError } from '../errors.js';
import { type Lock, lockFile } from './lock-file.js';

/**
 * When records are safe from a power failure; a process that is killed loses none that it has written.
 *
 * - `always`: before the promise of each is resolved; those that come together share the wait.
 * - `batch`: a second after they were written, at the latest.
 * - `never`: when the system likes.
 */
export type SyncMode = 'always' | 'batch' | 'never';

/** What was at the end of the file and was no record: the last words of somebody who was killed. It was cut off. */
export interface DroppedTail {
  /** Where it began. */
  readonly offset: number;
  readonly bytes: number;
}

const HEADER = { bosun: 'journal', version: 1 };
const SYNC_AFTER_MS = 1_000;

/** Records of one write. */
const BATCH = 1_000;

interface Waiting {
  readonly line: string;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class RecordFile {
  readonly path: string;
  readonly dropped: DroppedTail | undefined;
  readonly #handle: FileHandle;
  readonly #lock: Lock;
  readonly #sync: SyncMode;
  /** Where the last whole record ends. */
  #end: number;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #syncTimer: NodeJS.Timeout | undefined;
  #failure: JournalError | undefined;
  #closing: Promise<void> | undefined;

  private constructor(path: string, handle: FileHandle, lock: Lock, sync: SyncMode, known: Contents) {
    this.path = path;
    this.#handle = handle;
    this.#lock = lock;
    this.#sync = sync;
    this.#end = known.end;
    this.dropped = known.dropped;
  }

  /**
   * Opens a file, or makes it (mode 0600), and reads what is in it.
   *
   * @param onRecord is called with each record, in order.
   * @throws JournalError (ERR_BOSUN_JOURNAL) when another process has it, when it is no journal, or is damaged: then nothing has
   * changed.
   */
  static async open(path: string, sync: SyncMode, onRecord: (record: object) => void): Promise<RecordFile> {
    let lock: Lock | undefined;
    let handle: FileHandle | undefined;
    try {
      lock = await lockFile(path);
      handle = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_APPEND, 0o600);
      const known = await read(handle, path, onRecord);
      if (known.dropped !== undefined) await handle.truncate(known.end);
      const file = new RecordFile(path, handle, lock, sync, known);
      if (known.end === 0) {
        await file.append(HEADER);
        if (sync !== 'never') await syncFolder(path);
      }
      return file;
    } catch (cause) {
      await handle?.close();
      await lock?.release();
      if (cause instanceof JournalError) throw cause;
      throw new JournalError(`${path} cannot be opened: ${(cause as Error).message}`, { file: path, cause });
    }
  }

  /**
   * Writes a record behind the others. The promise is never an unhandled rejection by itself; `close` tells of a failure, too.
   *
   * @throws JournalError (ERR_BOSUN_JOURNAL) rejects with it when the file cannot be written, from then on for each record.
   */
  append(record: object): Promise<void> {
    const promise = new Promise<void>((resolve, reject) => {
      if (this.#closing !== undefined)
        this.#failure ??= new JournalError(`${this.path} is closed`, { file: this.path });
      if (this.#failure !== undefined) throw this.#failure;
      this.#waiting.push({ line: lineOf(record), resolve, reject });
      this.#writing ??= this.#write();
    });
    promise.catch(() => {});
    return promise;
  }

  get isWritable(): boolean {
    return this.#failure === undefined && this.#closing === undefined;
  }

  /** Resolves when all is written that was appended. @throws JournalError (ERR_BOSUN_JOURNAL) when a record was lost. */
  async flush(): Promise<void> {
    await this.#writing;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Writes what waits, and lets others have the file. @throws JournalError (ERR_BOSUN_JOURNAL) when a record was lost. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      await this.#writing;
      clearTimeout(this.#syncTimer);
      if (this.#sync !== 'never' && this.#failure === undefined) await this.#handle.datasync();
    } catch (cause) {
      this.#fail(cause);
    } finally {
      await this.#handle.close();
      await this.#lock.release();
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #write(): Promise<void> {
    // What comes in the same turn leaves in one piece.
    await null;
    while (this.#waiting.length > 0 && this.#failure === undefined) {
      const batch = this.#waiting.splice(0, BATCH);
      try {
        const bytes = Buffer.from(batch.map(({ line }) => line).join(''));
        await writeAll(this.#handle, bytes);
        if (this.#sync === 'always') await this.#handle.datasync();
        this.#end += bytes.length;
        for (const { resolve } of batch) resolve();
      } catch (cause) {
        const failure = this.#fail(cause);
        for (const { reject } of batch) reject(failure);
        // A full disk may have taken a part of it.
        await this.#handle.truncate(this.#end).catch(() => {});
      }
    }
    this.#writing = undefined;
    if (this.#failure !== undefined) for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
    else if (this.#sync === 'batch') this.#syncSoon();
  }

  #syncSoon(): void {
    if (this.#syncTimer !== undefined || this.#closing !== undefined) return;
    this.#syncTimer = setTimeout(() => {
      this.#syncTimer = undefined;
      this.#handle.datasync().catch((cause) => {
        // It was closed meanwhile, which has done the same.
        if (this.#closing === undefined) this.#fail(cause);
      });
    }, SYNC_AFTER_MS);
    this.#syncTimer.unref();
  }

  #fail(cause: unknown): JournalError {
    const message = `${this.path} cannot be written: ${(cause as Error).message}`;
    this.#failure ??= new JournalError(message, { file: this.path, cause });
    return this.#failure;
  }
}

function lineOf(record: object): string {
  const json = JSON.stringify(record);
  return `${checksum(json)} ${json}\n`;
}

function checksum(json: string | Uint8Array): string {
  return builtin('node:zlib').crc32(json).toString(16).padStart(8, '0');
}

async function writeAll(handle: FileHandle, bytes: Buffer): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done);
    done += bytesWritten;
  }
}

/** A file that was just made is lost with its entry in the folder. Not every system can do this. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(dirname(path), constants.O_RDONLY).catch(() => undefined);
  await folder?.sync().catch(() => {});
  await folder?.close();
}

interface Contents {
  /** Where the last whole record ends. */
  readonly end: number;
  readonly dropped: DroppedTail | undefined;
}

/** @throws JournalError */
async function read(handle: FileHandle, path: string, onRecord: (record: object) => void): Promise<Contents> {
  const stat = await handle.stat();
  if (!stat.isFile()) throw new JournalError(`${path} is no file`, { file: path });
  let end = 0;
  let damaged: number | undefined;
  for await (const { offset, line, isWhole } of lines(handle)) {
    const record = isWhole ? recordOf(line) : undefined;
    if (offset === 0 && !isHeader(record)) {
      // Whoever made the file may have been killed in its first line; anything else is not ours to cut.
      if (lineOf(HEADER).startsWith(line.toString()) && stat.size === line.length) break;
      throw new JournalError(`${path} is no journal, or one of another version of bosun`, { file: path, offset: 0 });
    }
    if (record === undefined) {
      damaged ??= offset;
    } else if (damaged === undefined) {
      end = offset + line.length + 1;
      if (offset > 0) onRecord(record);
    } else {
      throw new JournalError(
        `${path} is damaged at byte ${damaged}, and whole behind that, so it was not cut off: restore it, or delete it to begin anew`,
        { file: path, offset: damaged },
      );
    }
  }
  return { end, dropped: end < stat.size ? { offset: end, bytes: stat.size - end } : undefined };
}

interface Line {
  readonly offset: number;
  /** Without its line end. */
  readonly line: Buffer;
  /** False for a last one that lacks its line end. */
  readonly isWhole: boolean;
}

async function* lines(handle: FileHandle): AsyncGenerator<Line> {
  let offset = 0;
  let pieces: Buffer[] = [];
  for await (const chunk of handle.createReadStream({ start: 0, autoClose: false }) as AsyncIterable<Buffer>) {
    let from = 0;
    for (let to = chunk.indexOf(0x0a); to !== -1; to = chunk.indexOf(0x0a, from)) {
      pieces.push(chunk.subarray(from, to));
      const line = Buffer.concat(pieces);
      yield { offset, line, isWhole: true };
      offset += line.length + 1;
      pieces = [];
      from = to + 1;
    }
    if (from < chunk.length) pieces.push(chunk.subarray(from));
  }
  if (pieces.length > 0) yield { offset, line: Buffer.concat(pieces), isWhole: false };
}

/** Undefined for a line that is none. */
function recordOf(line: Buffer): object | undefined {
  const json = line.subarray(9);
  if (line[8] !== 0x20 || line.toString('latin1', 0, 8) !== checksum(json)) return undefined;
  try {
    return JSON.parse(json.toString()) as object;
  } catch {
    return undefined;
  }
}

function isHeader(record: object | undefined): boolean {
  const { bosun, version } = (record ?? {}) as Partial<typeof HEADER>;
  return bosun === HEADER.bosun && version === HEADER.version;
}
