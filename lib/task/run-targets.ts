// What `run` and `setup` name: an export of a module.

import { parseTarget, type RunTarget, type TargetObject, type TargetReference } from './target.js';

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
    return this.#known.get(key) ?? this.#remember(key, parseTarget(key));
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
    const reference = parseTarget(target);
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
