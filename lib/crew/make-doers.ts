// The doers of a hand, from what its load says of them.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { InvalidArgumentError, MultiError } from '../errors.js';
import { LIBRARY } from '../package-root.js';
import { functionOf, importModule } from '../task/target.js';
import { Crewer } from './crewer.js';
import { Doer } from './doer.js';
import type { PlainDoerSpec } from './doer-spec.js';
import { doify } from './doify.js';

type DoerMaker = (...args: unknown[]) => unknown;

async function load({ module, export: name }: PlainDoerSpec): Promise<DoerMaker> {
  const url = module === 'bosun' ? pathToFileURL(join(LIBRARY, 'index.js')).href : module;
  return functionOf(await importModule(url), url, name);
}

const isA = (maker: DoerMaker, kind: typeof Doer): boolean =>
  (maker as unknown) === kind || maker.prototype instanceof kind;

/**
 * Imports the first of them, before any process is started.
 *
 * @throws MultiError (ERR_BOSUN_MULTI) when it is no Crewer, or cannot be loaded.
 */
export async function assertCrewer(hand: string, specs: readonly PlainDoerSpec[]): Promise<void> {
  const [first] = specs;
  if (first === undefined) throw new MultiError(`${hand} has no doers: the first one has to be a Crewer`);
  let maker: DoerMaker;
  try {
    maker = await load(first);
  } catch (cause) {
    throw new MultiError(`the Crewer of ${hand} cannot be loaded: ${(cause as Error).message}`, { cause });
  }
  if (!isA(maker, Crewer)) {
    throw new MultiError(`the first doer of ${hand} has to be a Crewer: ${first.export} of ${first.module} is none`);
  }
}

/** In the hand. @throws InvalidArgumentError, NotPortableError, and what their constructors throw. */
export async function makeDoers(
  specs: readonly PlainDoerSpec[],
  muster: (crewer: Crewer) => void,
): Promise<readonly Doer[]> {
  const doers: Doer[] = [];
  let crewer: Crewer | undefined;
  for (const spec of specs) {
    const maker = await load(spec);
    const doer = make(maker, spec, crewer);
    if (crewer === undefined) {
      if (!(doer instanceof Crewer)) throw new MultiError(`the first doer has to be a Crewer: ${spec.export} is none`);
      crewer = doer;
      muster(crewer);
    }
    doers.push(doer);
  }
  return doers;
}

function make(maker: DoerMaker, { export: name, options }: PlainDoerSpec, crewer: Crewer | undefined): Doer {
  if (isA(maker, Doer)) return new (maker as unknown as new (...args: unknown[]) => Doer)(options, crewer);
  if (maker.prototype?.constructor === maker) {
    throw new InvalidArgumentError(`${name} is no class of doers, and no generator function`);
  }
  const { tock, temp, ...opts } = (options ?? {}) as { tock?: number; temp?: boolean };
  return doify(maker as Parameters<typeof doify>[0], {
    ...(tock !== undefined && { tock }),
    ...(temp !== undefined && { temp }),
    opts: { ...opts, crewer },
  });
}
