import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { types } from 'node:util';
import { MessageChannel } from 'node:worker_threads';
import { decodeError } from '../lib/internals.js';
import { assertAlike, Point, roundTrip, roundTripError } from './fixtures/payload-values.js';

class HttpError extends Error {
  readonly status = 503;
}

function thrownBy(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return assert.fail('nothing was thrown');
}

function chain(length: number): Error {
  let error = new Error('cause 0');
  for (let i = 1; i < length; i++) error = new Error(`cause ${i}`, { cause: error });
  return error;
}

describe('error codec', () => {
  test('revives built-in classes as themselves', () => {
    for (const Class of [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError]) {
      const error = new Class('message');
      const revived = roundTripError(error) as Error;
      assert.ok(types.isNativeError(revived));
      assert.equal(Object.getPrototypeOf(revived), Class.prototype);
      assert.equal(revived.stack, error.stack);
      assert.equal(revived.message, 'message');
      assert.deepEqual(Object.keys(revived), []);
      assert.equal(Object.hasOwn(revived, 'cause'), false);
    }
    assert.equal(Object.hasOwn(roundTripError(new Error()) as Error, 'message'), false);
    const aborted = roundTripError(new DOMException('gone', 'AbortError')) as DOMException;
    assert.ok(aborted instanceof DOMException);
    assert.deepEqual([aborted.name, aborted.message, aborted.code], ['AbortError', 'gone', 20]);
  });

  test('keeps the class name, code and own properties of other classes', () => {
    const revived = roundTripError(new HttpError('down')) as HttpError;
    assert.ok(revived instanceof Error && types.isNativeError(revived));
    assert.deepEqual([revived.name, revived.constructor.name, revived.status], ['HttpError', 'HttpError', 503]);
    assert.deepEqual(Object.keys(revived), ['status']);
    assert.equal(
      Object.getPrototypeOf(roundTripError(revived)),
      Object.getPrototypeOf(revived),
      'a second hop changes nothing',
    );

    const renamed = roundTripError(Object.assign(new HttpError('x'), { name: 'Renamed' })) as Error;
    assert.deepEqual([renamed.name, renamed.constructor.name], ['Renamed', 'HttpError']);

    const invalid = roundTripError(thrownBy(() => Buffer.alloc('x' as never))) as NodeJS.ErrnoException;
    assert.ok(invalid instanceof TypeError);
    assert.deepEqual([invalid.name, invalid.code], ['TypeError', 'ERR_INVALID_ARG_TYPE']);
  });

  test('keeps causes of any kind, cycles and AggregateErrors, anywhere in a value', () => {
    const error: Error & { self?: unknown } = new TypeError('outer', {
      cause: { why: [new RangeError('inner', { cause: -0 })] },
    });
    error.self = error;
    const aggregate = new AggregateError([error, 'text'], 'both', { cause: error });
    const decoded = roundTrip(new Map<unknown, unknown>([[error, [aggregate, { error }, new Point()]]])) as Map<
      typeof error,
      [AggregateError, { error: unknown }, unknown]
    >;
    const [[outer, [both, holder, point]]] = [...decoded] as [
      [typeof error, [AggregateError, { error: unknown }, unknown]],
    ];
    assert.ok(outer instanceof TypeError && outer.self === outer && holder.error === outer);
    const [inner] = (outer.cause as { why: [RangeError] }).why;
    assert.ok(inner instanceof RangeError && Object.is(inner.cause, -0));
    assert.ok(both instanceof AggregateError && both.cause === outer);
    assert.ok(both.errors[0] === outer && both.errors[1] === 'text');
    assert.deepEqual(Object.keys(both), []);
    assertAlike(point, { x: 1 });

    const loop: Error = new Error('loop');
    loop.cause = loop;
    const revived = roundTripError(loop) as Error;
    assert.equal(revived.cause, revived);
  });

  test('describes properties that cannot be sent, and keeps the others', () => {
    const error = Object.assign(new Error('x', { cause: () => 1 }), {
      code: 'E_X',
      request: { socket: new MessageChannel().port1, inner: new TypeError('kept out') },
      response: { status: 500, body: Buffer.from('abc'), error: new RangeError('kept') },
      symbol: Symbol('s'),
    });
    Object.defineProperty(error, 'angry', {
      enumerable: true,
      get: () => {
        throw new Error('do not look');
      },
    });
    error.request.socket.close();
    const half = {
      first: 1,
      get second() {
        throw new Error('half');
      },
      third: { kept: 3 },
    };
    const outer = { half };
    Object.assign(error, { broken: outer, again: [outer], whole: half.third });
    const revived = roundTripError(error) as unknown as Record<string, unknown> & { response: { error: unknown } };
    assert.match(String(revived['cause']), /Function/);
    assert.equal(typeof revived['request'], 'string');
    assert.equal(revived['symbol'], 'Symbol(s)');
    assert.match(String(revived['angry']), /do not look/);
    assert.equal(revived['code'], 'E_X');
    for (const key of ['broken', 'again']) assert.equal(typeof revived[key], 'string');
    assert.deepEqual(revived['whole'], { kept: 3 });
    assert.ok(revived.response.error instanceof RangeError);
    assert.deepEqual({ ...revived.response, error: 0 }, { status: 500, body: Buffer.from('abc'), error: 0 });
  });

  test('gives back any thrown value, and a description of what cannot be sent', () => {
    for (const thrown of [undefined, null, 'text', -0, { code: 1 }, new Map([[1, 2]])])
      assertAlike(roundTripError(thrown), thrown);
    const revoked = Proxy.revocable({}, {});
    revoked.revoke();
    const trap = {
      get stack() {
        throw 1;
      },
      fn() {},
    };
    for (const thrown of [
      () => {},
      Symbol('s'),
      Promise.resolve(),
      { fn() {} },
      new Proxy({}, {}),
      revoked.proxy,
      trap,
      new WeakMap(),
    ]) {
      const revived = roundTripError(thrown);
      assert.ok(revived instanceof Error);
      assert.match(revived.message, /cannot be sent to another process/);
    }
    const hostile = new Error('x');
    for (const key of ['stack', 'name', 'message', 'cause', 'code'])
      Object.defineProperty(hostile, key, {
        get: () => {
          throw new Error(`no ${key}`);
        },
      });
    assert.ok(roundTripError(hostile) instanceof Error);
    assert.ok(
      roundTripError(
        new Proxy(new Error('x'), {
          get: () => {
            throw 1;
          },
          ownKeys: () => {
            throw 2;
          },
          getPrototypeOf: () => Error.prototype,
        }),
      ) instanceof Error,
    );
    assert.ok(decodeError(Buffer.from([7])) instanceof Error);
  });

  test('bounds the stack and the chain of causes', () => {
    const wordy = new Error('x');
    wordy.stack = 'at '.repeat(100_000);
    assert.ok(((roundTripError(wordy) as Error).stack ?? '').length <= 64 * 1024);

    let error: unknown = roundTripError(chain(5000));
    let length = 0;
    for (; error instanceof Error; error = error.cause) length++;
    assert.equal(length, 100);
    assert.match(String(error), /cut after 100 causes/);
    assert.equal((roundTripError(chain(20)) as Error).message, 'cause 19');
  });
});
