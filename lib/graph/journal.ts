// What a graph has done, on disk: whoever comes after a crash goes on where it ended.

import { InvalidArgumentError, JournalError } from '../errors.js';
import { checkKnown, oneOf, ownOptions } from '../own-options.js';
import { checkSnapshot } from '../task/graph-nodes.js';
import type { GraphSnapshot } from '../task/graph-snapshot.js';
import { checkTasks } from '../task/make-options.js';
import type { Task } from '../task/task.js';
import { TASK_TRANSITIONS, type TaskState } from '../task/task-states.js';
import { decodePayload, encodePayload } from '../wire/payload.js';
import { attachTasks } from './attach.js';
import { entryKeys, graphHash } from './graph-identity.js';
import { type DroppedTail, RecordFile, type SyncMode } from './record-file.js';

/** Options of a journal. */
export interface JournalOptions {
  /**
   * When records are safe from a power failure: `always` before `record` is done, `batch` within a second, `never` when the
   * system likes; `batch` unless given. A process that is killed loses none in any of them.
   */
  readonly sync?: SyncMode;
}

/** What is known of a task. */
export interface JournalEntry {
  /** What the task is called in the journal: see `Journal.begin`. */
  readonly key: string;
  readonly state: TaskState;
  /** Of a DONE task. */
  readonly result?: unknown;
  /** Why a DONE task has no result here: it could not be encoded. */
  readonly unkept?: string;
  /** Of a FAILED, CANCELLED or ABORT task. */
  readonly error?: string;
  /** Milliseconds since the epoch. */
  readonly startedAt?: number;
  readonly endedAt?: number;
  readonly worker?: string;
}

/** Options of `begin`. */
export interface JournalBeginOptions {
  /** What to do when the journal is of another graph: `throw`, or `restart`, which forgets all but the durations; `throw` unless given. */
  readonly ifChanged?: 'throw' | 'restart';
}

const FIELDS = ['key', 'state', 'result', 'error', 'startedAt', 'endedAt', 'worker'];

/**
 * The journal of a graph: an append-only file with the last state of each task, its result, error and times. Each record has a
 * checksum; what a killed process left half written is cut off at the next `open`. One process at a time has it.
 *
 * @example
 * await using journal = await Journal.open('build.journal');
 * await journal.record({ key: 'compile', state: 'DONE', result: 42, startedAt, endedAt: Date.now() });
 * journal.replay().get('compile'); // also after a crash
 */
export class Journal implements AsyncDisposable {
  readonly #entries = new Map<string, JournalEntry>();
  readonly #durations = new Map<string, number>();
  // Set once, by open.
  #records!: RecordFile;
  #graph: string | undefined;

  private constructor() {}

  /**
   * Opens a journal, or makes one (mode 0600), and reads it.
   *
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT)
   * @throws JournalError (ERR_BOSUN_JOURNAL) when another process has it, when it is damaged (`offset`), no journal, or cannot be
   * opened.
   */
  static async open(file: string, options?: JournalOptions): Promise<Journal> {
    if (typeof file !== 'string' || file === '') throw new InvalidArgumentError("a journal's file is a path");
    const given = ownOptions(options, 'the options of a journal');
    checkKnown(given, ['sync'], 'a journal');
    const sync = oneOf('sync', given.sync ?? 'batch', ['always', 'batch', 'never']);
    const journal = new Journal();
    journal.#records = await RecordFile.open(file, sync, (record) => journal.#read(record as StoredRecord));
    return journal;
  }

  get file(): string {
    return this.#records.path;
  }

  /** What was cut off when it was opened, if anything: records that a crash left half written. */
  get dropped(): DroppedTail | undefined {
    return this.#records.dropped;
  }

  /**
   * Says which graph it is about. A journal of no graph takes any; afterwards it takes that one alone: the same tasks, by `key`
   * or name, that require the same ones.
   *
   * @returns by the ids of the tasks what they are called here: their `key`, else their name; where several have one name, the
   * second is `name#2`.
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT)
   * @throws JournalError (ERR_BOSUN_JOURNAL) when it is of another graph.
   */
  async begin(graph: GraphSnapshot, options?: JournalBeginOptions): Promise<ReadonlyMap<string, string>> {
    const given = ownOptions(options, 'the options of a journal');
    checkKnown(given, ['ifChanged'], 'a journal');
    const ifChanged = oneOf('ifChanged', given.ifChanged ?? 'throw', ['throw', 'restart']);
    const nodes = checkSnapshot(graph);
    const keys = entryKeys(nodes);
    const hash = graphHash(nodes, keys);
    if (hash !== this.#graph) {
      if (this.#graph !== undefined && ifChanged === 'throw') {
        const { file } = this;
        throw new JournalError(
          `${file} is of another graph, whose tasks have other names or require others: delete it, or begin it anew (ifChanged: 'restart')`,
          { file },
        );
      }
      const record: StoredRecord = { graph: hash, tasks: nodes.length };
      this.#read(record);
      await this.#records.append(record);
    }
    return keys;
  }

  /**
   * Writes down what is known of a task now; what was known before is replaced. Resolves when it is written, and safe if `sync`
   * is `always`. The promise is never an unhandled rejection by itself.
   *
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT)
   * @throws JournalError (ERR_BOSUN_JOURNAL) when it cannot be written, or when the result cannot be encoded: then all but the
   * result is kept, with the reason as `unkept`.
   */
  record(entry: JournalEntry): Promise<void> {
    const { result, ...rest } = checkEntry(entry);
    let stored: StoredRecord = rest;
    let refusal: JournalError | undefined;
    if ('result' in entry) {
      try {
        stored = { ...rest, result: Buffer.from(encodePayload(result, 'result')).toString('base64') };
      } catch (cause) {
        const { file } = this;
        const message = `the result of '${rest.key}' cannot be kept: ${(cause as Error).message}`;
        refusal = new JournalError(message, { file, cause });
        stored = { ...rest, unkept: (cause as Error).message };
      }
    }
    this.#read(stored);
    const written = this.#records.append(stored);
    if (refusal === undefined) return written;
    const told = written.then(() => Promise.reject(refusal));
    told.catch(() => {});
    return told;
  }

  /**
   * Goes on with a graph: of these tasks, and all that they require, those that are DONE or aborted here are so at once, with
   * their results and without an event, and what becomes of the others is written down. Those that had begun, failed or been
   * cancelled, and those whose result was not kept, stay PENDING: they are run again.
   *
   * A result that cannot be encoded is a process warning (BOSUN_W008).
   *
   * @returns ends it, but for tasks that run at that time, whose end is written as well. Resolves when all is written that has
   * happened; rejects with a JournalError when it could not be.
   * @throws JournalError (ERR_BOSUN_JOURNAL) as `begin`.
   */
  async attach(tasks: Task | Iterable<Task>, options?: JournalBeginOptions): Promise<() => Promise<void>> {
    const detach = await attachTasks(this, checkTasks(tasks), options);
    return () => {
      detach();
      return this.#records.flush();
    };
  }

  /** False once it is closed, or a record could not be written. */
  get isWritable(): boolean {
    return this.#records.isWritable;
  }

  /** A copy of what is known of each task, in the order in which they were first recorded. Results are copies, too. */
  replay(): Map<string, JournalEntry> {
    return new Map(this.#entries);
  }

  /** How long tasks that ended as DONE have run, in milliseconds, the last time; of graphs before this one, too. */
  durations(): Map<string, number> {
    return new Map(this.#durations);
  }

  /** Writes what waits, and lets others have the file. @throws JournalError (ERR_BOSUN_JOURNAL) when a record was lost. */
  close(): Promise<void> {
    return this.#records.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #read(record: StoredRecord): void {
    if ('graph' in record) {
      this.#graph = record.graph;
      this.#entries.clear();
      return;
    }
    const { key, state, startedAt, endedAt } = record;
    this.#entries.set(key, revive(record));
    if (state === 'DONE' && startedAt !== undefined && endedAt !== undefined) {
      this.#durations.set(key, Math.max(0, endedAt - startedAt));
    }
  }
}

/** A line of the file. */
type StoredRecord =
  | { readonly graph: string; readonly tasks: number }
  /** The result is what the wire makes of it, as base64. */
  | (Omit<JournalEntry, 'result'> & { readonly result?: string });

/** Results are decoded when they are asked for: most are never. */
function revive(record: Omit<JournalEntry, 'result'> & { readonly result?: string }): JournalEntry {
  const { result, ...entry } = record;
  if (result === undefined) return entry;
  return Object.defineProperty(entry, 'result', {
    enumerable: true,
    get: () => decodePayload(Buffer.from(result, 'base64')),
  });
}

function checkEntry(given: JournalEntry): JournalEntry {
  const entry = ownOptions(given, "a journal's entry");
  checkKnown(entry, FIELDS, "a journal's entry");
  const { key, state, error, startedAt, endedAt, worker } = entry;
  if (typeof key !== 'string') throw new InvalidArgumentError("the key of a journal's entry is a string");
  if (!Object.hasOwn(TASK_TRANSITIONS, state))
    throw new InvalidArgumentError(`the state of '${key}' is none of a task's`);
  for (const [name, value] of Object.entries({ startedAt, endedAt })) {
    if (value !== undefined && !Number.isFinite(value))
      throw new InvalidArgumentError(`${name} of '${key}' is a number`);
  }
  for (const [name, value] of Object.entries({ error, worker })) {
    if (value !== undefined && typeof value !== 'string')
      throw new InvalidArgumentError(`${name} of '${key}' is a string`);
  }
  return entry;
}
