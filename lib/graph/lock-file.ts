// One writer for a file: a lock beside it that names its holder, and is taken over when that is gone.

import { link, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { builtin } from '../builtin.js';
import { JournalError } from '../errors.js';

interface Holder {
  readonly pid: number;
  readonly host: string;
  /** When it was started, as the system counts: another process may have its number by now. Empty where that is not known. */
  readonly started: string;
  readonly token: string;
}

/** Held until `release`, or until the process ends. */
export interface Lock {
  release(): Promise<void>;
}

/**
 * @param file what is locked; the lock is `<file>.lock`.
 * @throws JournalError (ERR_BOSUN_JOURNAL) when it is held; the system's errors.
 */
export async function lockFile(file: string): Promise<Lock> {
  const path = `${file}.lock`;
  const { pid } = process;
  const own: Holder = {
    pid,
    host: hostname(),
    started: (await lifeOf(pid))?.started ?? '',
    token: builtin('node:crypto').randomUUID(),
  };
  const text = `${JSON.stringify(own)}\n`;
  // Linked when it is whole, so nobody reads half a lock.
  const draft = `${path}.${own.token}`;
  await writeFile(draft, text, { mode: 0o600, flag: 'wx' });
  try {
    while (!(await taken(draft, path))) await removeStale(file, path, draft);
  } finally {
    await rm(draft, { force: true });
  }
  return {
    async release() {
      if ((await textOf(path)) === text) await rm(path, { force: true });
    },
  };
}

async function taken(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Under a second lock, for this one may have been taken over already, and be a living one's, by the time it would be removed.
 *
 * @throws JournalError when it is not stale
 */
async function removeStale(file: string, path: string, draft: string): Promise<void> {
  const found = await textOf(path);
  await checkGone(file, found);
  const second = `${path}.takeover`;
  if (await taken(draft, second)) {
    try {
      if ((await textOf(path)) === found) await rm(path, { force: true });
    } finally {
      await rm(second, { force: true });
    }
  } else {
    await checkGone(file, await textOf(second));
    // It was killed between its two steps. That others are just finding this out, too, is too rare to be thought of.
    await rm(second, { force: true });
  }
}

async function checkGone(file: string, lock: string | undefined): Promise<void> {
  const holder = lock === undefined ? undefined : await liveHolder(lock);
  if (holder !== undefined) throw new JournalError(`${file} is in use by ${holder}`, { file });
}

/** Who that is, in words; undefined for one that is gone. */
async function liveHolder(text: string): Promise<string | undefined> {
  let holder: Partial<Holder>;
  try {
    holder = JSON.parse(text) as Partial<Holder>;
  } catch {
    return `somebody whose lock cannot be read: delete the lock if nobody uses the file`;
  }
  const { pid = 0, host, started } = holder;
  // Of another host, or of a container that had another name, nothing can be known from here.
  if (host !== hostname()) return `process ${pid} of host ${host}: delete the lock if that has ended`;
  const life = await lifeOf(pid);
  if (life === undefined || (started !== '' && life.started !== '' && life.started !== started)) return undefined;
  return `process ${pid}`;
}

/** Undefined for a process that there is not; one that has ended and waits for its parent to hear of it is gone, too. */
async function lifeOf(pid: number): Promise<{ readonly started: string } | undefined> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return undefined;
  }
  const stat = process.platform === 'linux' ? await textOf(`/proc/${pid}/stat`) : undefined;
  // Behind the name, which may hold anything: the state, and as the twentieth field the time of the start.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
  return fields[0] === 'Z' ? undefined : { started: fields[19] ?? '' };
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
