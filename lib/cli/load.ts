// The module that the command line names.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { exportOf, functionOf, importModule, moduleUrl } from '../task/target.js';
import { UsageError } from './exit-code.js';
import { oneLine, shortFailure } from './failure-text.js';

/** A function that a module exports. */
export interface LoadedFunction {
  readonly module: string;
  readonly exportName: string;
  readonly fn: (...args: unknown[]) => unknown;
}

/** `module#export` as its two parts; the default export unless one is named. */
export function splitTarget(target: string): { readonly module: string; readonly exportName: string } {
  const hash = target.lastIndexOf('#');
  if (hash <= 0) return { module: target, exportName: 'default' };
  return { module: target.slice(0, hash), exportName: usable(() => exportOf(target.slice(hash + 1))) };
}

/** The URL of a module that is there. @throws UsageError */
export function locate(module: string): string {
  const url = usable(() => moduleUrl(module));
  if (url.startsWith('file:') && !existsSync(fileURLToPath(url))) {
    throw new UsageError(`there is no module ${module} (${fileURLToPath(url)} does not exist)`);
  }
  return url;
}

/** A module that was imported here. */
export interface LoadedModule {
  readonly url: string;
  readonly namespace: Readonly<Record<string, unknown>>;
}

/** Imports a module here. @throws UsageError when there is no such module, or when it throws. */
export async function loadModule(module: string): Promise<LoadedModule> {
  const url = locate(module);
  try {
    return { url, namespace: await importModule(url) };
  } catch (error) {
    throw new UsageError(`${module} cannot be imported: ${shortFailure(error)}`);
  }
}

/** What an export is, or returns if it is a function. @throws UsageError when there is none, and when that throws. */
export async function exportedBy(namespace: LoadedModule['namespace'], name: string, module: string): Promise<unknown> {
  if (!Object.hasOwn(namespace, name)) {
    const known = Object.keys(namespace).join(', ') || 'nothing';
    throw new UsageError(`${module} exports no '${name}'; it exports ${known}`);
  }
  const value = namespace[name];
  if (typeof value !== 'function') return value;
  try {
    return await value();
  } catch (error) {
    throw new UsageError(`the function of ${module} failed: ${shortFailure(error)}`, { cause: error });
  }
}

/** Imports a module for one of its functions. @throws UsageError */
export async function loadFunction(module: string, exportName: string): Promise<LoadedFunction> {
  const { url, namespace } = await loadModule(module);
  return { module: url, exportName, fn: usable(() => functionOf(namespace, module, exportName)) };
}

/** Errors about arguments become those of the command line. */
export function usable<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new UsageError(oneLine(error instanceof Error ? error.message : String(error)));
  }
}
