'use strict';

// JSON text, strict and fast, and structured clone: what arrives is what was sent.

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const vm = require('node:vm');
const values = require('../lib/values.js');
const {
  CLONE, JSON_TEXT, cloneTravel, join, protocol, strictTravel, unserializable, valueOrProtocolError,
} = require('./support/journey.js');

const { pack, write } = values.FORMATS.json;

describe('strict JSON', () => {
  const cases = [
    [], [''], ['a'], ['"'], ['\\'], ['\n'], ['\u0000'], ['\u00000'], ['ü€😀'], ['\ud800'],
    ['x'.repeat(100_000)], ['a', 'b"c'],
    [0], [-0], [1.5e300], [NaN], [Infinity, 1], [true, false, null, undefined], [1, 'a', null, true, undefined],
    [{}], [[]], [[[]], {}], [{ a: { b: [1, { c: null }] } }], [new Date(0)], [{ at: new Date(5) }], [Symbol('s'), 1],
    [{ a: undefined, s: Symbol('s'), n: NaN }], [new Map([[1, 2]]), new Set([1])], [/x/], [[undefined, NaN], new Array(2)],
    [Object.create(null, { x: { value: 1, enumerable: true } })], [new Number(1), new Boolean(false), new String('s')],
    ['one', 'two', 'three', 'four', 'five', 'six'], [new Date(NaN)], [JSON.parse('{"__proto__":{"x":1}}')],
  ];
  for (const args of cases) {
    test(`arrive as JSON makes them: ${JSON.stringify(args).slice(0, 50)}`, () => {
      const text = JSON.stringify(args);
      assert.equal(write(args), text);
      assert.deepEqual(strictTravel(args), JSON.parse(text));
      // and the slow way agrees with the fast one
      assert.deepEqual(values.unpack(join(pack(args))), JSON.parse(text));
    });
  }

  test('every UTF-16 unit is quoted as JSON does', () => {
    for (let unit = 0; unit < 0x10000; unit++) {
      const args = [`a${String.fromCharCode(unit)}b`];
      assert.equal(write(args), JSON.stringify(args));
    }
  });

  test('what JSON cannot write is a TypeError that keeps its cause', () => {
    const cycle = { name: 'ring' };
    cycle.self = cycle;
    for (const args of [[cycle], [1n], [{ a: [1n] }], [[cycle], Buffer.alloc(1)]]) {
      assert.throws(() => strictTravel(args), unserializable);
    }
    assert.throws(() => write([1n]), (error) => error.cause instanceof TypeError);
  });

  test('a getter that throws is the caller\'s error, not a crash of the scan', () => {
    const trap = { get x() { throw new RangeError('mine'); } };
    assert.throws(() => strictTravel([trap]), (error) => error.code === 'ERR_UNSERIALIZABLE' && error.cause.message === 'mine');
  });

  test('functions are left out, as JSON does', () => {
    assert.deepEqual(strictTravel([{ f() {}, x: 1 }, () => {}, [() => {}]]), [{ x: 1 }, null, [null]]);
  });

  test('more arguments than a call can take are refused on both sides', () => {
    const many = new Array(10_001).fill(1);
    assert.throws(() => write(many), unserializable);
    for (const format of Object.values(values.FORMATS)) assert.throws(() => format.pack(many), unserializable);
    assert.throws(() => values.packClone(many), unserializable);
    assert.throws(() => values.decode(JSON_TEXT, JSON.stringify(many)), protocol);
    assert.deepEqual(values.decode(JSON_TEXT, write(many.slice(1))).length, 10_000);
  });

  test('text that is not an array of arguments is a protocol error', () => {
    const wrong = [
      '', '{}', 'null', '1', '"a"', '[', '["', '["]', '["a"', '["a"}', '["a" ', '[1,]', '["a]', 'x', '["a\\"]',
    ];
    for (const text of wrong) {
      assert.throws(() => values.decode(JSON_TEXT, text), protocol, text);
    }
  });

  test('an encoding nobody knows is a protocol error', () => {
    for (const encoding of [4, 255, -1, undefined]) assert.throws(() => values.decode(encoding, Buffer.alloc(8)), protocol);
  });
});

describe('the scan for strict JSON', () => {
  test('finds bytes, errors and toJSON wherever they are', () => {
    const hidden = [
      Buffer.alloc(1), new Uint8Array(1), new DataView(new ArrayBuffer(1)), new ArrayBuffer(1), new SharedArrayBuffer(1),
      new Error('x'), new URL('http://a'), { toJSON() { return 1; } }, Object.assign(() => {}, { toJSON: () => 'x' }),
      vm.runInNewContext('new Error("x")'), vm.runInNewContext('new ArrayBuffer(1)'), new DOMException('x'),
    ];
    for (const value of hidden) {
      for (const args of [[value], [1, value], [[value]], [{ a: { b: [value] } }], [new (class { x = value; })()]]) {
        assert.equal(write(args), null);
      }
    }
  });

  test('ends on cycles, on depth and on arrays shared by arrays', () => {
    const cycle = [];
    cycle.push(cycle, cycle);
    assert.equal(write([cycle]), null);
    let deep = {};
    for (let i = 0; i < 100_000; i++) deep = { deep };
    assert.equal(write([deep]), null);
    let shared = [];
    for (let i = 0; i < 60; i++) shared = [shared, shared];
    assert.equal(write([shared]), null);
  });

  test('leaves nesting that JSON can carry to JSON, whichever way it goes', () => {
    let deep = 1;
    for (let i = 0; i < 500; i++) deep = i % 2 ? [deep] : { deep };
    assert.deepEqual(strictTravel([deep]), [deep]);
    let bottomless = [];
    for (let i = 0; i < 100_000; i++) bottomless = [bottomless];
    assert.throws(() => strictTravel([bottomless]), unserializable);
  });
});

describe('structured clone', () => {
  test('carries maps, sets, dates, bigints, undefined and cycles', () => {
    const cycle = { name: 'ring' };
    cycle.self = cycle;
    const [map, set, when, big, nothing, ring] = cloneTravel([
      new Map([[{ a: 1 }, 'x']]), new Set([1]), new Date(5), 10n, undefined, cycle,
    ]);
    assert.deepEqual(map, new Map([[{ a: 1 }, 'x']]));
    assert.deepEqual([set, when, big, nothing], [new Set([1]), new Date(5), 10n, undefined]);
    assert.equal(ring.self, ring);
  });

  test('carries bytes', () => {
    const [buffer, floats, raw] = cloneTravel([Buffer.from('abc'), new Float64Array([1.5]), Uint8Array.of(1, 2).buffer]);
    assert.deepEqual([...buffer], [97, 98, 99]);
    assert.deepEqual(floats, new Float64Array([1.5]));
    assert.deepEqual(new Uint8Array(raw), Uint8Array.of(1, 2));
  });

  test('errors among the arguments do not part what refers to the same thing', () => {
    const shared = {};
    const [a, error, b] = cloneTravel([shared, new TypeError('x'), [shared]]);
    assert.equal(a, b[0]);
    assert.ok(error instanceof TypeError);
  });

  test('an argument that looks like our own wrapping is an argument', () => {
    const args = [{ args: [1], instead: [[{}, 'error', { name: 'Error' }]] }];
    assert.deepEqual(cloneTravel(args), args);
    assert.deepEqual(cloneTravel([...args, new Error('x')])[0], args[0]);
  });

  test('what cannot be cloned is a TypeError', () => {
    for (const value of [() => {}, Symbol('s'), { f() {} }, [new WeakMap()], { get x() { throw new Error('x'); } }]) {
      assert.throws(() => values.packClone([value]), unserializable);
    }
  });

  test('another engine\'s clone is refused with both names', () => {
    assert.throws(() => values.decode(CLONE === 2 ? 3 : 2, Buffer.alloc(8)), {
      code: 'ERR_UNSERIALIZABLE', message: /V8.*JavaScriptCore|JavaScriptCore.*V8/,
    });
  });

  test('anything but an array of arguments is a protocol error', () => {
    const v8 = require('node:v8');
    const sparse = [];
    sparse.length = CLONE === 2 ? 4e9 : 20_001; // JavaScriptCore writes holes one by one
    const wrong = [
      1, 'x', null, {}, sparse, { args: 1, instead: [] }, { args: [1], instead: [[1, 'error', {}]] }, { args: [1], instead: [null] },
      { args: [1], instead: [[null, 'error', {}]] }, { args: [1], instead: [[{}, 'error', 7]] }, { args: [1], instead: [[{}, 'x', {}]] },
      { args: [1], instead: [[{}, 'error', []]] }, { args: [1], instead: [[{}, 'url', 'no url']] }, { args: [1], instead: [[{}, 'url', {}]] },
    ];
    for (const value of wrong) assert.throws(() => values.decode(CLONE, v8.serialize(value)), protocol);
    for (const bytes of ['', 'ff', 'ff0f', 'deadbeef', 'ff0f41ffffffff0f']) {
      assert.throws(() => values.decode(CLONE, Buffer.from(bytes, 'hex')), protocol);
    }
  });

  test('valid clones with any byte changed or cut off: a value or a protocol error', () => {
    const { body } = values.packClone([
      { a: [1, 2.5, 'x'] }, new Map([[1, new Set([2n])]]), new Date(3), Buffer.from('abc'), { e: new Error('e', { cause: new Set([1]) }) }, new URL('http://a'),
    ]);
    for (let at = 0; at < body.length; at++) {
      for (const byte of [0, 1, 0x22, 0x41, 0x5c, 0x61, 0x6f, 0x7f, 0xff, body[at] ^ 1, body[at] ^ 0x80]) {
        const mutant = Buffer.from(body);
        mutant[at] = byte;
        valueOrProtocolError(CLONE, mutant);
      }
      valueOrProtocolError(CLONE, body.subarray(0, at));
    }
  });

  test('no key reaches a prototype', () => {
    const [arrived] = cloneTravel([JSON.parse('{"__proto__":{"polluted":1}}')]);
    assert.equal({}.polluted, undefined);
    assert.equal(Object.getPrototypeOf(arrived), Object.prototype);
  });
});
