// What the payloads of tasks begin with: all but the arguments, encoded once for each function or class.

import type { TaskSpec } from '../task/spec.js';
import { encodePayload } from '../wire/payload.js';

/** Should somebody make up exports by the thousand. */
const MOST = 1_000;

export class Prefixes {
  readonly #known = new Map<string, Uint8Array>();
  /** The last one: as a rule it is the same again. */
  #kind = '';
  #module = '';
  #exportName = '';
  #last: Uint8Array | undefined;

  /** The bytes of a spec up to its last part; undefined when that differs from task to task. */
  of(spec: TaskSpec): Uint8Array | undefined {
    if (spec[0] === 's' || spec[0] === 'w' || spec.length !== 5 || spec[1] !== '') return undefined;
    const [kind, , module, exportName] = spec;
    if (exportName !== this.#exportName || module !== this.#module || kind !== this.#kind) {
      this.#last = this.#lookUp(kind, module, exportName);
      this.#kind = kind;
      this.#module = module;
      this.#exportName = exportName;
    }
    return this.#last;
  }

  #lookUp(kind: string, module: string, exportName: string): Uint8Array {
    // Both may contain anything.
    const key = `${kind}${module.length}:${module}${exportName}`;
    let prefix = this.#known.get(key);
    if (prefix === undefined) {
      if (this.#known.size === MOST) this.#known.clear();
      // A payload of msgpack with `0`, one byte, in place of the last part.
      const payload = encodePayload([kind, '', module, exportName, 0]);
      prefix = Uint8Array.from(payload.subarray(0, -1));
      this.#known.set(key, prefix);
    }
    return prefix;
  }
}
