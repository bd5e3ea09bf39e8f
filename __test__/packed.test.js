'use strict';

// Bytes and Errors beside JSON text.

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const vm = require('node:vm');
const { BusybodyError, fromNative } = require('../lib/errors.js');
const values = require('../lib/values.js');
const { join, packedBody, strictTravel, travel, unserializable } = require('./support/journey.js');

const { pack } = values.FORMATS.values;

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
    const body = join(pack(['head', Buffer.from('hello'), { deep: [Buffer.from('world')] }]));
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
    const body = join(pack([new Float64Array([1.5, -2]), Buffer.from('ab'), new Uint16Array([7])]));
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
    const { parts } = pack([buffer, new Float64Array(buffer.buffer, 0, 1)]);
    assert.equal(parts[1], buffer);
    assert.equal(parts[2].buffer, buffer.buffer);
  });

  test('the same bytes twice travel once and arrive as one', () => {
    for (const sent of [Buffer.from('x'), new Float64Array(2), new ArrayBuffer(8)]) {
      assert.equal(pack([sent, [sent]]).parts.length, 2);
      const [one, [two]] = travel([sent, [sent]]);
      assert.deepEqual(one, sent);
      assert.equal(two, one);
    }
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
    assert.deepEqual(strictTravel([asked, { a: asked, l: [asked] }]), [answer, { a: answer, l: [answer] }]);
    assert.deepEqual(keys.splice(0), ['0', 'a', '0']);
    assert.deepEqual(travel([{ a: asked, l: [asked] }]), [{ a: answer, l: [answer] }]);
    assert.deepEqual(keys, ['a']); // what stands in two places arrives as one
    const self = { toJSON() { return this; }, x: 1, b: Buffer.from('b') };
    assert.deepEqual(travel([self]), [{ x: 1, b: Buffer.from('b') }]);
  });

  test('a million bytes never pass through Buffer.prototype.toJSON', (t) => {
    const toJSON = t.mock.method(Buffer.prototype, 'toJSON');
    travel([{ deep: Buffer.alloc(1_000_000) }]);
    assert.equal(toJSON.mock.callCount(), 0);
  });

  test('strict: beside bytes everything else is as JSON makes it', () => {
    const when = new Date(1e12);
    const others = { u: undefined, n: NaN, f() {}, d: when, m: new Map([[1, 2]]), a: [undefined, () => {}, Symbol('s')] };
    assert.deepEqual(strictTravel([Buffer.from('x'), others, undefined, () => {}]), [
      Buffer.from('x'), JSON.parse(JSON.stringify(others)), null, null,
    ]);
  });

  test('what cannot be packed is a TypeError', () => {
    const cycle = [Buffer.alloc(1)];
    cycle.push({ cycle });
    const detached = new ArrayBuffer(8);
    structuredClone(detached, { transfer: [detached] });
    const throwing = { toJSON() { throw new Error('x'); } };
    for (const value of [new SharedArrayBuffer(8), detached, throwing]) assert.throws(() => travel([value]), unserializable);
    for (const value of [cycle, [Buffer.alloc(1), 1n], new SharedArrayBuffer(8), detached, throwing]) {
      assert.throws(() => strictTravel([value]), unserializable);
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

  test('the native side\'s errors are ours by code, the system\'s by theirs', () => {
    const ours = fromNative('ERR_NO_BRIDGE', 'nobody');
    assert.ok(ours instanceof BusybodyError);
    assert.deepEqual([ours.name, ours.code, Object.keys(ours)], ['BusybodyError', 'ERR_NO_BRIDGE', ['code']]);
    const system = fromNative('EADDRINUSE', 'taken');
    assert.deepEqual([Object.getPrototypeOf(system), system.code], [Error.prototype, 'EADDRINUSE']);
  });
});
