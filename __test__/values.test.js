'use strict';

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const vm = require('node:vm');
const { BusybodyError, fromNative } = require('../lib/errors.js');
const values = require('../lib/values.js');

const JSON_TEXT = 0;
const PACKED = 1;
const CLONE = process.versions.bun ? 3 : 2;

/** What the native side makes of pack()'s result. */
function join({ text, parts }) {
  const padded = parts.map((part) => Buffer.concat([part, Buffer.alloc(-part.byteLength & 7)]));
  return Buffer.concat([...padded, Buffer.from(text)]);
}

/** As one process sends and another receives. */
function travel(args) {
  if (!values.needsPacking(args)) return values.decode(JSON_TEXT, values.stringify(args));
  return values.decode(PACKED, join(values.pack(args)));
}

function cloneTravel(args) {
  const { encoding, body } = values.packClone(args);
  return values.decode(encoding, body);
}

/** A packed body by hand: entries are [kind, claimed length], bytes what follows the header. */
function packedBody(entries, bytes, text) {
  const header = Buffer.alloc(8 + 8 * entries.length);
  header.writeUInt32LE(entries.length, 0);
  entries.forEach(([kind, length], i) => {
    header.writeUInt32LE(kind, 8 + 8 * i);
    header.writeUInt32LE(length, 12 + 8 * i);
  });
  return Buffer.concat([header, bytes, Buffer.from(text)]);
}

const unserializable = { name: 'TypeError', code: 'ERR_UNSERIALIZABLE' };
const protocol = { name: 'BusybodyError', code: 'ERR_PROTOCOL' };

describe('JSON values', () => {
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
      assert.equal(values.needsPacking(args), false);
      assert.equal(values.stringify(args), text);
      assert.deepEqual(travel(args), JSON.parse(text));
      // and the slow way agrees with the fast one
      assert.deepEqual(values.unpack(join(values.pack(args))), JSON.parse(text));
    });
  }

  test('every UTF-16 unit is quoted as JSON does', () => {
    for (let unit = 0; unit < 0x10000; unit++) {
      const args = [`a${String.fromCharCode(unit)}b`];
      assert.equal(values.stringify(args), JSON.stringify(args));
    }
  });

  test('what JSON cannot write is a TypeError that keeps its cause', () => {
    const cycle = { name: 'ring' };
    cycle.self = cycle;
    for (const args of [[cycle], [1n], [{ a: [1n] }], [[cycle], Buffer.alloc(1)]]) {
      assert.throws(() => travel(args), unserializable);
    }
    assert.throws(() => values.stringify([1n]), (error) => error.cause instanceof TypeError);
  });

  test('a getter that throws is the caller\'s error, not a crash of the scan', () => {
    const trap = { get x() { throw new RangeError('mine'); } };
    assert.throws(() => travel([trap]), (error) => error.code === 'ERR_UNSERIALIZABLE' && error.cause.message === 'mine');
  });

  test('functions are left out, as JSON does', () => {
    assert.deepEqual(travel([{ f() {}, x: 1 }, () => {}, [() => {}]]), [{ x: 1 }, null, [null]]);
  });

  test('more arguments than a call can take are refused on both sides', () => {
    const many = new Array(10_001).fill(1);
    assert.throws(() => values.stringify(many), unserializable);
    assert.throws(() => values.pack(many), unserializable);
    assert.throws(() => values.packClone(many), unserializable);
    assert.throws(() => values.decode(JSON_TEXT, JSON.stringify(many)), protocol);
    assert.deepEqual(values.decode(JSON_TEXT, values.stringify(many.slice(1))).length, 10_000);
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

describe('needsPacking', () => {
  test('finds bytes, errors and toJSON wherever they are', () => {
    const hidden = [
      Buffer.alloc(1), new Uint8Array(1), new DataView(new ArrayBuffer(1)), new ArrayBuffer(1), new SharedArrayBuffer(1),
      new Error('x'), new URL('http://a'), { toJSON() { return 1; } }, Object.assign(() => {}, { toJSON: () => 'x' }),
      vm.runInNewContext('new Error("x")'), vm.runInNewContext('new ArrayBuffer(1)'), new DOMException('x'),
    ];
    for (const value of hidden) {
      for (const args of [[value], [1, value], [[value]], [{ a: { b: [value] } }], [new (class { x = value; })()]]) {
        assert.equal(values.needsPacking(args), true);
      }
    }
  });

  test('ends on cycles, on depth and on arrays shared by arrays', () => {
    const cycle = [];
    cycle.push(cycle, cycle);
    assert.equal(values.needsPacking([cycle]), true);
    let deep = {};
    for (let i = 0; i < 100_000; i++) deep = { deep };
    assert.equal(values.needsPacking([deep]), true);
    let shared = [];
    for (let i = 0; i < 60; i++) shared = [shared, shared];
    assert.equal(values.needsPacking([shared]), true);
  });

  test('leaves nesting that JSON can carry to JSON, whichever way it goes', () => {
    let deep = 1;
    for (let i = 0; i < 500; i++) deep = i % 2 ? [deep] : { deep };
    assert.deepEqual(travel([deep]), [deep]);
    let bottomless = [];
    for (let i = 0; i < 100_000; i++) bottomless = [bottomless];
    assert.throws(() => travel([bottomless]), unserializable);
  });
});

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

describe('packed bodies that no peer of ours would send', () => {
  const hostile = {
    'nothing at all': Buffer.alloc(0),
    'half a header': Buffer.alloc(7),
    'no text': Buffer.alloc(8),
    'four thousand million attachments': Buffer.from('ffffffff00000000', 'hex'),
    'more attachments than bytes': packedBody([[1, 0]], Buffer.alloc(0), '[]').subarray(0, 12),
    'an attachment beyond the end': packedBody([[1, 4096]], Buffer.alloc(8), '[]'),
    'an attachment of 4 GiB': packedBody([[2, 0xffffffff]], Buffer.alloc(8), '[]'),
    'lengths whose sum overflows': packedBody([[2, 0xffffffff], [2, 0xffffffff], [2, 2]], Buffer.alloc(8), '[]'),
    'a version to come': Buffer.from('0000000001000000', 'hex'),
    'an index beyond the count': packedBody([[1, 1]], Buffer.alloc(8), '["\\u00001"]'),
    'an index without attachments': packedBody([], Buffer.alloc(0), '["\\u00000"]'),
    'an index that is none': packedBody([[1, 1]], Buffer.alloc(8), '["\\u0000x"]'),
    'an index with a sign': packedBody([[1, 1]], Buffer.alloc(8), '["\\u0000-0"]'),
    'an index in other words': packedBody([[1, 1]], Buffer.alloc(8), '["\\u000000"]'),
    'an attachment named twice': packedBody([[2, 8]], Buffer.alloc(8), '["\\u00000",["\\u00000"]]'),
    'a kind to come': packedBody([[99, 8]], Buffer.alloc(8), '["\\u00000"]'),
    'half a number': packedBody([[11, 7]], Buffer.alloc(8), '["\\u00000"]'),
    'an object': packedBody([], Buffer.alloc(0), '{"a":1}'),
    'a string': packedBody([[1, 1]], Buffer.alloc(8), '"\\u00000"'),
    'broken JSON': packedBody([], Buffer.alloc(0), '[1,'),
    'an error that is not JSON': packedBody([[15, 3]], Buffer.from('{"a\0\0\0\0\0'), '["\\u00000"]'),
    'an error that is a list': packedBody([[15, 2]], Buffer.from('[]\0\0\0\0\0\0'), '["\\u00000"]'),
  };
  for (const [name, body] of Object.entries(hostile)) {
    test(`${name}: a protocol error`, () => assert.throws(() => values.decode(PACKED, body), protocol));
  }

  test('valid bodies with any byte changed, cut off or added: a value or a protocol error', () => {
    const error = Object.assign(new TypeError('boom', { cause: new Error('why') }), { code: 'E_X', stack: 'TypeError: boom' });
    error.cause.stack = 'Error: why';
    const body = join(values.pack([Buffer.from('abc'), { f: new Float32Array(2), e: error }, '\u0000x', new ArrayBuffer(3)]));
    for (let at = 0; at < body.length; at++) {
      for (const byte of [0, 1, 2, 15, 16, 0x22, 0x5c, 0x7f, 0xff, body[at] ^ 1, body[at] ^ 0x80]) {
        const mutant = Buffer.from(body);
        mutant[at] = byte;
        valueOrProtocolError(PACKED, mutant);
      }
      valueOrProtocolError(PACKED, body.subarray(0, at));
      valueOrProtocolError(PACKED, body.subarray(at));
    }
  });

  test('a million levels of nesting do not touch the stack', () => {
    const deep = `${'['.repeat(1e6)}"\\u00000"${']'.repeat(1e6)}`;
    let value = values.unpack(packedBody([[1, 1]], Buffer.alloc(8, 5), deep));
    while (Array.isArray(value)) [value] = value;
    assert.deepEqual(value, Buffer.from([5]));
  });

  test('no key reaches a prototype', () => {
    const text = '[{"__proto__":{"polluted":"\\u00000"},"constructor":{"prototype":{"polluted":1}}},{"__proto__":"\\u00001"}]';
    const [first, second] = values.unpack(packedBody([[1, 1], [1, 1]], Buffer.alloc(16), text));
    assert.equal({}.polluted, undefined);
    assert.equal(Object.getPrototypeOf(first), Object.prototype);
    assert.equal(Object.getPrototypeOf(second), Object.prototype);
    assert.ok(Buffer.isBuffer(Object.getOwnPropertyDescriptor(second, '__proto__').value));
  });

  test('a "__proto__" of the caller\'s own travels as a property', () => {
    const [arrived] = travel([JSON.parse('{"__proto__":{"x":1}}'), Buffer.alloc(1)]);
    assert.equal(Object.getPrototypeOf(arrived), Object.prototype);
    assert.deepEqual(Object.getOwnPropertyDescriptor(arrived, '__proto__').value, { x: 1 });
  });
});

function valueOrProtocolError(encoding, body) {
  try {
    assert.ok(Array.isArray(values.decode(encoding, body)));
  } catch (error) {
    assert.equal(error.code, 'ERR_PROTOCOL', error.stack);
  }
}

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
    const args = [{ args: [1], errors: [[0, { name: 'Error' }]] }];
    assert.deepEqual(cloneTravel(args), args);
  });

  test('what cannot be cloned is a TypeError', () => {
    for (const value of [() => {}, Symbol('s'), { f() {} }, { get x() { throw new Error('x'); } }]) {
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
      1, 'x', null, {}, sparse, { args: 1, errors: [] }, { args: [], errors: [[0, {}]] }, { args: [1], errors: [[5, {}]] },
      { args: [1], errors: [['length', {}]] }, { args: [1], errors: [null] }, { args: [1], errors: [[0, 7]] },
    ];
    for (const value of wrong) assert.throws(() => values.decode(CLONE, v8.serialize(value)), protocol);
    for (const bytes of ['', 'ff', 'ff0f', 'deadbeef', 'ff0f41ffffffff0f']) {
      assert.throws(() => values.decode(CLONE, Buffer.from(bytes, 'hex')), protocol);
    }
  });

  test('valid clones with any byte changed or cut off: a value or a protocol error', () => {
    const { body } = values.packClone([
      { a: [1, 2.5, 'x'] }, new Map([[1, new Set([2n])]]), new Date(3), Buffer.from('abc'), new Error('e'),
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
