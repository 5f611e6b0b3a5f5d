// What `run` and `setup` name: an export of a module.

import { InvalidArgumentError } from '../errors.js';
import { ownOptions } from '../own-options.js';
import { exportOf, moduleUrl } from '../task/target.js';
import type { TargetReference } from '../task/task.js';

/** An export of a module, or a module's default export; `'./file.js#name'` names an export too. */
export type RunTarget = TargetObject | URL | string;

interface TargetObject {
  readonly module: string | URL;
  readonly export: string;
}

/** Checks targets, and remembers them: resolving one costs more than a task. */
export class RunTargets {
  readonly #known = new Map<string, TargetReference>();
  /** The last one that was an object: as a rule it is the same again. */
  #last: TargetObject | undefined;
  #lastModule = '';
  #lastExport = '';
  #lastResolved: TargetReference | undefined;

  /** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for what can be no target. */
  resolve(target: RunTarget): TargetReference {
    if (typeof target !== 'string' && !(target instanceof URL)) return this.#resolveObject(target);
    const key = textOf(target);
    return this.#known.get(key) ?? this.#remember(key, parseText(key));
  }

  #remember(key: string, reference: TargetReference): TargetReference {
    this.#known.set(key, reference);
    return reference;
  }

  #resolveObject(target: TargetObject): TargetReference {
    // It may have been changed meanwhile.
    if (this.#lastResolved !== undefined && target === this.#last) {
      const isSame = textOf(target.module) === this.#lastModule && target.export === this.#lastExport;
      if (isSame) return this.#lastResolved;
    }
    const reference = parse(target);
    const key = `${reference.module}#${encodeURIComponent(reference.exportName)}`;
    const resolved = this.#known.get(key) ?? this.#remember(key, reference);
    this.#last = target;
    this.#lastModule = textOf(target.module);
    this.#lastExport = target.export;
    this.#lastResolved = resolved;
    return resolved;
  }
}

function textOf(module: string | URL): string {
  return typeof module === 'string' ? module : module.href;
}

function parse(target: TargetObject): TargetReference {
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
