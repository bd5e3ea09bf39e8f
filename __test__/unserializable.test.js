'use strict';

// What cannot travel is refused by name and place: never an empty object or a null in silence.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { EventEmitter } = require('node:events');
const net = require('node:net');
const { describe, test } = require('node:test');
const stream = require('node:stream');
const { Worker } = require('node:worker_threads');
const { CLONE, cloneTravel, travel, unserializable } = require('./support/journey.js');

/** Something of each kind that belongs to its process; `end` ends what has been started. */
function foreigners(end) {
  const timer = setTimeout(() => {}, 1);
  const immediate = setImmediate(() => {});
  const { port1, port2 } = new MessageChannel();
  end(() => [clearTimeout(timer), clearImmediate(immediate), port1.close(), port2.close()]);
  class Secret {
    #hidden = 1;
    get hidden() {
      return this.#hidden;
    }
  }
  class Methods {
    only = () => {};
  }
  class Target extends EventTarget {
    data = 1;
  }
  return {
    'a function': () => {}, 'a class': class {}, 'a symbol': Symbol('s'), 'a boxed symbol': Object(Symbol('s')),
    'an AbortSignal': AbortSignal.abort(), 'an AbortController': new AbortController(), 'a Blob': new Blob(['x']), 'Headers': new Headers({ a: '1' }),
    'a FormData': new FormData(), 'URLSearchParams': new URLSearchParams('a=1'), 'a Request': new Request('http://a'), 'a Response': new Response('x'),
    'a ReadableStream': new ReadableStream(), 'a WritableStream': new WritableStream(), 'a TransformStream': new TransformStream(),
    'a stream of node:stream': stream.Readable.from(['x']), 'a PassThrough': new stream.PassThrough(), 'a socket': new net.Socket(),
    'a server': net.createServer(), 'an EventEmitter': new EventEmitter(), 'an EventTarget': new EventTarget(), 'a class of one': new Target(),
    'an Event': new Event('x'), 'a MessagePort': port1, 'a MessageChannel': new MessageChannelOf(port1, port2),
    'a WeakMap': new WeakMap(), 'a WeakSet': new WeakSet(), 'a WeakRef': new WeakRef({}), 'a FinalizationRegistry': new FinalizationRegistry(() => {}),
    'a promise': Promise.resolve(1), 'a generator': (function* one() { yield 1; })(), 'an iterator': [1][Symbol.iterator](), 'a Map iterator': new Map().keys(),
    'a SharedArrayBuffer': new SharedArrayBuffer(8), 'a DateTimeFormat': new Intl.DateTimeFormat(), 'a TextEncoder': new TextEncoder(),
    'a KeyObject': crypto.createSecretKey(Buffer.from('k')), 'a Hash': crypto.createHash('sha256'),
    'a WebAssembly.Memory': new WebAssembly.Memory({ initial: 1 }), 'a timer': timer, 'an immediate': immediate,
    'an object with all it has in private fields': new Secret(), 'an object with methods only': new Methods(),
  };
}

function MessageChannelOf(port1, port2) {
  Object.assign(this, { port1, port2 });
}

for (const [way, travelled] of [['values', travel], ['advanced', cloneTravel]]) {
  describe(`${way}: what belongs to its process is refused`, () => {
    test('as an argument, in an array, in an object, in a Map and in a Set', (t) => {
      for (const [name, value] of Object.entries(foreigners((end) => t.after(end)))) {
        const refused = (args, path) => {
          assert.throws(() => travelled(args), ({ code, message, name: type }) => {
            assert.deepEqual([type, code], ['TypeError', 'ERR_UNSERIALIZABLE'], name);
            assert.ok(message.startsWith(path), `${name}: ${message}`);
            return true;
          });
        };
        refused([value], 'args[0]');
        refused([1, [2, value]], 'args[1][1]');
        refused([new Map([['key', value]])], 'args[0].get("key")');
        refused([new Set([1, value])], 'args[0].keys()[1]');
        if (typeof value !== 'function') refused([{ user: { 'a b': [value] } }], 'args[0].user["a b"][0]');
        if (typeof value !== 'function') refused([{ user: { value } }], 'args[0].user.value');
      }
    });

    test('the kind is named', () => {
      for (const [value, text] of [
        [AbortSignal.abort(), 'args[0].x cannot be serialized: it is an AbortSignal'], [Symbol('s'), 'args[0].x cannot be serialized: it is a symbol'],
        [new Set([() => {}]), 'args[0].x.keys()[0] cannot be serialized: it is a function'],
      ]) assert.throws(() => travelled([{ x: value }]), { message: text });
    });

    test('getters and proxies that throw, with what they threw as the cause', () => {
      const mine = new RangeError('mine');
      const fail = () => {
        throw mine;
      };
      const traps = ['get', 'ownKeys', 'getPrototypeOf', 'getOwnPropertyDescriptor'];
      const broken = [{ get x() { return fail(); } }, ...traps.map((trap) => new Proxy({ x: 1 }, { [trap]: fail }))];
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      for (const value of broken) {
        assert.throws(() => travelled([{ in: value }]), (error) => error.code === 'ERR_UNSERIALIZABLE' && error.cause === mine);
      }
      assert.throws(() => travelled([{ in: { get x() { return fail(); } } }]), { message: 'args[0].in.x cannot be serialized: mine' });
      for (const thrown of [null, undefined, 'text', Object.create(null), Symbol('s'), new Proxy({}, { get: fail })]) {
        assert.throws(() => travelled([{ get x() { throw thrown; } }]), unserializable);
      }
      assert.throws(() => travelled([proxy]), unserializable);
    });

    test('nesting too deep for the stack', () => {
      let deep = [];
      for (let i = 0; i < 200_000; i++) deep = [deep];
      assert.throws(() => travelled([deep]), unserializable);
      let maps = new Map();
      for (let i = 0; i < 100_000; i++) maps = new Map([[0, maps]]);
      assert.throws(() => travelled([maps]), unserializable);
    });

    test('a path longer than a line is cut in the middle', () => {
      let deep = Symbol('s');
      for (let i = 0; i < 400; i++) deep = { deep };
      assert.throws(() => travelled([deep]), ({ message }) => message.startsWith('args[0].deep.deep') && message.includes('…') && message.length < 400);
    });
  });
}

test('what was refused once is refused again, and does not spoil the next message', () => {
  const signal = AbortSignal.abort();
  for (let i = 0; i < 3; i++) assert.throws(() => travel([{ signal }]), unserializable);
  assert.deepEqual(travel([{ a: 1n }]), [{ a: 1n }]);
});

test('toJSON that throws is the cause', () => {
  const broken = { toJSON() { throw new RangeError('mine'); } };
  assert.throws(() => travel([[broken]]), { code: 'ERR_UNSERIALIZABLE', message: 'args[0][0] cannot be serialized: mine' });
  assert.throws(() => travel([{ toJSON: () => AbortSignal.abort() }]), unserializable);
});

test('a worker and a node of the bus', { skip: CLONE === 3 && 'a worker of Bun is an EventTarget' }, async (t) => {
  const { createNode } = require('..');
  const worker = new Worker('', { eval: true });
  const node = createNode({ path: '/nowhere/at/all', maxConnectionAttempts: 1, onConnect() {} });
  t.after(() => Promise.all([worker.terminate(), node.leave()]));
  for (const value of [worker, node]) assert.throws(() => travel([{ value }]), unserializable);
});
