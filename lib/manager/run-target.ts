// What `run` and `setup` name: an export of a module.

import { InvalidArgumentError } from '../errors.js';
import { ownOptions } from '../own-options.js';
import { exportOf, moduleUrl } from '../task/target.js';
import type { TargetReference } from '../task/task.js';

/** An export of a module, or a module's default export; `'./file.js#name'` names an export too. */
export type RunTarget = { readonly module: string | URL; readonly export: string } | URL | string;

/** Checks targets, and remembers those that are given as text: resolving one costs more than a task. */
export class RunTargets {
  readonly #known = new Map<string, TargetReference>();

  /** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for what can be no target. */
  resolve(target: RunTarget): TargetReference {
    if (typeof target !== 'string' && !(target instanceof URL)) return parse(target);
    const key = typeof target === 'string' ? target : target.href;
    let reference = this.#known.get(key);
    if (reference === undefined) {
      reference = parseText(key);
      this.#known.set(key, reference);
    }
    return reference;
  }
}

function parse(target: { readonly module: string | URL; readonly export: string }): TargetReference {
  const { module, export: exportName } = ownOptions(target, 'a target is a URL, a path or { module, export }: these');
  return { module: moduleUrl(module), exportName: exportOf(exportName) };
}

function parseText(text: string): TargetReference {
  const hash = text.lastIndexOf('#');
  if (hash === -1) return { module: moduleUrl(text), exportName: 'default' };
  let exportName: string;
  try {
    exportName = decodeURIComponent(text.slice(hash + 1));
  } catch (cause) {
    throw new InvalidArgumentError(`the export in ${text} is no encoded name`, { cause });
  }
  return { module: moduleUrl(text.slice(0, hash)), exportName: exportOf(exportName) };
}
