'use strict';

// Packed bodies that no peer of ours would send: ERR_PROTOCOL, and nothing worse.

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const values = require('../lib/values.js');
const { PACKED, join, packedBody, protocol, travel, valueOrProtocolError } = require('./support/journey.js');

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
