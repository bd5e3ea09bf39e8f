'use strict';

// Packed bodies that no peer of ours would send: ERR_PROTOCOL, and nothing worse.

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const values = require('../lib/values.js');
const { PACKED, join, packedBody, protocol, travel, valueOrProtocolError } = require('./support/journey.js');

const { pack } = values.FORMATS.values;

/** Texts as they stand beside each other, each padded. */
function textBytes(...texts) {
  return Buffer.concat(texts.map((text) => Buffer.concat([Buffer.from(text), Buffer.alloc(-Buffer.byteLength(text) & 7)])));
}

/** One attachment that is a text, as the only argument. */
function lone(kind, text) {
  return packedBody([[kind, Buffer.byteLength(text)]], textBytes(text), '["\\u00000"]');
}

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
    'a kind to come': packedBody([[99, 8]], Buffer.alloc(8), '["\\u00000"]'),
    'half a number': packedBody([[11, 7]], Buffer.alloc(8), '["\\u00000"]'),
    'an object': packedBody([], Buffer.alloc(0), '{"a":1}'),
    'a string': packedBody([[1, 1]], Buffer.alloc(8), '"\\u00000"'),
    'broken JSON': packedBody([], Buffer.alloc(0), '[1,'),
    'an error that is not JSON': packedBody([[15, 3]], Buffer.from('{"a\0\0\0\0\0'), '["\\u00000"]'),
    'an error that is a list': packedBody([[15, 2]], Buffer.from('[]\0\0\0\0\0\0'), '["\\u00000"]'),
    'a tag that means nothing': packedBody([], Buffer.alloc(0), '["\\u0000x"]'),
    'a tag of nothing': packedBody([], Buffer.alloc(0), '["\\u0000"]'),
    'more behind a tag': packedBody([], Buffer.alloc(0), '["\\u0000uu"]'),
    'a BigInt in decimal digits': packedBody([], Buffer.alloc(0), '["\\u0000nzz"]'),
    'a BigInt of nothing': packedBody([], Buffer.alloc(0), '["\\u0000n-"]'),
    'a Date in words': packedBody([], Buffer.alloc(0), '["\\u0000dtomorrow"]'),
    'a RegExp that does not compile': packedBody([], Buffer.alloc(0), '["\\u0000r/("]'),
    'a RegExp with odd flags': packedBody([], Buffer.alloc(0), '["\\u0000rxx/a"]'),
    'a RegExp without a slash': packedBody([], Buffer.alloc(0), '["\\u0000rg"]'),
    'a URL that is none': packedBody([], Buffer.alloc(0), '["\\u0000Uhere"]'),
    'holes in an object': packedBody([], Buffer.alloc(0), '[{"a":"\\u0000h1"}]'),
    'no holes': packedBody([], Buffer.alloc(0), '[["\\u0000h0"]]'),
    'an array longer than one can be': packedBody([], Buffer.alloc(0), '[["\\u0000h4294967295","\\u0000h1"]]'),
    'more arguments than a call can take, all of them holes': packedBody([], Buffer.alloc(0), '["\\u0000h4294967295"]'),
    'a shared value that is but itself': lone(17, '"\\u00000"'),
    'a shared value that is but another': packedBody([[17, 9], [17, 1]], textBytes('"\\u00001"', '1'), '["\\u00000"]'),
    'a shared value that is not JSON': lone(17, '{'),
    'a Map that is an object': lone(18, '{}'),
    'a Map that is a number': lone(18, '1'),
    'a Map with a key and no value': lone(18, '[1]'),
    'a Map of holes': lone(18, '["\\u0000h4294967000",1,2,3]'),
    'a Set of holes': lone(19, '["\\u0000h4294967295"]'),
    'a Set that is a string': lone(19, '"x"'),
  };
  for (const [name, body] of Object.entries(hostile)) {
    test(`${name}: a protocol error`, () => assert.throws(() => values.decode(PACKED, body), protocol));
  }

  test('valid bodies with any byte changed, cut off or added: a value or a protocol error', () => {
    const error = Object.assign(new TypeError('boom', { cause: new Error('why') }), { code: 'E_X', stack: 'TypeError: boom' });
    error.cause.stack = 'Error: why';
    const shared = { d: new Date(5), list: [1, , 2n] }; // eslint-disable-line no-sparse-arrays -- that is what is tested
    const body = join(pack([
      Buffer.from('abc'), { f: new Float32Array(2), e: error }, '\u0000x', new ArrayBuffer(3), shared, new Map([[shared, new Set([-0])]]),
      /x/g, new URL('http://a'), undefined,
    ]));
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

  test('what is named a million times is made once', () => {
    const text = `[[${new Array(1e6).fill('"\\u00000"').join()}]]`;
    const [list] = values.decode(PACKED, packedBody([[2, 1 << 20]], Buffer.alloc(1 << 20), text));
    assert.equal(list.length, 1e6);
    assert.equal(new Set(list).size, 1);
  });

  test('a hundred thousand Maps, one inside the other, do not touch the stack', () => {
    const count = 100_000;
    const texts = Array.from({ length: count }, (_, i) => (i + 1 < count ? `[0,"\\u0000${i + 1}"]` : '[]'));
    let [map] = values.decode(PACKED, packedBody(texts.map((text) => [18, text.length]), textBytes(...texts), '["\\u00000"]'));
    let depth = 0;
    for (; map !== undefined; map = map.get(0)) depth++;
    assert.equal(depth, count);
  });

  test('an array of four thousand million holes takes no room', () => {
    for (const holes of [30_000_000, 4_294_967_294]) {
      const [{ list }] = values.decode(PACKED, packedBody([], Buffer.alloc(0), `[{"list":[1,"\\u0000h${holes}"]}]`));
      assert.equal(list.length, holes + 1);
      assert.deepEqual(Object.keys(list), ['0']);
    }
  });

  test('an error that is its own cause, and its own property, is one error', () => {
    const text = '{"message":"m","cause":"\\u00000","props":{"self":"\\u00000"}}';
    const [error] = values.decode(PACKED, lone(15, text));
    assert.equal(error.cause, error);
    assert.equal(error.self, error);
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
