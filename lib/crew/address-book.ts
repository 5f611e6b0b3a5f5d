// Who is where: names and addresses, one to one.

import { InvalidArgumentError, NamerError } from '../errors.js';
import { checkKnown, ownOptions } from '../own-options.js';

/**
 * Names and addresses, each of which belongs to one of the other.
 *
 * Names of the methods and what they return are those of the reference (`Namer`). Each of them throws before anything is
 * changed: NamerError (ERR_BOSUN_NAMER) for an empty name or address, and for two that do not go together;
 * InvalidArgumentError for what is no string.
 *
 * @example
 * const book = new AddressBook();
 * book.addNameAddr('store', '/run/crew/store.uxd');
 * book.getName('/run/crew/store.uxd'); // 'store'
 */
export class AddressBook {
  readonly #addrByName = new Map<string, string>();
  readonly #nameByAddr = new Map<string, string>();

  /** In the order in which the names came; it changes with the book. */
  get addrByName(): ReadonlyMap<string, string> {
    return this.#addrByName;
  }

  /** The same, the other way round. */
  get nameByAddr(): ReadonlyMap<string, string> {
    return this.#nameByAddr;
  }

  get countNameAddr(): number {
    return this.#addrByName.size;
  }

  /** Undefined for a name that is not here. */
  getAddr(name: string): string | undefined {
    return this.#addrByName.get(name);
  }

  /** Undefined for an address that is not here. */
  getName(addr: string): string | undefined {
    return this.#nameByAddr.get(addr);
  }

  /** @returns whether it is new: false when just this name has just this address already. */
  addNameAddr(name: string, addr: string): boolean {
    check('name', name);
    check('address', addr);
    if (this.#addrByName.get(name) === addr) return false;
    this.#refuse(this.#addrByName.get(name), `the name '${name}'`);
    this.#refuse(this.#nameByAddr.get(addr), `the address '${addr}'`);
    this.#set(name, addr);
    return true;
  }

  /**
   * Takes one out, by its name, its address, or both.
   *
   * @returns whether it was here.
   */
  remNameAddr(which: { readonly name?: string; readonly addr?: string }): boolean {
    const { name, addr } = read(which);
    if (name === undefined && addr === undefined) throw new NamerError('say whom: by name, by address, or by both');
    if (name !== undefined) check('name', name);
    if (addr !== undefined) check('address', addr);
    const itsAddr = name === undefined ? addr : this.#addrByName.get(name);
    const itsName = addr === undefined ? name : this.#nameByAddr.get(addr);
    if (itsAddr === undefined && itsName === undefined) return false;
    if (name !== undefined && addr !== undefined && itsAddr !== addr) {
      throw new NamerError(`'${name}' and '${addr}' do not go together`);
    }
    if (itsAddr === undefined || itsName === undefined) return false;
    this.#addrByName.delete(itsName);
    this.#nameByAddr.delete(itsAddr);
    return true;
  }

  /**
   * Who has moved.
   *
   * @returns whether that changed anything.
   * @throws NamerError also when the name is not here, or the address is another's.
   */
  changeAddrAtName(change: { readonly name: string; readonly addr: string }): boolean {
    const { name, addr } = read(change);
    check('name', name);
    check('address', addr);
    const former = this.#addrByName.get(name);
    if (former === undefined) throw new NamerError(`nobody has the name '${name}'`);
    if (former === addr) return false;
    this.#refuse(this.#nameByAddr.get(addr), `the address '${addr}'`);
    this.#nameByAddr.delete(former);
    this.#set(name, addr);
    return true;
  }

  /**
   * Who is called otherwise now.
   *
   * @returns whether that changed anything.
   * @throws NamerError also when the address is not here, or the name is another's.
   */
  changeNameAtAddr(change: { readonly addr: string; readonly name: string }): boolean {
    const { name, addr } = read(change);
    check('name', name);
    check('address', addr);
    const former = this.#nameByAddr.get(addr);
    if (former === undefined) throw new NamerError(`nobody has the address '${addr}'`);
    if (former === name) return false;
    this.#refuse(this.#addrByName.get(name), `the name '${name}'`);
    this.#addrByName.delete(former);
    this.#set(name, addr);
    return true;
  }

  clearAllNameAddr(): void {
    this.#addrByName.clear();
    this.#nameByAddr.clear();
  }

  #set(name: string, addr: string): void {
    this.#addrByName.set(name, addr);
    this.#nameByAddr.set(addr, name);
  }

  #refuse(other: string | undefined, what: string): void {
    if (other !== undefined) throw new NamerError(`${what} belongs to '${other}' already`);
  }
}

function check(what: string, text: unknown): asserts text is string {
  if (typeof text !== 'string') throw new InvalidArgumentError(`the ${what} is a string, not ${typeof text}`);
  if (text === '') throw new NamerError(`the ${what} is empty`);
}

function read<T extends object>(fields: T): T {
  const own = ownOptions(fields, 'a name and an address');
  checkKnown(own, ['name', 'addr'], 'an entry of an address book');
  return own;
}
