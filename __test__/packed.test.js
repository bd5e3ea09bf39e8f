'use strict';

// Bytes and Errors beside JSON text.

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const vm = require('node:vm');
const { BusybodyError, fromNative } = require('../lib/errors.js');
const values = require('../lib/values.js');
const { cloneTravel, join, packedBody, travel, unserializable } = require('./support/journey.js');

describe('packed bytes', () => {
  const bytes = Uint8Array.from({ length: 64 }, (_, i) => i * 37);
  const views = [
    Uint8Array, Uint8ClampedArray, Int8Array, Int16Array, Uint16Array, Int32Array, Uint32Array, Float32Array, Float64Array,
    BigInt64Array, BigUint64Array, DataView, ...(globalThis.Float16Array ? [globalThis.Float16Array] : []),
  ];
  for (const View of views) {
    test(`${View.name} arrives as itself, with memory of its own`, () => {
      const size = View.BYTES_PER_ELEMENT ?? 1;
      for (const view of [new View(bytes.buffer), new View(bytes.buffer, size, 3), new View(new ArrayBuffer(0))]) {
        // An odd neighbour before it, so that it starts at every alignment of the text behind.
        const [, { list: [arrived] }] = travel([Buffer.from('odd'), { list: [view] }]);
        assert.equal(Object.getPrototypeOf(arrived), View.prototype);
        assert.equal(arrived.byteLength, view.byteLength);
        assert.equal(arrived.buffer.byteLength, view.byteLength);
        assert.deepEqual(Buffer.from(arrived.buffer), Buffer.from(view.buffer, view.byteOffset, view.byteLength));
      }
    });
  }

  test('a Buffer arrives as a Buffer that is a view of the body', () => {
    const body = join(values.pack(['head', Buffer.from('hello'), { deep: [Buffer.from('world')] }]));
    const [head, hello, { deep: [world] }] = values.unpack(body);
    assert.equal(head, 'head');
    assert.ok(Buffer.isBuffer(hello) && Buffer.isBuffer(world));
    assert.equal(`${hello} ${world}`, 'hello world');
    assert.equal(hello.buffer, body.buffer);
  });

  test('a lone Buffer, an empty one and a slice of a pool arrive byte for byte', () => {
    const pooled = Buffer.from('0123456789').subarray(3, 7);
    for (const buffer of [Buffer.from('x'), Buffer.alloc(0), pooled, Buffer.alloc(100_000, 7)]) {
      const [arrived] = travel([buffer]);
      assert.ok(Buffer.isBuffer(arrived));
      assert.deepEqual(arrived, buffer);
    }
  });

  test('a body that starts anywhere in its memory is read the same', () => {
    const body = join(values.pack([new Float64Array([1.5, -2]), Buffer.from('ab'), new Uint16Array([7])]));
    for (let offset = 0; offset < 9; offset++) {
      const moved = Buffer.from(new ArrayBuffer(body.length + 16), offset, body.length);
      body.copy(moved);
      assert.deepEqual(values.unpack(moved), [new Float64Array([1.5, -2]), Buffer.from('ab'), new Uint16Array([7])]);
    }
  });

  test('an ArrayBuffer arrives as an ArrayBuffer', () => {
    const [arrived, { empty }] = travel([bytes.buffer, { empty: new ArrayBuffer(0) }]);
    assert.ok(arrived instanceof ArrayBuffer && empty instanceof ArrayBuffer);
    assert.deepEqual(new Uint8Array(arrived), bytes);
    assert.equal(empty.byteLength, 0);
  });

  test('typed arrays of subclasses and of other contexts arrive as the built-in', () => {
    class Mine extends Float32Array {}
    const [mine, theirs] = travel([new Mine([1, 2]), vm.runInNewContext('new Int16Array([3])')]);
    assert.deepEqual(mine, new Float32Array([1, 2]));
    assert.deepEqual(theirs, new Int16Array([3]));
  });

  test('attachments are referred to, not copied', () => {
    const buffer = Buffer.alloc(32);
    const { parts } = values.pack([buffer, new Float64Array(buffer.buffer, 0, 1)]);
    assert.equal(parts[1], buffer);
    assert.equal(parts[2].buffer, buffer.buffer);
  });

  test('the same Buffer twice arrives twice', () => {
    const buffer = Buffer.from('x');
    const [one, two] = travel([buffer, [buffer]]);
    assert.deepEqual([one, ...two], [buffer, buffer]);
    assert.notEqual(one, two[0]);
  });

  test('strings and keys that look like placeholders arrive as they are', () => {
    const plain = [
      '\u00000', '\u0000', '\u0000\u00000', { '\u00000': '\u00001', k: ['\u0000\u0000', 'x\u00000'] }, '"\u00000', '\\u00000',
    ];
    const made = [new String('\u00000'), { toJSON: () => '\u00000' }, { toJSON: () => ['\u00000'] }];
    const buffer = Buffer.from('b');
    assert.deepEqual(travel([buffer, ...plain, ...made]), [buffer, ...plain, '\u00000', '\u00000', ['\u00000']]);
  });

  test('toJSON is asked once, by its key, and may answer with bytes', () => {
    const keys = [];
    const asked = { toJSON(key) { keys.push(key); return { inner: Buffer.from('x'), same: this.tag }; }, tag: 1 };
    const answer = { inner: Buffer.from('x'), same: 1 };
    assert.deepEqual(travel([asked, { a: asked, l: [asked] }]), [answer, { a: answer, l: [answer] }]);
    assert.deepEqual(keys, ['0', 'a', '0']);
    const self = { toJSON() { return this; }, x: 1, b: Buffer.from('b') };
    assert.deepEqual(travel([self]), [{ x: 1, b: Buffer.from('b') }]);
  });

  test('a million bytes never pass through Buffer.prototype.toJSON', (t) => {
    const toJSON = t.mock.method(Buffer.prototype, 'toJSON');
    travel([{ deep: Buffer.alloc(1_000_000) }]);
    assert.equal(toJSON.mock.callCount(), 0);
  });

  test('beside bytes everything else is as JSON makes it', () => {
    const when = new Date(1e12);
    const others = { u: undefined, n: NaN, f() {}, d: when, m: new Map([[1, 2]]), a: [undefined, () => {}, Symbol('s')] };
    assert.deepEqual(travel([Buffer.from('x'), others, undefined, () => {}]), [
      Buffer.from('x'), JSON.parse(JSON.stringify(others)), null, null,
    ]);
  });

  test('what cannot be packed is a TypeError', () => {
    const cycle = [Buffer.alloc(1)];
    cycle.push({ cycle });
    const detached = new ArrayBuffer(8);
    structuredClone(detached, { transfer: [detached] });
    const throwing = { toJSON() { throw new Error('x'); } };
    for (const value of [cycle, [Buffer.alloc(1), 1n], new SharedArrayBuffer(8), detached, throwing]) {
      assert.throws(() => travel([value]), unserializable);
    }
  });
});

describe('errors in a packed message', () => {
  test('arrive from anywhere inside', () => {
    const [{ list: [arrived] }, buffer] = travel([{ list: [new RangeError('deep')] }, Buffer.from('b')]);
    assert.ok(arrived instanceof RangeError);
    assert.deepEqual(buffer, Buffer.from('b'));
  });

  test('a remote\'s description cannot shadow a method or a prototype', () => {
    const described = '{"name":"BusybodyError","code":"E_NOT_OURS","message":5,'
      + '"props":{"__proto__":{"x":1},"constructor":1,"toString":1,"y":2}}';
    const bytes = Buffer.concat([Buffer.from(described), Buffer.alloc(-described.length & 7)]);
    const [arrived] = values.unpack(packedBody([[15, described.length]], bytes, '["\\u00000"]'));
    assert.equal(Object.getPrototypeOf(arrived), Error.prototype);
    assert.deepEqual({ ...arrived }, { code: 'E_NOT_OURS', y: 2 });
    assert.equal(String(arrived), 'BusybodyError');
  });

  test('reviving leaves Error.stackTraceLimit as it was', () => {
    const before = Error.stackTraceLimit;
    travel([new Error('x')]);
    assert.equal(Error.stackTraceLimit, before);
  });

  test('the native side\'s errors are ours by code, the system\'s by theirs', () => {
    const ours = fromNative('ERR_NO_BRIDGE', 'nobody');
    assert.ok(ours instanceof BusybodyError);
    assert.deepEqual([ours.name, ours.code, Object.keys(ours)], ['BusybodyError', 'ERR_NO_BRIDGE', ['code']]);
    const system = fromNative('EADDRINUSE', 'taken');
    assert.deepEqual([Object.getPrototypeOf(system), system.code], [Error.prototype, 'EADDRINUSE']);
  });
});

for (const [way, travelled] of [['json', travel], ['advanced', cloneTravel]]) {
  describe(`errors (${way})`, () => {
    test('built-in ones arrive as their class, with message, code and stack', () => {
      for (const Type of [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]) {
        const error = Object.assign(new Type('boom'), { code: 'E_BOOM', statusCode: 404, detail: { fields: ['a'] } });
        const [arrived] = travelled([error, 1]);
        assert.equal(Object.getPrototypeOf(arrived), Type.prototype);
        assert.deepEqual({ ...arrived }, { code: 'E_BOOM', statusCode: 404, detail: { fields: ['a'] } });
        assert.deepEqual([arrived.name, arrived.message, arrived.stack], [error.name, 'boom', error.stack]);
        assert.equal(Object.keys(arrived).includes('stack'), false);
      }
    });

    test('ours arrive as BusybodyError, custom ones by name', () => {
      class MineError extends Error { name = 'MineError'; }
      const [ours, mine, abort] = travelled([
        new BusybodyError('ERR_TIMEOUT', 'late'), new MineError('m'), new DOMException('gone', 'AbortError'),
      ]);
      assert.ok(ours instanceof BusybodyError);
      assert.deepEqual([ours.name, ours.code, ours.message], ['BusybodyError', 'ERR_TIMEOUT', 'late']);
      assert.deepEqual([Object.getPrototypeOf(mine), mine.name, `${mine}`], [Error.prototype, 'MineError', 'MineError: m']);
      assert.deepEqual([abort.name, abort.message, abort.code], ['AbortError', 'gone', 20]);
    });

    test('causes and aggregates arrive, to a bounded depth', () => {
      const root = new Error('root');
      const outer = new Error('outer', { cause: new TypeError('inner', { cause: root }) });
      root.cause = outer;
      const [arrived, many, odd] = travelled([
        outer, new AggregateError([new RangeError('one'), 2], 'all'), new Error('x', { cause: 'why' }),
      ]);
      assert.equal(arrived.cause.name, 'TypeError');
      assert.equal(arrived.cause.cause.message, 'root');
      assert.ok(many instanceof AggregateError && many.errors[0] instanceof RangeError);
      assert.equal(many.errors.length, 1);
      assert.equal(odd.cause, 'why');
    });

    test('what hangs on an error and cannot travel is left behind', () => {
      const error = Object.assign(new Error('x'), {
        big: 1n, self: null, socket: new (class { x = Buffer.alloc(9); })(), body: 'x'.repeat(1e6), fn() {},
        ok: 1, toString: 'no',
      });
      Object.defineProperty(error, 'bad', { enumerable: true, get() { throw new Error('getter'); } });
      error.self = error;
      const [arrived] = travelled([error]);
      assert.deepEqual({ ...arrived }, { ok: 1 });
      assert.equal(String(arrived), 'Error: x');
    });

    test('an error of another context is an Error here', () => {
      const [arrived] = travelled([vm.runInNewContext('new TypeError("far")')]);
      assert.ok(arrived instanceof TypeError);
      assert.equal(arrived.message, 'far');
    });
  });
}
