// Modules, exports and priorities: what users may name, checked at the call.

import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { InvalidArgumentError, NotPortableError, OutOfRangeError } from '../errors.js';
import { ownOptions } from '../own-options.js';
import { currentContext } from './context.js';

/** What a portable function is: an export of a module that a worker can import. */
export interface TargetReference {
  readonly module: string;
  readonly exportName: string;
}

export interface TargetObject {
  readonly module: string | URL;
  readonly export: string;
}

/** An export of a module, or a module's default export; `'./file.js#name'` names an export too. */
export type RunTarget = TargetObject | URL | string;

/**
 * The URL of a module: a URL as it is, a path from the current directory, a bare name by the package lookup from there.
 *
 * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for anything else.
 */
export function moduleUrl(module: string | URL): string {
  if (module instanceof URL) return module.href;
  if (typeof module !== 'string' || module === '') {
    throw new InvalidArgumentError(`a module is a URL or a path, not ${String(module)}`);
  }
  if (/^(file|node|data):/.test(module)) return module;
  if (/^[a-z][a-z0-9+.-]+:/i.test(module) && process.platform !== 'win32') {
    throw new InvalidArgumentError(`a module is a file: URL, a node: module or a path, not ${module}`);
  }
  if (/^(\.|\/|[a-z]:[\\/])/i.test(module)) return pathToFileURL(resolve(module)).href;
  try {
    return pathToFileURL(createRequire(`${process.cwd()}/`).resolve(module)).href;
  } catch {
    // `worker.js` is more often a file next to the caller than a package of that name.
    return pathToFileURL(resolve(module)).href;
  }
}

/** An export's name, or an error: these three are never functions that a module meant to export. */
export function exportOf(name: unknown): string {
  if (typeof name !== 'string' || name === '' || ['__proto__', 'constructor', 'then'].includes(name)) {
    throw new InvalidArgumentError(`an export is named by a string, not ${String(name)}`);
  }
  return name;
}

/** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for what can be no target. */
export function parseTarget(target: RunTarget): TargetReference {
  if (typeof target === 'string') return parseText(target);
  if (target instanceof URL) return parseText(target.href);
  const { module, export: exportName } = ownOptions(target, 'a target is a URL, a path or { module, export }: these');
  return { module: moduleUrl(module), exportName: exportOf(exportName) };
}

function parseText(text: string): TargetReference {
  const { module, exportName } = splitTarget(text);
  return { module: moduleUrl(module), exportName };
}

/** `'./file.js#name'`, or a module's default export. */
export function splitTarget(text: string): TargetReference {
  const hash = text.lastIndexOf('#');
  if (hash === -1) return { module: text, exportName: 'default' };
  let exportName: string;
  try {
    exportName = decodeURIComponent(text.slice(hash + 1));
  } catch (cause) {
    throw new InvalidArgumentError(`the export in ${text} is no encoded name`, { cause });
  }
  return { module: text.slice(0, hash), exportName: exportOf(exportName) };
}

/** @throws OutOfRangeError (ERR_BOSUN_OUT_OF_RANGE) for anything but an integer from 0 to levels - 1. */
export function checkPriority(priority: number, levels: number): number {
  if (!Number.isInteger(priority) || priority < 0 || priority >= levels) {
    throw new OutOfRangeError(
      `a priority is an integer from 0 (most urgent) to ${levels - 1}, not ${String(priority)}`,
    );
  }
  return priority;
}

/** The argument beats the task's own priority beats the default, level 1 where there is one. */
export function choosePriority(argument: number | undefined, own: number | undefined, levels: number): number {
  return checkPriority(argument ?? own ?? Math.min(1, levels - 1), levels);
}

let isGuarded = false;
let importing = 0;

/** This is a worker: what is imported here must not start others meanwhile. */
export function guardImports(): void {
  isGuarded = true;
}

/** @throws NotPortableError (ERR_BOSUN_NOT_PORTABLE) while a worker imports the module of what it is to run. */
export function assertNotImporting(): void {
  // A task may start what it likes, while the module of another one is imported.
  if (!isGuarded || importing === 0 || currentContext() !== undefined) return;
  throw new NotPortableError(
    'a worker imports the module of what it is to run, and that starts workers again, without end: put the function ' +
      'into a module of its own',
  );
}

type Namespace = Readonly<Record<string, unknown>>;
const namespaces = new Map<string, Namespace>();

let locate: (url: string) => string | Promise<string> = (url) => url;

/** Tasks come from a host where modules are elsewhere: from now on `there` says where each is here. */
export function relocateModules(there: (url: string) => Promise<string>): void {
  locate = there;
}

/** Imports a module once; the namespace itself, not a promise, from the second time on. */
export function importModule(url: string): Namespace | Promise<Namespace> {
  return namespaces.get(url) ?? load(url);
}

async function load(url: string): Promise<Namespace> {
  importing += 1;
  try {
    const namespace = (await import(await locate(url))) as Namespace;
    namespaces.set(url, namespace);
    return namespace;
  } catch (error) {
    throw isUnstripped(error) ? needsLoader(error) : error;
  } finally {
    importing -= 1;
  }
}

function isUnstripped(error: unknown): error is Error {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'ERR_UNKNOWN_FILE_EXTENSION' && /"\.(ts|mts|cts|tsx)"/.test(message);
}

function needsLoader(cause: Error): NotPortableError {
  return new NotPortableError(
    `${cause.message}: this worker's Node.js ${process.version} does not run TypeScript as it is; use 22.18 or later, ` +
      "or start the worker with a loader, as execArgv: ['--import', 'tsx'], or name the compiled file",
    { cause },
  );
}

/** @throws NotPortableError (ERR_BOSUN_NOT_PORTABLE) when the module has no such function. */
export function functionOf(namespace: Namespace, url: string, name: string): (...args: unknown[]) => unknown {
  const exported = Object.hasOwn(namespace, name) ? namespace[name] : undefined;
  if (typeof exported === 'function') return exported as (...args: unknown[]) => unknown;
  const known = Object.keys(namespace).filter((key) => typeof namespace[key] === 'function');
  throw new NotPortableError(
    `${url} exports no function '${name}'; it exports ${known.length === 0 ? 'none' : known.join(', ')}`,
  );
}
