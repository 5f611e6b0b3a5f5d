// What `run` and `setup` name: an export of a module.

import { InvalidArgumentError } from '../errors.js';
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
  if (typeof target !== 'object' || target === null) {
    throw new InvalidArgumentError('a target is { module, export }, a URL or a path');
  }
  const { module, export: exportName } = Object.assign(Object.create(null), target) as typeof target;
  return { module: moduleUrl(module), exportName: exportOf(exportName) };
}

function parseText(text: string): TargetReference {
  const hash = text.lastIndexOf('#');
  if (hash === -1) return { module: moduleUrl(text), exportName: 'default' };
  return { module: moduleUrl(text.slice(0, hash)), exportName: exportOf(decodeURIComponent(text.slice(hash + 1))) };
}
