'use strict';

// What arrives is what was sent: through a real bus, between nodes of every setting.

const test = require('node:test');
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { once } = require('node:events');
const { Bus, LIMIT, announced, barrier, openBus } = require('./support/bus');
const { answer } = require('./support/watch');
const { tap } = require('./support/proxy');
const { startBridge, startPeer } = require('./support/child');

const SETTINGS = ['values', 'json', 'advanced'];
const everyByte = Uint8Array.from({ length: 256 }, (_, n) => n);

/** A pair of nodes with these settings, and what `ann` sends as it comes back from `bob`, who sends it back. */
async function mirror(t, sends = 'values', answers = sends) {
  const bus = await openBus(t);
  const [ann, bob] = await Promise.all([
    bus.node('ann', { serialization: sends }),
    bus.node('bob', { serialization: answers }),
  ]);
  bob.handle('mirror', (...args) => args);
  return { bus, ann, bob, there: (...args) => ann.request('bob:mirror', ...args) };
}

const BYTES = {
  'an empty Buffer': Buffer.alloc(0),
  'a Buffer of every byte': Buffer.from(everyByte),
  'a slice of a larger Buffer': Buffer.from(everyByte).subarray(3, 200),
  'an ArrayBuffer': everyByte.slice().buffer,
  'a Uint8Array': everyByte,
  'a Uint8ClampedArray': Uint8ClampedArray.from([0, 128, 255]),
  'an Int8Array': Int8Array.from([-128, 0, 127]),
  'an Int16Array': Int16Array.from([-32_768, 32_767]),
  'a Uint16Array': Uint16Array.from([0, 65_535]),
  'an Int32Array': Int32Array.from([-(2 ** 31), 2 ** 31 - 1]),
  'a Uint32Array': Uint32Array.from([0, 2 ** 32 - 1]),
  'a Float32Array': Float32Array.from([1.5, -0, NaN, Infinity]),
  'a Float64Array': Float64Array.from([Math.PI, -0, NaN, -Infinity, Number.MIN_VALUE]),
  'a BigInt64Array': BigInt64Array.from([-(2n ** 63n), 2n ** 63n - 1n]),
  'a BigUint64Array': BigUint64Array.from([0n, 2n ** 64n - 1n]),
  'a Float64Array within a larger one': new Float64Array([1, 2, 3, 4]).subarray(1, 3),
};

for (const sends of SETTINGS) {
  for (const answers of SETTINGS) {
    test(`bytes arrive byte for byte, as what they were: ${sends} to ${answers} and back`, LIMIT, async (t) => {
      const { there } = await mirror(t, sends, answers);
      for (const [name, value] of Object.entries(BYTES)) {
        const [alone, inside] = await there(value, { in: ['an object', value], and: value });
        for (const arrived of [alone, inside.in[1], inside.and]) {
          assert.equal(arrived.constructor, value.constructor, name);
          assert.deepEqual(arrived, value, name);
        }
      }
    });
  }
}

test('several kinds of bytes in one message keep their places', LIMIT, async (t) => {
  const { there } = await mirror(t);
  const inside = { b: [Uint8Array.of(1), 'text', { c: Buffer.from('ccc') }] };
  const message = [Buffer.from('a'), inside, Float64Array.of(0.1), 'end'];
  assert.deepEqual(await there(...message), message);
});

test('bytes travel as bytes: 1 MiB costs 1 MiB on the wire, each way', LIMIT, async (t) => {
  for (const serialization of SETTINGS) {
    const bus = await openBus(t);
    const wire = await tap(t, bus);
    const ann = await bus.node('ann', { url: undefined, path: wire.path, serialization });
    const bob = await bus.node('bob', { serialization });
    bob.handle('mirror', (value) => value);
    const sent = { name: 'random', bytes: crypto.randomBytes(1 << 20) };
    const before = [wire.toBridge, wire.toNode];
    assert.deepEqual(await ann.request('bob:mirror', sent), sent);
    for (const cost of [wire.toBridge - before[0], wire.toNode - before[1]]) {
      assert.ok(cost >= 1 << 20 && cost < (1 << 20) + 4096, `${serialization}: ${cost} bytes`);
    }
  }
});

test('a Buffer may be reused by its owner at once', LIMIT, async (t) => {
  const { ann, bob } = await mirror(t);
  const sums = [];
  bob.on('bytes', (bytes) => sums.push(bytes[0], bytes.at(-1)));
  for (const size of [10, 100_000, 2_000_000]) {
    const bytes = Buffer.alloc(size, 1);
    ann.publish('bob:bytes', bytes);
    bytes.fill(9);
  }
  await barrier(ann, bob);
  assert.deepEqual(sums, [1, 1, 1, 1, 1, 1]);
});

test('received bytes are the receiver’s own', LIMIT, async (t) => {
  const { ann, bob } = await mirror(t);
  const received = [];
  bob.on('bytes', (bytes) => received.push(bytes));
  for (let n = 0; n < 50; n += 1) ann.publish('bob:bytes', Buffer.alloc(1000, n));
  await barrier(ann, bob);
  received[0].fill(255);
  for (let n = 1; n < 50; n += 1) assert.deepEqual(received[n], Buffer.alloc(1000, n));
});

test('json: whatever JSON.stringify takes arrives as JSON.parse would give it', LIMIT, async (t) => {
  const { there } = await mirror(t, 'json');
  const date = new Date(0);
  const values = [
    'text', '', 'ünï 日本 🚌', '\u0000', '\u00000', '\u0000\u0000', '\ud800 lone', 'a\u2028b',
    0, -1.5, 1e300, NaN, Infinity, -0, true, null, [], {},
    [[[]]], { a: { b: [1, { c: null }] } }, { undefined, f() {}, s: Symbol('s') }, [undefined, () => {}], date,
    { toJSON: (key) => `made by toJSON for ${typeof key}` }, new Map([[1, 2]]), new Boolean(false),
    Object.create({ inherited: 1 }), { '\u00000': '\u00000' }, { $buffer: 0, type: 'Buffer', data: [1, 2] },
  ];
  for (const value of values) {
    const [arrived] = await there(value);
    assert.deepEqual(arrived, JSON.parse(JSON.stringify([value]))[0]);
    const [, beside] = await there(Buffer.from('x'), { value });
    assert.deepEqual(beside, JSON.parse(JSON.stringify({ value })));
  }
});

test('a key called __proto__ is a key, and poisons nobody', LIMIT, async (t) => {
  const { there, bob, ann } = await mirror(t);
  for (const bytes of [null, Buffer.from('b')]) {
    const evil = JSON.parse('{"__proto__": {"polluted": true}, "constructor": {"prototype": {"polluted": true}}}');
    Object.defineProperty(evil.__proto__, 'bytes', { value: bytes, enumerable: true });
    const [arrived] = await there(evil);
    assert.deepEqual(Object.keys(arrived), ['__proto__', 'constructor']);
    assert.equal(Object.getPrototypeOf(arrived), Object.prototype);
    assert.deepEqual(Object.getOwnPropertyDescriptor(arrived, '__proto__').value, { polluted: true, bytes });
  }
  assert.equal({}.polluted, undefined);
  assert.equal(bob.polluted ?? ann.polluted, undefined);
});

for (const [sends, answers] of [['values', 'values'], ['values', 'advanced'], ['advanced', 'values'], ['advanced', 'json']]) {
  test(`Map, Set, Date, RegExp, URL, BigInt, undefined, NaN, -0, holes, cycles: ${sends} to ${answers} and back`, LIMIT, async (t) => {
    const { there } = await mirror(t, sends, answers);
    const cycle = { name: 'cycle', list: [] };
    cycle.self = cycle;
    cycle.list.push(cycle);
    const values = [
      new Map([['k', new Set([1, 2])]]), new Date(1e12), /x+/gi, 2n ** 70n, undefined, NaN, -0, -Infinity, [1, , 3], // eslint-disable-line no-sparse-arrays
      { at: new Date(5), u: undefined }, new Map([[{ object: 'key' }, Buffer.from('value')]]), new URL('http://host/path?q'),
    ];
    const returned = await there(...values, cycle);
    const ring = returned.pop();
    assert.deepEqual(returned, values);
    assert.equal(ring.self, ring);
    assert.equal(ring.list[0], ring);
  });
}

test('a reply is written the way its question came', LIMIT, async (t) => {
  for (const [asks, answers, expected] of [
    ['values', 'values', new Map([[1, 2]])], ['values', 'json', {}], ['json', 'values', new Map([[1, 2]])], ['json', 'json', {}],
    ['advanced', 'json', new Map([[1, 2]])], ['values', 'advanced', new Map([[1, 2]])],
  ]) {
    const { ann, bob, bus } = await mirror(t, asks, answers);
    for (const handled of [bob.handle('map', () => new Map([[1, 2]])), bus.bridge.handle('map', () => new Map([[1, 2]]))]) {
      const arrived = handled === bob ? await ann.request('bob:map', 'x') : await ann.call('map', 'x');
      assert.deepEqual(arrived, handled === bob ? expected : new Map([[1, 2]]), `${asks} asks ${answers}`);
    }
  }
});

test('undefined as an argument is no argument: default parameters apply', LIMIT, async (t) => {
  const { ann, bob, bus } = await mirror(t);
  const given = (a = 'A', b = 'B', c = 'C') => [a, b, c].map((each) => (typeof each === 'string' ? each : '-'));
  bob.handle('given', given);
  bus.bridge.handle('given', given);
  assert.deepEqual(await ann.request('bob:given', undefined, 'b', undefined), ['A', 'b', 'C']);
  assert.deepEqual(await ann.call('given', undefined, 'b', undefined), ['A', 'b', 'C']);
});

test('what the bridge says in the end, and broadcasts, arrive as they were sent', LIMIT, async (t) => {
  const { ann, bob, bus } = await mirror(t);
  const [heard, closed] = [once(bob, 'news'), once(ann, 'close')];
  await announced(bob);
  ann.broadcast('news', new Set([undefined]), new Date(5));
  assert.deepEqual((await heard).slice(0, 2), [new Set([undefined]), new Date(5)]);
  await bus.bridge.close([new Map([[1n, new Date(5)]]), undefined]);
  assert.deepEqual(await closed, [new Map([[1n, new Date(5)]]), undefined]);
});

test('settings differ: a json node hears Maps from an advanced one and answers in its own way', LIMIT, async (t) => {
  const { ann, bob } = await mirror(t, 'advanced', 'json');
  bob.handle('size', (map) => ({ size: map.size, is: map instanceof Map }));
  ann.handle('sum', (...args) => args.reduce((a, b) => a + b, 0));
  assert.deepEqual(await ann.request('bob:size', new Map([[1, 1]])), { size: 1, is: true });
  assert.equal(await bob.request('ann:sum', 1, 2, 3), 6);
  const heard = once(bob, 'news');
  await announced(bob);
  ann.broadcast('news', new Set([1n]));
  assert.deepEqual((await heard)[0], new Set([1n]));
});

test('what cannot be serialized is ERR_UNSERIALIZABLE, thrown or as the rejection of a promise, and nothing is sent', LIMIT, async (t) => {
  const cyclic = {};
  cyclic.self = cyclic;
  let deep = [];
  for (let n = 0; n < 200_000; n += 1) deep = [deep];
  const broken = {
    values: [Symbol('s'), [() => {}], { signal: AbortSignal.abort() }, new WeakMap(), deep, { get trap() { throw new Error('got') } }, { toJSON() { throw new Error('made') } }],
    json: [cyclic, 7n, deep, { get trap() { throw new Error('got') } }, { toJSON() { throw new Error('made') } }],
    advanced: [() => {}, { f() {} }, Symbol('s'), new WeakMap(), { get trap() { throw new Error('got') } }],
  };
  for (const sends of SETTINGS) {
    const { bus, ann, bob } = await mirror(t, sends);
    const refusal = { name: 'TypeError', code: 'ERR_UNSERIALIZABLE' };
    for (const value of broken[sends]) {
      assert.throws(() => ann.publish('bob:mirror', value, 1), refusal);
      await assert.rejects(ann.request('bob:mirror', value), refusal);
      assert.throws(() => ann.broadcast('news', value, 1), refusal);
      await assert.rejects(ann.call('method', value), refusal);
      if (sends !== 'advanced') assert.throws(() => ann.publish('bob:mirror', Buffer.from('x'), value), refusal);
    }
    await barrier(ann, bob);
    assert.deepEqual(bus.bridge.nodes().length, 2);
  }
});

test('a reply that cannot be serialized is an error for the one who waits, not silence', LIMIT, async (t) => {
  const { ann, bob } = await mirror(t);
  bob.handle('fn', () => ({ fn: [() => {}] }));
  await assert.rejects(ann.request('bob:fn'), { code: 'ERR_UNSERIALIZABLE', message: 'args[1].fn[0] cannot be serialized: it is a function' });
  bob.once('thrown', (reply) => {
    assert.throws(() => reply(Symbol('s')), { code: 'ERR_UNSERIALIZABLE' });
    reply(null, 'second try');
  });
  const outcome = await ann.request('bob:thrown').catch((err) => err.code);
  assert.ok(['second try', 'ERR_UNSERIALIZABLE'].includes(outcome), outcome);
});

for (const sends of SETTINGS) {
  for (const answers of SETTINGS) {
    test(`Errors in replies are Errors, with name, message, code and stack: ${sends} asks ${answers}`, LIMIT, async (t) => {
      const { ann, bob } = await mirror(t, sends, answers);
      class OutOfCoffee extends Error {
        name = 'OutOfCoffee';
        code = 'E_COFFEE';
      }
      const given = [new OutOfCoffee('no beans'), Object.assign(new TypeError('wrong'), { code: 418 }), new Error('')];
      for (const error of given) {
        bob.once('ask', (reply) => reply(error));
        const [err] = await answer((cb) => ann.publish('bob:ask', cb));
        assert.ok(err instanceof Error);
        assert.deepEqual([err.name, err.message, err.code], [error.name, error.message, error.code]);
        assert.ok(err.stack.includes('values-e2e.test.js'), 'the stack of where it happened');
      }
      bob.handle('throw', () => {
        throw given[0];
      });
      await assert.rejects(ann.request('bob:throw'), { name: 'OutOfCoffee', code: 'E_COFFEE', message: 'no beans' });
    });
  }
}

test('an Error inside the arguments arrives as an Error too', LIMIT, async (t) => {
  for (const serialization of SETTINGS) {
    const { there } = await mirror(t, serialization);
    const [{ cause }, error] = await there({ cause: new RangeError('inside') }, new TypeError('outside'));
    assert.deepEqual([cause instanceof Error, cause.message], [true, 'inside']);
    assert.deepEqual([error instanceof Error, error.name, error.message], [true, 'TypeError', 'outside']);
  }
});

test('an error larger than a message may be arrives in outline', LIMIT, async (t) => {
  for (const serialization of SETTINGS) {
    const bus = await openBus(t);
    const [ann, bob] = await Promise.all(['ann', 'bob'].map((id) => bus.node(id, { serialization, maxMessage: 1 << 20 })));
    const large = () => {
      throw Object.assign(new RangeError('too much'), { code: 'E_MUCH', body: 'x'.repeat(1 << 21) });
    };
    bob.handle('large', large);
    await assert.rejects(ann.request('bob:large', 1), (error) => {
      assert.deepEqual([error.name, error.message, error.code, 'body' in error], ['RangeError', 'too much', 'E_MUCH', false], serialization);
      assert.match(error.cut, /larger than a message may be/);
      return true;
    });
  }
});

test('text of every size up to a megabyte arrives', LIMIT, async (t) => {
  const { there } = await mirror(t);
  for (let size = 1; size <= 1 << 20; size *= 2) {
    for (const text of ['x'.repeat(size), '日'.repeat(size - 1), `${'x'.repeat(size)}é`]) {
      const [arrived] = await there(text);
      assert.ok(arrived === text, `${text.length} characters`);
    }
  }
});

test('a Buffer of 50 MB arrives intact while pings to other nodes go on', LIMIT, async (t) => {
  const bus = new Bus(t);
  bus.address = { url: (await startBridge(t, { path: bus.path })).url };
  const [ann, pinger] = await Promise.all([bus.node('ann'), bus.node('pinger')]);
  await Promise.all([startPeer(t, { ...bus.address, id: 'large' }), startPeer(t, { ...bus.address, id: 'small' })]);
  const bytes = crypto.randomBytes(50_000_000);
  const digest = (buffer) => crypto.createHash('sha256').update(buffer).digest('hex');
  let arrived = null;
  const transfer = ann.request('large:echo', bytes).then(([copy]) => (arrived = copy));
  let pings = 0;
  while (arrived === null) {
    await Promise.all([pinger.request('small:barrier'), ann.request('small:barrier')]);
    pings += 1;
  }
  await transfer;
  assert.ok(pings > 5, `${pings} pings went on`);
  assert.equal(digest(arrived), digest(bytes));
});
