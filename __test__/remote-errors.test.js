'use strict';

// Errors on the wire: whatever was thrown, what arrives is an Error that says so.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const path = require('node:path');
const { describe, test } = require('node:test');
const { promisify } = require('node:util');
const vm = require('node:vm');
const { BusybodyError } = require('../lib/errors.js');
const { outcomeOf } = require('../lib/reply.js');
const { asError, outlineOf } = require('../lib/values.js');
const { cloneTravel, strictTravel, travel } = require('./support/journey.js');

for (const [way, travelled] of [['values', travel], ['json', strictTravel], ['advanced', cloneTravel]]) {
  describe(`errors (${way})`, () => {
    test('built-in ones arrive as their class, with message, code and stack', () => {
      for (const Type of [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]) {
        const error = Object.assign(new Type('boom'), { code: 'E_BOOM', statusCode: 404, detail: { fields: ['a'] } });
        const [arrived, [inside]] = travelled([error, [Object.assign(new Type('in'), { code: 7 })]]);
        assert.equal(Object.getPrototypeOf(arrived), Type.prototype);
        assert.deepEqual({ ...arrived }, { code: 'E_BOOM', statusCode: 404, detail: { fields: ['a'] } });
        assert.deepEqual([arrived.name, arrived.message, arrived.stack], [error.name, 'boom', error.stack]);
        assert.equal(Object.keys(arrived).includes('stack'), false);
        assert.deepEqual([Object.getPrototypeOf(inside), inside.message, inside.code], [Type.prototype, 'in', 7]);
      }
    });

    test('ours arrive as BusybodyError, custom ones by name, a DOMException as one', () => {
      class MineError extends Error { name = 'MineError'; }
      const [ours, mine, abort, { inside }] = travelled([
        new BusybodyError('ERR_TIMEOUT', 'late'), new MineError('m'), new DOMException('gone', 'AbortError'),
        { inside: new DOMException('late', 'TimeoutError') },
      ]);
      assert.ok(ours instanceof BusybodyError);
      assert.deepEqual([ours.name, ours.code, ours.message], ['BusybodyError', 'ERR_TIMEOUT', 'late']);
      assert.deepEqual([Object.getPrototypeOf(mine), mine.name, `${mine}`], [Error.prototype, 'MineError', 'MineError: m']);
      assert.deepEqual([abort.name, abort.message, abort.code], ['AbortError', 'gone', 20]);
      assert.deepEqual([inside.name, inside.message, inside.code], ['TimeoutError', 'late', 23]);
      assert.ok(abort instanceof DOMException && inside instanceof DOMException);
    });

    test('causes arrive, however long the chain, and cycles', () => {
      let chain = new Error('0');
      for (let i = 1; i < 50; i++) chain = new Error(`${i}`, { cause: chain });
      const root = new Error('root');
      const outer = new Error('outer', { cause: new TypeError('inner', { cause: root }) });
      root.cause = outer;
      const [arrived, odd, none, deep] = travelled([
        outer, new Error('x', { cause: 'why' }), new Error('y', { cause: { code: 7, list: [null] } }), chain,
      ]);
      assert.ok(arrived.cause instanceof TypeError);
      assert.equal(arrived.cause.cause.message, 'root');
      assert.equal(arrived.cause.cause.cause, arrived);
      assert.deepEqual([odd.cause, none.cause], ['why', { code: 7, list: [null] }]);
      let [at, length] = [deep, 1];
      for (; at.cause !== undefined; at = at.cause) length++;
      assert.deepEqual([length, at.message], [50, '0']);
      assert.equal(Object.keys(arrived).includes('cause'), false);
    });

    test('ten thousand causes are cut with a mark', () => {
      let chain = new Error('0');
      for (let i = 0; i < 10_000; i++) chain = new Error('e', { cause: chain });
      let [at] = travelled([chain]);
      while (at instanceof Error) at = at.cause;
      assert.match(at, /^\[cut: /);
    });

    test('aggregates arrive whole', () => {
      const several = new AggregateError([new RangeError('one'), 'two', { three: 3 }, null], 'all');
      const many = new AggregateError(Array.from({ length: 2000 }, (_, i) => new Error(`e${i}`)), 'many');
      const [arrived, { errors }] = travelled([several, many]);
      assert.ok(arrived instanceof AggregateError && arrived.errors[0] instanceof RangeError);
      assert.deepEqual(arrived.errors.slice(1), ['two', { three: 3 }, null]);
      assert.deepEqual([errors.length, errors[1999].message], [2000, 'e1999']);
    });

    test('details as validators hang them on errors', () => {
      const list = [{ instancePath: '/age', keyword: 'minimum', params: { limit: 18 }, message: 'must be >= 18' }];
      const ajv = Object.assign(new Error('validation failed'), { errors: list, ajv: true, validation: true });
      const age = Object.assign(new Error('too low'), { kind: 'min', path: 'age', value: 7, properties: { validator() {}, type: 'min' } });
      age.name = 'ValidatorError';
      const mongoose = Object.assign(new Error('User validation failed'), { errors: { age }, _message: 'User validation failed' });
      const zod = new Error('[]');
      Object.defineProperty(zod, 'issues', { value: [{ code: 'too_small', path: ['age'] }], enumerable: false });
      Object.defineProperty(zod, '_zod', { value: { traits: new Set(['ZodError']) }, enumerable: false });
      const [one, two, three] = travelled([ajv, mongoose, zod]);
      assert.deepEqual([one.errors, one.ajv, one.validation], [list, true, true]);
      assert.equal(two.errors.age.name, 'ValidatorError');
      assert.deepEqual({ ...two.errors.age }, { kind: 'min', path: 'age', value: 7, properties: { type: 'min' } });
      assert.equal(two._message, 'User validation failed');
      assert.deepEqual(three.issues, [{ code: 'too_small', path: ['age'] }]);
      assert.deepEqual([Object.keys(three), '_zod' in three], [[], false]);
    });

    test('what hangs on an error arrives as values do', () => {
      const error = Object.assign(new Error('x'), {
        big: 1n, at: new Date(5), map: new Map([[1, new Set([2])]]), bytes: Buffer.from('b'), body: 'x'.repeat(1e6), nothing: undefined,
        row: new (class { x = Buffer.alloc(1); })(), nested: { cause: new RangeError('in') },
      });
      error.self = error;
      error.list = [error, error.map];
      const [arrived] = travelled([error]);
      assert.deepEqual([arrived.big, arrived.at, arrived.map, arrived.body.length], [1n, new Date(5), new Map([[1, new Set([2])]]), 1e6]);
      assert.deepEqual([[...arrived.bytes], [...arrived.row.x]], [[98], [0]]);
      assert.ok('nothing' in arrived && arrived.nested.cause instanceof RangeError);
      assert.equal(arrived.self, arrived);
      assert.deepEqual([arrived.list[0] === arrived, arrived.list[1] === arrived.map], [true, true]);
    });

    test('what cannot travel is cut with a mark, and costs no more than itself', () => {
      let deep = {};
      for (let i = 0; i < 50_000; i++) deep = { deep };
      const error = Object.assign(new Error('x'), {
        fn() {}, signal: AbortSignal.abort(), sym: Symbol('s'), nest: { list: [Promise.resolve(1), () => {}], ok: 1 }, deep, ok: 1, toString: 'no',
        json: { toJSON() { throw new Error('no JSON'); } }, proxy: new Proxy({ a: 1 }, { ownKeys() { throw new Error('no keys'); } }),
      });
      Object.defineProperty(error, 'bad', { enumerable: true, get() { throw new Error('getter'); } });
      const [arrived] = travelled([error]);
      const { signal, sym, nest, json, proxy, bad, ok } = arrived;
      assert.deepEqual([signal, sym, ok], ['[cut: an AbortSignal]', '[cut: a symbol]', 1]);
      assert.deepEqual(nest, { list: ['[cut: a Promise]', '[cut: a function]'], ok: 1 });
      assert.match(bad, /^\[cut: a getter that throws/);
      assert.match(proxy, /^\[cut: a value that throws: no keys/);
      if (way !== 'advanced') assert.match(json, /^\[cut: a value that throws: no JSON/);
      let at = arrived.deep;
      while (typeof at === 'object') at = at.deep;
      assert.match(at, /^\[cut: /);
      assert.equal('fn' in arrived, false);
      assert.equal(String(arrived), 'Error: x');
    });

    test('an object met below an error and beside it is refused beside it', () => {
      const user = { signal: AbortSignal.abort() };
      const error = Object.assign(new Error('x'), { user });
      if (way !== 'json') assert.throws(() => travelled([error, user]), { code: 'ERR_UNSERIALIZABLE' });
      assert.deepEqual(travelled([error])[0].user, { signal: '[cut: an AbortSignal]' });
    });

    test('errors of another context are Errors here', () => {
      const [type, custom, many] = travelled(vm.runInNewContext(`[
        Object.assign(new RangeError('no such file', { cause: new TypeError('why') }), { code: 'ENOENT', path: '/x', list: [{ a: 1 }] }),
        new (class HttpError extends Error { name = 'HttpError'; status = 404 })('gone'),
        new AggregateError([new Error('one')], 'all'),
      ]`));
      assert.ok(type instanceof RangeError && type.cause instanceof TypeError && many instanceof AggregateError);
      assert.deepEqual([type.message, type.code, type.path, type.list], ['no such file', 'ENOENT', '/x', [{ a: 1 }]]);
      assert.match(type.stack, /^RangeError: no such file\n/);
      assert.ok(custom instanceof Error && many.errors[0] instanceof Error);
      assert.deepEqual([custom.name, custom.message, custom.status], ['HttpError', 'gone', 404]);
    });

    test('errors that are frozen, without a prototype, proxies, or lie about everything', () => {
      const fail = () => {
        throw new Error('trap');
      };
      const odd = Object.assign(new Error('real'), { code: { deep: [1] } });
      Object.defineProperties(odd, { stack: { value: [1] }, name: { value: Symbol('n') }, message: { value: { not: 'text' } } });
      const broken = new Error('x');
      for (const key of ['stack', 'name', 'message', 'code', 'cause', 'errors']) Object.defineProperty(broken, key, { get: fail });
      const sent = [
        Object.freeze(Object.assign(new TypeError('frozen'), { code: 'E' })), new Proxy(new RangeError('proxied'), {}),
        Object.setPrototypeOf(new Error('bare'), null), odd, broken, new Proxy(new Error('x'), { get: fail, ownKeys: fail }),
      ];
      const [frozen, proxied, ...rest] = travelled([sent])[0];
      assert.ok(frozen instanceof TypeError && proxied instanceof RangeError);
      assert.deepEqual([frozen.message, frozen.code, proxied.message], ['frozen', 'E', 'proxied']);
      // A bare one and a proxy that throws may be taken for data; nothing else may happen.
      assert.equal(rest.length, 4);
      const [, second] = rest;
      assert.deepEqual([second.name, second.message, second.code], ['Error', "{ not: 'text' }", { deep: [1] }]);
      assert.equal(typeof second.stack, 'string');
      assert.ok(rest[2] instanceof Error && rest[2].message === '');
    });

    test('Error.prepareStackTrace may return anything, and throw', (t) => {
      const { prepareStackTrace } = Error;
      t.after(() => {
        Error.prepareStackTrace = prepareStackTrace;
      });
      const ways = [() => [1, 2], () => null, () => ({ at: 'here' }), () => Symbol('s'), () => { throw new Error('no'); }, (_, sites) => sites];
      for (const prepare of ways) {
        Error.prepareStackTrace = prepare;
        const [arrived] = travelled([new TypeError('boom')]);
        assert.ok(arrived instanceof TypeError);
        assert.deepEqual([arrived.message, arrived.stack], ['boom', 'TypeError: boom']);
      }
    });
  });
}

describe('anything that was thrown', () => {
  const fail = () => {
    throw new Error('trap');
  };

  test('an Error is itself, of any context', () => {
    const error = new RangeError('x');
    const theirs = vm.runInNewContext('new TypeError("far")');
    for (const each of [error, theirs, new DOMException('gone', 'AbortError'), Object.freeze(new Error('frozen'))]) assert.equal(asError(each), each);
  });

  test('anything else becomes an Error that says what it was, and has it as its cause', () => {
    const cases = [
      ['text', 'text', undefined], ['', '', undefined], [null, 'null', null], [42, '42', 42], [7n, '7n', 7n], [NaN, 'NaN', NaN], [false, 'false', false],
      [{ a: 1 }, '{ a: 1 }', { a: 1 }], [[1, [2]], '[ 1, [ 2 ] ]', [1, [2]]],
      [{ message: 'told', code: 'E_TOLD', details: [1] }, 'told', { message: 'told', code: 'E_TOLD', details: [1] }],
      [Object.assign(Object.create(null), { message: 'bare', name: 'BareError' }), 'bare', { message: 'bare', name: 'BareError' }],
      [{ toString: fail, [Symbol.toPrimitive]: fail, a: 1 }, /a: 1/, { a: 1 }],
    ];
    for (const [thrown, message, cause] of cases) {
      const error = asError(thrown);
      assert.ok(error instanceof Error);
      if (typeof message === 'string') assert.equal(error.message, message);
      else assert.match(error.message, message);
      const [arrived] = travel([error]);
      assert.equal(arrived.message, error.message);
      assert.deepEqual(arrived.cause, cause);
    }
    assert.equal(asError({ message: 'm', code: 'E_TOLD' }).code, 'E_TOLD');
    assert.equal(asError({ message: 'm', name: 'Bare' }).name, 'Bare');
  });

  test('whatever it does when it is looked at', () => {
    const { proxy: revoked, revoke } = Proxy.revocable({}, {});
    revoke();
    const every = new Proxy({}, Object.fromEntries(Object.getOwnPropertyNames(Reflect).map((trap) => [trap, fail])));
    const vile = [
      every, revoked, Symbol('s'), () => {}, class {}, undefined, { get message() { return fail(); } }, { message: 5 }, { then: fail },
      Object.create(null), { toJSON: fail }, { [Symbol.toStringTag]: Symbol('t') }, { constructor: null }, Object.create(Error.prototype),
    ];
    for (const thrown of vile) {
      for (const way of [travel, strictTravel, cloneTravel]) {
        const [arrived] = way([asError(thrown)]);
        assert.ok(arrived instanceof Error);
        assert.equal(typeof arrived.message, 'string');
      }
    }
  });

  test('the outline of an error fits into any message and says that it was cut', () => {
    const huge = Object.assign(new RangeError('m'.repeat(1e7)), { code: 'E_HUGE', body: 'x'.repeat(1e7) });
    const [outline] = travel([outlineOf(huge)]);
    assert.deepEqual([outline.name, outline.code], ['RangeError', 'E_HUGE']);
    assert.match(outline.message, /^m{4096} \[cut: 10000000 characters in all\]$/);
    assert.match(outline.cut, /larger than a message/);
    for (const vile of [new Proxy(new Error('x'), { get: fail }), Object.freeze(new Error('x'))]) assert.ok(outlineOf(vile) instanceof Error);
  });
});

test('an Error of another context in front of a reply is the failure, as any other', () => {
  for (const error of [vm.runInNewContext('new RangeError("far")'), new DOMException('gone', 'AbortError'), new Error('near')]) {
    assert.throws(() => outcomeOf([error]), (thrown) => thrown === error);
  }
  for (const value of [null, undefined, 'x', 0, {}, []]) assert.equal(outcomeOf([value]), value);
});

test('reviving leaves Error.stackTraceLimit as it was', () => {
  const before = Error.stackTraceLimit;
  travel([new Error('x')]);
  assert.equal(Error.stackTraceLimit, before);
});

test('under --frozen-intrinsics errors arrive as elsewhere', { skip: Boolean(process.versions.bun) && 'no such flag' }, async () => {
  const journey = path.join(__dirname, 'support', 'journey.js');
  const program = `
    const { cloneTravel, strictTravel, travel } = require(${JSON.stringify(journey)});
    class MineError extends Error { constructor(m) { super(m); Object.defineProperty(this, 'name', { value: 'MineError' }); } }
    for (const way of [travel, strictTravel, cloneTravel]) {
      const [e, mine] = way([Object.assign(new RangeError('m', { cause: new TypeError('why') }), { code: 'E', list: [1n] }), new MineError('x')]);
      console.log(e instanceof RangeError, e.message, e.code, e.list[0], e.cause.name, mine.name, mine.message);
    }`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--frozen-intrinsics', '-e', program]);
  assert.equal(stdout, 'true m E 1n TypeError MineError x\n'.repeat(3));
});
