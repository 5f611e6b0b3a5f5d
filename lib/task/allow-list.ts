// Which modules are loaded here for programs on other hosts.

import { realpath } from 'node:fs/promises';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { InvalidArgumentError, NotPortableError } from '../errors.js';
import { exportOf } from './target.js';

const MAX_MODULE_CHARS = 4_096;

/** Where a client may point to, by real paths: links lead nowhere else. */
export class AllowList {
  readonly #root: string;
  readonly #allowed: readonly string[] | undefined;

  /**
   * @param root what relative paths of clients are relative to.
   * @param allowed folders and files; everything when undefined.
   */
  constructor(root: string, allowed: readonly string[] | undefined) {
    const isList = Array.isArray(allowed) && allowed.every((path) => typeof path === 'string' && path !== '');
    if (allowed !== undefined && !isList) throw new InvalidArgumentError('allowModules is a list of folders and files');
    this.#root = resolve(root);
    this.#allowed = allowed?.map((path) => resolve(this.#root, path));
  }

  /** Of a target as a client has sent it. @throws NotPortableError (ERR_BOSUN_NOT_PORTABLE) */
  async resolve(target: unknown): Promise<{ readonly module: string; readonly exportName: string }> {
    const { module, exportName } = (target ?? {}) as { module?: unknown; exportName?: unknown };
    if (typeof module !== 'string' || typeof exportName !== 'string' || module.length > MAX_MODULE_CHARS) {
      throw new NotPortableError('a remote worker runs an export of a module that its server has');
    }
    const path = await this.locate(module);
    return { module: pathToFileURL(path).href, exportName: exportOf(exportName) };
  }

  /**
   * The real path of a module.
   *
   * @param module a path or a `file:` URL.
   * @throws NotPortableError (ERR_BOSUN_NOT_PORTABLE) when it is not there, or not allowed.
   */
  async locate(module: string): Promise<string> {
    let path: string;
    try {
      path = await realpath(module.startsWith('file:') ? fileURLToPath(module) : resolve(this.#root, module));
    } catch (cause) {
      throw new NotPortableError(`this host has no module ${module}`, { cause });
    }
    if (this.#allowed === undefined) return path;
    for (const allowed of this.#allowed) {
      const inside = relative(await realpath(allowed).catch(() => allowed), path);
      if (inside === '' || (!isAbsolute(inside) && inside !== '..' && !inside.startsWith(`..${sep}`))) return path;
    }
    throw new NotPortableError(`this host does not load ${module}: what it may load does not include it`);
  }
}
