// Doers that are made in another process: where their classes are, and what they are made with.

import { checkKnown, ownOptions } from '../own-options.js';
import { exportOf, moduleUrl } from '../task/target.js';

/** A doer of a hand, by name: objects that live do not travel. */
export interface DoerSpec {
  /** A URL, a path, or a package; `'bosun'` is this one. */
  readonly module: string | URL;
  /** A class of doers, which is made with `new Class(options, crewer)`; or a generator function, whose `opts` are the options and `crewer`. */
  readonly export: string;
  /** What JSON can say. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** As it travels. */
export interface PlainDoerSpec extends DoerSpec {
  readonly module: string;
}

/** What a hand has unless it is told otherwise. */
export const PLAIN_CREWER: PlainDoerSpec = { module: 'bosun', export: 'Crewer' };

/** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) */
export function checkSpec(spec: DoerSpec): PlainDoerSpec {
  const given = ownOptions(spec, 'a doer of a load is { module, export, options }: these');
  checkKnown(given, ['module', 'export', 'options'], 'a doer of a load');
  const module = given.module === 'bosun' ? 'bosun' : moduleUrl(given.module);
  const options = given.options === undefined ? {} : { options: ownOptions(given.options, 'the options of a doer') };
  return { module, export: exportOf(given.export), ...options };
}
