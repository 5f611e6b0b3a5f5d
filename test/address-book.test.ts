// Names and addresses, one to one.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { AddressBook, type BosunError, InvalidArgumentError, NamerError } from '../lib/index.js';

function makeBook(): AddressBook {
  const book = new AddressBook();
  book.addNameAddr('one', '/one');
  book.addNameAddr('two', '/two');
  return book;
}

const entries = ({ addrByName }: AddressBook) => [...addrByName];

/** As the book was before it threw. */
function assertRefused(book: AddressBook, ...calls: (() => unknown)[]): void {
  const before = entries(book);
  for (const call of calls) {
    assert.throws(call, (error: BosunError) => error instanceof NamerError && error.code === 'ERR_BOSUN_NAMER');
    assert.deepEqual(entries(book), before);
  }
}

describe('AddressBook', () => {
  test('knows who is where, and who is there', () => {
    const book = makeBook();
    assert.equal(book.countNameAddr, 2);
    assert.equal(book.getAddr('one'), '/one');
    assert.equal(book.getName('/two'), 'two');
    assert.deepEqual([book.getAddr('/one'), book.getName('one')], [undefined, undefined]);
    assert.deepEqual(entries(book), [
      ['one', '/one'],
      ['two', '/two'],
    ]);
    assert.deepEqual(
      [...book.nameByAddr],
      [
        ['/one', 'one'],
        ['/two', 'two'],
      ],
    );
    book.clearAllNameAddr();
    assert.deepEqual([book.countNameAddr, book.nameByAddr.size], [0, 0]);
  });

  test('adds what is new, and nothing that is another', () => {
    const book = makeBook();
    assert.equal(book.addNameAddr('three', '/three'), true);
    assert.equal(book.addNameAddr('three', '/three'), false);
    assertRefused(
      book,
      () => book.addNameAddr('one', '/other'),
      () => book.addNameAddr('other', '/one'),
      () => book.addNameAddr('one', '/two'),
      () => book.addNameAddr('', '/other'),
      () => book.addNameAddr('other', ''),
    );
  });

  test('removes by name, by address, or by both', () => {
    const book = makeBook();
    assertRefused(
      book,
      () => book.remNameAddr({ name: 'one', addr: '/two' }),
      () => book.remNameAddr({ name: 'one', addr: '/unknown' }),
      () => book.remNameAddr({ name: 'unknown', addr: '/one' }),
      () => book.remNameAddr({}),
      () => book.remNameAddr({ name: '' }),
    );
    assert.equal(book.remNameAddr({ name: 'unknown' }), false);
    assert.equal(book.remNameAddr({ addr: '/unknown' }), false);
    assert.equal(book.remNameAddr({ name: 'unknown', addr: '/unknown' }), false);
    assert.equal(book.remNameAddr({ name: 'one' }), true);
    assert.equal(book.remNameAddr({ addr: '/two' }), true);
    book.addNameAddr('one', '/two');
    assert.equal(book.remNameAddr({ name: 'one', addr: '/two' }), true);
    assert.deepEqual([book.countNameAddr, book.nameByAddr.size], [0, 0]);
  });

  test('changes an address, or a name', () => {
    const book = makeBook();
    assert.equal(book.changeAddrAtName({ name: 'one', addr: '/moved' }), true);
    assert.equal(book.changeAddrAtName({ name: 'one', addr: '/moved' }), false);
    assert.deepEqual([book.getAddr('one'), book.getName('/moved'), book.getName('/one')], ['/moved', 'one', undefined]);
    assert.equal(book.changeNameAtAddr({ addr: '/two', name: 'second' }), true);
    assert.equal(book.changeNameAtAddr({ addr: '/two', name: 'second' }), false);
    assert.deepEqual(
      [book.getName('/two'), book.getAddr('second'), book.getAddr('two')],
      ['second', '/two', undefined],
    );
    assertRefused(
      book,
      () => book.changeAddrAtName({ name: 'one', addr: '/two' }),
      () => book.changeAddrAtName({ name: 'unknown', addr: '/new' }),
      () => book.changeNameAtAddr({ addr: '/two', name: 'one' }),
      () => book.changeNameAtAddr({ addr: '/unknown', name: 'new' }),
      () => book.changeAddrAtName({ name: 'one', addr: '' }),
    );
  });

  test('names that objects have are names like others', () => {
    const book = new AddressBook();
    for (const name of ['__proto__', 'constructor', 'toString']) {
      assert.equal(book.getAddr(name), undefined);
      assert.equal(book.addNameAddr(name, `/${name}`), true);
      assert.equal(book.getAddr(name), `/${name}`);
    }
  });

  test('says what is no name', () => {
    const book = makeBook();
    const wrong = [
      () => book.addNameAddr(1 as unknown as string, '/x'),
      () => book.remNameAddr({ nmae: 'one' } as never),
      () => book.changeAddrAtName(null as never),
      () => book.changeNameAtAddr({ addr: '/one' } as never),
    ];
    for (const call of wrong) assert.throws(call, InvalidArgumentError);
    assert.equal(book.countNameAddr, 2);
  });

  test('is one to one whatever is done with it', () => {
    const name = fc.constantFrom('a', 'b', 'c', '');
    const action = fc.tuple(fc.nat(3), name, name);
    const property = fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
      const book = new AddressBook();
      for (const [kind, name, addr] of actions) {
        const before = entries(book);
        const act = [
          () => book.addNameAddr(name, addr),
          () => book.remNameAddr({ name, addr }),
          () => book.changeAddrAtName({ name, addr }),
          () => book.changeNameAtAddr({ name, addr }),
        ][kind] as () => boolean;
        let changed = false;
        try {
          changed = act();
        } catch (error) {
          assert.ok(error instanceof NamerError);
        }
        if (!changed) assert.deepEqual(entries(book), before);
        else assert.equal(book.getAddr(name), kind === 1 ? undefined : addr);
        const inverse = [...book.nameByAddr].map(([addr, name]) => [name, addr]);
        assert.deepEqual(inverse.sort(), entries(book).sort());
        assert.equal(book.countNameAddr, inverse.length);
      }
    });
    fc.assert(property, { numRuns: 200 });
  });
});
