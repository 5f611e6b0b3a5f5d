// Modules that two hosts have in different places: the files inside of one folder there are those inside of another here.

import { realpathSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { NotPortableError } from '../errors.js';
import { AllowList } from './allow-list.js';

/** Where modules of a manager's tasks are on the host of a worker. */
export interface ModulePlaces {
  /** The folder here that has what the manager has in its own. */
  readonly root: string;
  /** Folders and files that may be loaded; everything when undefined. */
  readonly allowed: readonly string[] | undefined;
}

/** The URL of a folder, with a slash at its end. */
export function folderUrl(path: string): string {
  return pathToFileURL(resolve(path) + sep).href;
}

export class ModuleMap {
  readonly #there: string;
  readonly #here: string;
  readonly #allowList: AllowList;
  readonly #isOpen: boolean;

  /** @param there the URL of the manager's folder, see `folderUrl`. */
  constructor(there: string, { root, allowed }: ModulePlaces) {
    this.#there = there;
    // Modules know themselves by their real paths.
    this.#here = folderUrl(realpathSync(root));
    this.#allowList = new AllowList(root, allowed);
    this.#isOpen = allowed === undefined;
  }

  /** The URL here of what the manager calls `url`. @throws NotPortableError (ERR_BOSUN_NOT_PORTABLE) */
  async toHere(url: string): Promise<string> {
    if (!url.startsWith('file:')) {
      if (this.#isOpen) return url;
      throw new NotPortableError(`a remote worker does not load ${url}: it may load files of its own only`);
    }
    // Without dots in it, which could lead out of the folder.
    const { href } = new URL(url);
    if (!href.startsWith(this.#there)) return pathToFileURL(await this.#allowList.locate(href)).href;
    const inside = new URL(href.slice(this.#there.length), this.#here).href;
    try {
      return pathToFileURL(await this.#allowList.locate(inside)).href;
    } catch (cause) {
      const { message } = cause as Error;
      throw new NotPortableError(`${message}. The manager has it in ${this.#there}, and this host in ${this.#here}`, {
        cause,
      });
    }
  }

  /** What the manager calls a module that is here. */
  toThere(url: string): string {
    return url.startsWith(this.#here) ? this.#there + url.slice(this.#here.length) : url;
  }
}
