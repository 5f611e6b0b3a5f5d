// What a boss and its hands say to each other, and how it is written: compact JSON, its fields in the reference's order.

import { InvalidArgumentError } from '../errors.js';
import { checkKnown, ownOptions } from '../own-options.js';

/** Of no prototype, so that no name in it means anything but a name. */
export type MemoLoad = Readonly<Record<string, unknown>>;

export interface MemoDomOptions<L> {
  /** Whose memo it is. */
  readonly name?: string;
  readonly load?: L;
}

/** A memo between a boss and its hands. */
export abstract class MemoDom {
  /** What kind of memo it is; see TagDex. */
  readonly tag: string;
  /** Whose it is. */
  readonly name: string;
  readonly load: object;

  protected constructor(tag: string, name: string, load: object) {
    this.tag = tag;
    this.name = text('name', name);
    this.load = load;
  }
}

/** A hand says that it is there; where, says the address that the memo comes from. */
export class RegDom extends MemoDom {
  declare readonly tag: 'REG';

  /** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT), as those of the others do. */
  constructor(options?: MemoDomOptions<object>) {
    const { name = 'hand', load } = read(options, 'a REG memo');
    super('REG', name, nothing(load));
  }
}

/** The load of an AckDom: which memo has come, of whom, and from where. */
export class AddrDom {
  readonly tag: string;
  readonly name: string;
  readonly addr: string;

  constructor(fields: { readonly tag: string; readonly name: string; readonly addr: string }) {
    const { tag, name, addr } = known(fields, ['tag', 'name', 'addr'], 'the load of an ACK memo');
    this.tag = text('tag', tag);
    this.name = text('name', name);
    this.addr = text('addr', addr);
  }
}

/** The boss says that a memo has come. */
export class AckDom extends MemoDom {
  declare readonly tag: 'ACK';
  declare readonly load: AddrDom;

  constructor(options: MemoDomOptions<{ readonly tag: string; readonly name: string; readonly addr: string }>) {
    const { name = 'boss', load } = read(options, 'an ACK memo');
    super('ACK', name, new AddrDom(load as AddrDom));
  }
}

/** The boss tells a hand to end. */
export class EndDom extends MemoDom {
  declare readonly tag: 'END';

  constructor(options?: MemoDomOptions<object>) {
    const { name = 'boss', load } = read(options, 'an END memo');
    super('END', name, nothing(load));
  }
}

/** The boss says where its hands are. */
export class BokDom extends MemoDom {
  declare readonly tag: 'BOK';
  /** Addresses by name; of no prototype. */
  declare readonly load: Readonly<Record<string, string>>;

  constructor(options?: MemoDomOptions<Readonly<Record<string, string>>>) {
    const { name = 'boss', load } = read(options, 'a BOK memo');
    const addresses = ownOptions(load, 'the load of a BOK memo');
    for (const [hand, addr] of Object.entries(addresses)) {
      text('name of a hand', hand);
      text(`address of '${hand}'`, addr);
    }
    super('BOK', name, addresses);
  }
}

export type ControlMemo = RegDom | AckDom | EndDom | BokDom;

export type MemoDomClass = new (options: MemoDomOptions<never>) => ControlMemo;

/** The classes of memos by their tags. */
export const TagDex: ReadonlyMap<string, MemoDomClass> = new Map<string, MemoDomClass>([
  ['REG', RegDom],
  ['ACK', AckDom],
  ['END', EndDom],
  ['BOK', BokDom],
]);

/** A memo, or why it is none. */
export type ParsedMemo =
  | { readonly memo: ControlMemo; readonly reason: undefined }
  | { readonly memo: undefined; readonly reason: string };

/** No space before or within it, as the reference has it. */
const TAG = /^\{"tag":"([A-Z]*)"/;

/** Reads what `formatMemo` has written; anything else is no memo, whatever it is: it throws nothing. */
export function parseMemo(text: string): ParsedMemo {
  const tag = TAG.exec(text)?.[1];
  if (tag === undefined) return { memo: undefined, reason: 'it does not begin with a tag' };
  const MemoClass = TagDex.get(tag);
  if (MemoClass === undefined) return { memo: undefined, reason: `no memo has the tag '${tag}'` };
  try {
    const { tag: again, name, load } = known(JSON.parse(text), ['tag', 'name', 'load'], `a memo with the tag ${tag}`);
    if (again !== tag) throw new InvalidArgumentError('it has two tags');
    // Those that are not there must not become defaults.
    return { memo: new MemoClass({ name: present('name', name), load: present('load', load) }), reason: undefined };
  } catch (error) {
    if (!(error instanceof InvalidArgumentError || error instanceof SyntaxError)) throw error;
    return { memo: undefined, reason: error.message };
  }
}

/** As it travels: `{"tag":"REG","name":"testy","load":{}}`. */
export function formatMemo(memo: MemoDom): string {
  if (!(memo instanceof MemoDom))
    throw new InvalidArgumentError('formatMemo takes a memo: a RegDom, AckDom, EndDom or BokDom');
  const { tag, name, load } = memo;
  return JSON.stringify({ tag, name, load });
}

function read<L>(options: MemoDomOptions<L> | undefined, what: string): MemoDomOptions<L> {
  return known(options, ['name', 'load'], what);
}

function known<T extends object>(fields: T | undefined, names: readonly string[], what: string): T {
  const own = ownOptions(fields, `the fields of ${what}`);
  checkKnown(own, names, what);
  return own;
}

function present(what: string, value: unknown): never {
  if (value === undefined) throw new InvalidArgumentError(`it has no ${what}`);
  return value as never;
}

function text(what: string, value: unknown): string {
  if (typeof value !== 'string' || value === '')
    throw new InvalidArgumentError(`the ${what} is a string, and not empty`);
  return value;
}

function nothing(load: object | undefined): MemoLoad {
  return known(load, [], 'the load of such a memo') as MemoLoad;
}
