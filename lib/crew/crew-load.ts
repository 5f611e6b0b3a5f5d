// What a hand of a crew is to be, as something that can be kept in a file.

import { createRequire } from 'node:module';
import { Packr } from 'msgpackr/pack';
import { InvalidArgumentError } from '../errors.js';
import { checkKnown, flag, oneOf, ownOptions } from '../own-options.js';
import { checkName } from './crew-name.js';
import { checkSpec, type DoerSpec, PLAIN_CREWER, type PlainDoerSpec } from './doer-spec.js';
import { seconds } from './seconds.js';

/** When a hand that has ended is started again: `on-failure` is an exit code other than 0, or a signal. */
export const RESTARTS = ['never', 'always', 'on-failure'] as const;
export type Restart = (typeof RESTARTS)[number];

/** The Doist of a hand, and its doers. */
export interface CrewLoadOptions {
  /** Its name, which is its address too: letters, digits and `._-`; `child` unless given. */
  readonly name?: string;
  /** Where its tyme begins; 0 unless given. */
  readonly tyme?: number;
  /** Seconds between two cycles; 0.03125 unless given. */
  readonly tock?: number | null;
  /** Whether its tyme goes with the clock; true unless given. */
  readonly real?: boolean;
  /** Seconds of tyme after which it ends; none unless given. */
  readonly limit?: number | null;
  /** The first one is its Crewer; that alone unless given. */
  readonly doers?: readonly DoerSpec[];
  /** Whether what its doers make is for this time only. */
  readonly temp?: boolean | null;
  /** That of its Boss unless given. */
  readonly restart?: Restart;
}

const KNOWN = ['name', 'tyme', 'tock', 'real', 'limit', 'doers', 'temp', 'restart', 'boss'];

/** One hand of a crew. It can be written to a file, and read again: its doers are named, not made. */
export class CrewLoad {
  readonly name: string;
  readonly tyme: number;
  readonly tock: number | null;
  readonly real: boolean;
  readonly limit: number | null;
  readonly doers: readonly PlainDoerSpec[];
  readonly temp: boolean | null;
  readonly restart: Restart | undefined;

  /**
   * @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT)
   * @throws OutOfRangeError (ERR_BOSUN_OUT_OF_RANGE)
   */
  constructor(options?: CrewLoadOptions) {
    const given = ownOptions(options, 'a load');
    checkKnown(given, KNOWN, 'a load');
    this.name = checkName(given.name ?? 'child', 'a hand');
    this.tyme = seconds('tyme', given.tyme ?? 0);
    this.tock = given.tock == null ? null : seconds('tock', given.tock);
    this.real = flag('real', given.real ?? true);
    this.limit = given.limit == null ? null : seconds('limit', given.limit);
    this.temp = given.temp == null ? null : flag('temp', given.temp);
    this.restart = given.restart === undefined ? undefined : oneOf('restart', given.restart, RESTARTS);
    const { doers = [PLAIN_CREWER] } = given;
    if (!Array.isArray(doers)) throw new InvalidArgumentError('the doers of a load are a list of { module, export }');
    this.doers = doers.map(checkSpec);
  }

  /** In the order of the reference; `boss` is filled in when the hand is started. */
  toJSON(): CrewLoadOptions & { readonly name: string; readonly boss: null } {
    const { name, tyme, tock, real, limit, doers, temp, restart } = this;
    const rest = restart === undefined ? {} : { restart };
    return { name, tyme, tock, real, limit, doers, temp, boss: null, ...rest };
  }

  toCBOR(): Uint8Array {
    return cbor().encode(this.toJSON());
  }

  toMsgpack(): Uint8Array {
    return packr.pack(this.toJSON());
  }

  /** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for what says no load; so do the others. */
  static fromJSON(text: string): CrewLoad {
    return read('JSON', () => JSON.parse(text));
  }

  static fromCBOR(bytes: Uint8Array): CrewLoad {
    return read('CBOR', () => cbor().decode(bytes));
  }

  static fromMsgpack(bytes: Uint8Array): CrewLoad {
    return read('MessagePack', () => packr.unpack(bytes));
  }
}

/** Maps, and no records of its own. */
const packr = new Packr({ useRecords: false });

/** Loaded when it is first used. */
const cbor = (): typeof import('cbor2') => createRequire(import.meta.url)('cbor2');

/** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for what says no load. */
function read(what: string, decode: () => unknown): CrewLoad {
  let value: unknown;
  try {
    value = decode();
  } catch (cause) {
    throw new InvalidArgumentError(`no ${what} of a load: ${(cause as Error).message}`, { cause });
  }
  return new CrewLoad(value as CrewLoadOptions);
}
