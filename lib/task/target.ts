// Modules, exports and priorities: what users may name, checked at the call.

import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { InvalidArgumentError, NotPortableError, OutOfRangeError } from '../errors.js';

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

type Namespace = Readonly<Record<string, unknown>>;
const namespaces = new Map<string, Namespace>();

/** Imports a module once; the namespace itself, not a promise, from the second time on. */
export function importModule(url: string): Namespace | Promise<Namespace> {
  return (
    namespaces.get(url) ??
    (import(url) as Promise<Namespace>).then((namespace) => {
      namespaces.set(url, namespace);
      return namespace;
    })
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
