'use strict';

// Values arrive as they were sent: each kind, with the settings that promise it.

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const vm = require('node:vm');
const values = require('../lib/values.js');
const { CLONE, cloneTravel, join, travel } = require('./support/journey.js');

const { pack, write } = values.FORMATS.values;

/** Kinds of values that arrive as themselves with 'values' and with 'advanced'. */
const KINDS = {
  'undefined': [undefined],
  'undefined in objects and arrays': [{ a: undefined, list: [undefined, 1, undefined] }],
  'NaN and the infinities': [NaN, Infinity, -Infinity, { list: [NaN, Infinity, -Infinity] }],
  'zeros': [0, -0, [0, -0], { a: -0 }],
  'numbers of every size': [1.5e300, Number.MIN_VALUE, Number.MAX_SAFE_INTEGER, -1, 2 ** 53],
  'BigInts': [0n, 1n, -1n, 2n ** 64n, -(2n ** 200n), { big: 10n ** 100n }],
  'Dates': [new Date(0), new Date(-1), new Date(8.64e15), { at: new Date(1e12) }],
  'RegExps': [/a/, /\/"\n/giu, /[/]/y, new RegExp(''), new RegExp(String.raw`\0\n/`)],
  'Maps': [new Map(), new Map([['a', 1], [{ key: 1 }, new Map([[NaN, undefined]])]])],
  'Sets': [new Set(), new Set([1, 'a', [2], new Set([3n])])],
  'arrays with undefined and null': [[undefined, null]],
  'sparse arrays': [[1, , 3], [, ,], [, 1], new Array(5), [[, 'in one']]], // eslint-disable-line no-sparse-arrays -- those are meant
  'strings that look like tags': ['\0', '\0u', '\0\0', '\x000', '\0h3', { '\0u': '\0d5', list: ['\0h2', undefined] }, new Set(['\0n1'])],
  'strings': ['', 'ü€😀', '\ud800', 'a\u2028b', 'x'.repeat(100_000)],
  'plain data': [{ a: { b: [1, 'x', true, null, { c: {} }] } }, [[]], {}],
  'bytes inside of everything': [new Map([['b', Buffer.from('abc')]]), new Set([new Float64Array([0.5])])],
};

for (const [way, travelled] of [['values', travel], ['advanced', cloneTravel]]) {
  describe(`${way}: what is sent arrives`, () => {
    for (const [name, args] of Object.entries(KINDS)) {
      test(name, () => {
        const arrived = travelled(args);
        assert.deepEqual(arrived, args);
      });
    }

    test('an invalid Date', () => {
      const [arrived] = travelled([new Date(NaN)]);
      assert.ok(arrived instanceof Date && Number.isNaN(arrived.getTime()));
    });

    test('holes are holes, and undefined is a value', () => {
      const [[list]] = travelled([[[1, , undefined, , ]]]); // eslint-disable-line no-sparse-arrays -- that is what is meant
      assert.equal(list.length, 4);
      assert.deepEqual(Object.keys(list), ['0', '2']);
    });

    test('arrays far longer than what is in them take no room', () => {
      const vast = [1];
      vast[4_294_967_294] = new Set([2]);
      const hollow = [];
      hollow[29_999_999] = 0; // so that the engine does not reserve room for it here
      delete hollow[29_999_999];
      const [first, { second }] = travelled([vast, { second: hollow }]);
      assert.deepEqual([first.length, Object.keys(first)], [2 ** 32 - 1, ['0', '4294967294']]);
      assert.deepEqual(first[4_294_967_294], new Set([2]));
      assert.deepEqual([second.length, Object.keys(second)], [30_000_000, []]);
    });

    test('URLs', () => {
      const url = new URL('https://user@host:8080/a b/?q=ü#\0"');
      const [arrived, { list: [inside] }] = travelled([url, { list: [url] }]);
      assert.ok(arrived instanceof URL);
      assert.equal(arrived.href, url.href);
      assert.equal(inside, arrived);
    });

    test('what refers to the same thing does so over there', () => {
      const shared = { n: 1 };
      const list = [shared];
      const when = new Date(5);
      const [a, { b, c }, map, [d, e]] = travelled([shared, { b: shared, c: list }, new Map([[shared, list]]), [when, when]]);
      assert.deepEqual(a, { n: 1 });
      for (const same of [b, c[0], [...map.keys()][0]]) assert.equal(same, a);
      assert.equal(map.get(a), c);
      assert.deepEqual(d, when);
      assert.equal(e, d);
    });

    test('one object among a thousand that stands in two places', () => {
      const rows = Array.from({ length: 1000 }, (_, id) => ({ id, tags: ['a', 'b'] }));
      rows.push({ id: 1000, tags: rows[500].tags });
      const [arrived] = travelled([rows]);
      assert.deepEqual(arrived, rows);
      assert.equal(arrived[1000].tags, arrived[500].tags);
      assert.notEqual(arrived[1].tags, arrived[2].tags);
    });

    test('cycles through objects, arrays, Maps, Sets and errors', () => {
      const ring = { name: 'ring', list: [], map: new Map(), set: new Set() };
      ring.list.push(ring, ring.list);
      ring.map.set(ring, ring.map);
      ring.set.add(ring.set).add(ring);
      ring.error = Object.assign(new Error('around'), { ring });
      const [arrived] = travelled([ring]);
      assert.equal(arrived.list[0], arrived);
      assert.equal(arrived.list[1], arrived.list);
      assert.equal(arrived.map.get(arrived), arrived.map);
      assert.deepEqual([arrived.set.has(arrived.set), arrived.set.has(arrived)], [true, true]);
      assert.equal(arrived.error.message, 'around');
      const [list] = travelled([arrived.list]);
      assert.equal(list[1], list);
    });

    test('a property of an error that refers to what the error is in', () => {
      const request = { id: 7 };
      request.error = Object.assign(new Error('failed'), { request });
      const [{ id, error }] = travelled([request]);
      assert.deepEqual([id, error.request.id, error.request.error], [7, 7, error]);
    });

    test('arrays shared by arrays, sixty levels deep', () => {
      let shared = [];
      for (let i = 0; i < 60; i++) shared = [shared, shared];
      let [arrived] = travelled([shared]);
      for (let i = 0; i < 60; i++) {
        assert.equal(arrived[0], arrived[1]);
        [arrived] = arrived;
      }
      assert.deepEqual(arrived, []);
    });

    test('nesting of a thousand levels', () => {
      let deep = 1n;
      for (let i = 0; i < 1000; i++) deep = i % 2 ? [deep] : { deep };
      let [arrived] = travelled([deep]);
      for (let i = 0; i < 1000; i++) arrived = Array.isArray(arrived) ? arrived[0] : arrived.deep;
      assert.equal(arrived, 1n);
    });

    test('values of another vm context, as a test runner makes them', () => {
      const theirs = vm.runInNewContext(`({
        plain: { a: [1, { b: undefined }] }, empty: {}, date: new Date(5), map: new Map([[1, new Set([2])]]), re: /x/g, big: 1n,
        bytes: new Uint8Array([1, 2]), error: Object.assign(new RangeError('far'), { code: 'E_FAR' }), none: Object.create(null),
      })`);
      const [{ error, ...rest }] = travelled([theirs]);
      assert.deepEqual(rest, {
        plain: { a: [1, { b: undefined }] }, empty: {}, date: new Date(5), map: new Map([[1, new Set([2])]]), re: /x/g, big: 1n,
        bytes: new Uint8Array([1, 2]), none: {},
      });
      assert.ok(error instanceof RangeError);
      assert.deepEqual([error.message, error.code], ['far', 'E_FAR']);
    });

    test('instances of classes arrive as plain objects with what they own', () => {
      class Point {
        #secret = 1;
        x = 1;
        get sum() {
          return this.x + this.#secret;
        }
      }
      class Place extends Point {
        at = new Date(5);
        nothing = undefined;
      }
      const [point, place] = travelled([new Point(), [new Place()]]);
      assert.deepEqual([point, place], [{ x: 1 }, [{ x: 1, at: new Date(5), nothing: undefined }]]);
      assert.deepEqual(travelled([Object.assign(Object.create(null), { a: 1 }), Object.create({ inherited: 1 })]), [{ a: 1 }, {}]);
    });

    test('boxed values arrive unboxed or boxed, and equal', () => {
      const boxed = [new Number(1.5), new String('\0s'), new Boolean(false), Object(5n)];
      assert.deepEqual(travelled([boxed])[0].map((value) => value.valueOf()), [1.5, '\0s', false, 5n]);
    });

    test('a key called __proto__ is a key', () => {
      const evil = JSON.parse('{"__proto__":{"polluted":true},"a":1}');
      evil.also = evil.__proto__; // which is a property here
      const [arrived, { extra }] = travelled([evil, { extra: new Map([['__proto__', evil]]) }]);
      assert.equal(Object.getPrototypeOf(arrived), Object.prototype);
      assert.deepEqual(Object.getOwnPropertyDescriptor(arrived, '__proto__').value, { polluted: true });
      assert.equal(Object.getOwnPropertyDescriptor(arrived, '__proto__').value, arrived.also);
      assert.equal(extra.get('__proto__'), arrived);
      assert.equal({}.polluted, undefined);
    });
  });
}

describe('values', () => {
  test('plain data is JSON text and nothing else', () => {
    class Row {
      id = 1;
      tags = ['a'];
    }
    const plain = [
      [], ['a'], [1, 'a', true, null], [{ a: { b: [1.5, { c: null }] }, list: [[], {}] }], [[{}, []]], [new Row(), [new Row()]],
      [Object.assign(Object.create(null), { a: 1 })], [Array.from({ length: 100 }, (_, id) => ({ id, at: [id] }))],
      [JSON.parse('{"__proto__":{"x":1}}')],
    ];
    for (const args of plain) {
      assert.equal(write(args), JSON.stringify(args));
    }
  });

  test('an enumerable property of Object.prototype is nobody\'s own', (t) => {
    Object.prototype.polluted = 'yes';
    t.after(() => delete Object.prototype.polluted);
    const sent = [{ a: 1, b: [{}] }];
    assert.equal(write(sent), JSON.stringify(sent));
    assert.equal(write(sent), '[{"a":1,"b":[{}]}]');
  });

  test('a getter that changes its mind spoils nothing but its own value', () => {
    for (const later of [NaN, undefined, () => {}, Symbol('s')]) {
      let asked = 0;
      const text = write([{ get fickle() { return asked++ === 0 ? 1 : later; }, b: 2 }]);
      assert.equal(JSON.parse(text)[0].b, 2);
    }
  });

  test('the scan lets go of what it has seen', { skip: CLONE === 3 && 'no --expose-gc' }, async () => {
    const { setFlagsFromString } = require('node:v8');
    setFlagsFromString('--expose-gc');
    const gc = vm.runInNewContext('gc');
    const seen = [1, 40].map((count) => {
      const rows = Array.from({ length: count }, () => ({ a: {} }));
      assert.equal(write([rows]), JSON.stringify([rows]));
      return new WeakRef(rows[0]);
    });
    await new Promise((resolve) => setImmediate(resolve));
    gc();
    assert.deepEqual(seen.map((ref) => ref.deref()), [undefined, undefined]);
  });

  test('functions among the properties of objects are left out, as JSON does', () => {
    assert.deepEqual(travel([{ f() {}, x: 1, [Symbol('s')]: 2, g: class {} }, { only: () => {} }]), [{ x: 1 }, {}]);
  });

  test('toJSON is honoured, and what it makes arrives as it is', () => {
    class Money {
      constructor(cents) {
        this.cents = cents;
      }

      toJSON(key) {
        return { [key]: `${this.cents / 100} EUR`, exact: BigInt(this.cents) };
      }
    }
    const price = new Money(150);
    assert.deepEqual(travel([{ price }, [new Money(5)], new Map([['m', price]])]), [
      { price: { price: '1.5 EUR', exact: 150n } }, [{ 0: '0.05 EUR', exact: 5n }], new Map([['m', { price: '1.5 EUR', exact: 150n }]]),
    ]);
    class Day extends Date {
      toJSON() {
        return 'a day';
      }
    }
    class Bag extends Map {
      toJSON() {
        return [...this];
      }
    }
    const made = [
      [new Day(0), 'a day'], [new Bag([[1, 2]]), [[1, 2]]], [{ toJSON: () => undefined }, undefined], [{ toJSON: () => new Set([1]) }, new Set([1])],
      [Object.assign([1], { toJSON: () => 'list' }), 'list'], [Object.defineProperty({}, 'toJSON', { value: () => 1n }), 1n], [{ toJSON: () => new Date(5) }, new Date(5)], [{ toJSON: () => '\0u' }, '\0u'],
    ];
    for (const [value, expected] of made) assert.deepEqual(travel([value, [value]]), [expected, [expected]]);
    const self = { toJSON() { return { self: this, x: 1 }; } };
    const [arrived] = travel([self]);
    assert.equal(arrived.self, arrived);
  });

  test('a patched BigInt.prototype.toJSON or Map.prototype.toJSON changes nothing for others', (t) => {
    BigInt.prototype.toJSON = function toJSON() {
      return `${this}`;
    };
    t.after(() => delete BigInt.prototype.toJSON);
    assert.deepEqual(travel([5n, { a: 5n }]), [5n, { a: 5n }]);
  });

  test('getters are read, proxies are looked through', () => {
    const target = { a: 1, list: [1, 2n] };
    const seen = new Proxy(target, {});
    assert.deepEqual(travel([{ get x() { return new Set([1]); } }, seen, new Proxy([1, , 2n], {})]), // eslint-disable-line no-sparse-arrays
      [{ x: new Set([1]) }, target, [1, , 2n]]); // eslint-disable-line no-sparse-arrays
  });

  test('a sparse array with odd keys has its elements and nothing else', () => {
    const odd = Object.assign([1, , 3], { '01': 'x', '1.5': 'x', '': 'x', '-1': 'x', name: 'x' }); // eslint-disable-line no-sparse-arrays
    assert.deepEqual(Object.entries(travel([odd])[0]), [['0', 1], ['2', 3]]);
  });

  test('sharing costs no copies: a large object in a hundred places travels once', () => {
    const large = { text: 'x'.repeat(10_000) };
    assert.ok(join(pack([new Array(100).fill(large)])).length < 15_000);
  });
});
